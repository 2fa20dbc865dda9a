#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
# build-aux/pack refuses object files that the library could not load.
. "${SRCDIR:-.}/tests/lib/tap.sh"
CLANG=${CLANG:-clang}
pack=${BUILDDIR:-build}/build-aux/pack
command -v "$CLANG" >/dev/null || skip_all "needs clang"
[ -x "$pack" ] || skip_all "needs a build"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# packed NAME: compiles what comes on stdin; pack's messages are in $folder/messages
packed()
{
	cat >"$folder/$1.bpf.c"
	"$CLANG" -O2 -g -target bpf -I "${SRCDIR:-.}/include" -c "$folder/$1.bpf.c" -o "$folder/$1.bpf.o" &&
		"$pack" "$folder/$1.bpf.o" >"$folder/$1.bpf.h" 2>"$folder/messages"
}

packed good <<'END'
#include <socktally/hook.bpf.h>
SOCKTALLY_HOOK(good, skb, packet) { return SOCKTALLY_PASS; }
END
ok "a hook is packed" $?
grep -q "static const unsigned char st_object_good\[\]" "$folder/good.bpf.h"
ok "as an array of its name" $?

packed unknown <<'END'
#include <socktally/hook.bpf.h>
SOCKTALLY_HOOK(unknown, skb, packet) { return SOCKTALLY_LOADED(__u64, nobody_knows); }
END
[ $? -ne 0 ] && grep -q "nobody_knows: is not in this file" "$folder/messages"
ok "a name that nobody fills in is refused" $?

packed core <<'END'
#include <socktally/hook.bpf.h>
struct task_struct { int pid; } __attribute__((preserve_access_index));
SOCKTALLY_HOOK(core, skb, packet)
{
	return __builtin_preserve_field_info(((struct task_struct *)0)->pid, 2) ? SOCKTALLY_PASS : SOCKTALLY_DROP;
}
END
[ $? -ne 0 ] && grep -q "CO-RE" "$folder/messages"
ok "CO-RE relocations are refused" $?
finish
