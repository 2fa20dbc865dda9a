#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
# What a program built with the last release relies on: the version map has exactly what the headers
# declare, the library exports exactly that, the soname is that of VERSION, and abidiff finds nothing
# taken away or changed since abi/ was written. See docs/abi.md.

PATH=$PATH:/usr/sbin:/sbin
LC_ALL=C
export LC_ALL
top=$(cd "$(dirname "$0")/../.." && pwd)
. "$top/tests/lib/tap.sh"
build=$(cd "${BUILDDIR:-build}" && pwd) || exit 1
work=$(mktemp -d "${TMPDIR:-/tmp}/socktally-abi.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
version=$(cat "$top/VERSION")
library=$build/libsocktally.so.$version
map=$top/plugin/libsocktally.map

sed -n '/^\(extern \)*SOCKTALLY_API/,/;/p' "$top"/include/socktally/*.h |
	grep -o '\bsocktally_[a-z_]*[(;]' | tr -d '(;' | sort -u >"$work/want"
sed -n 's/^\t\(socktally_[a-z_]*\);/\1/p' "$map" | sort >"$work/have"
same "the version map has exactly what the headers declare"
nm -D --defined-only "$library" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | sort >"$work/have"
same "the library exports exactly what the headers declare"

# A program that is linked with the static library may have any other name for itself.
nm --extern-only --defined-only "$build/libsocktally.a" | awk 'NF == 3 { print $3 }' | sort >"$work/have"
sed -n 's/^\t\(socktally_[a-z_]*\);/\1/p' "$map" | sort >"$work/want"
same "the static library defines no other name"
cat >"$work/own.c" <<'EOP'
#include <socktally/socktally.h>
int st_fail(void) { return 0; }
int st_options(void) { return st_fail(); }
int main(void) { return st_options() || socktally_open(NULL, NULL) != -22 || !socktally_plugin.abi; }
EOP
# shellcheck disable=SC2086
${CC:-cc} ${CFLAGS:-} -I"$top/include" -o "$work/own" "$work/own.c" "$build/libsocktally.a" -ldl >"$work/log" 2>&1 &&
	"$work/own" >>"$work/log" 2>&1
ok "and a program with functions of the same names works with it" $? "$work/log"

# --- one place for each number

readelf -d "$library" | sed -n 's/.*(SONAME).*\[\(.*\)\]/\1/p' >"$work/have"
echo "libsocktally.so.${version%%.*}" >"$work/want"
same "the soname has the first number of VERSION"
sed -n 's/^SOCKTALLY_\([0-9.]*\) {/\1/p' "$map" | tail -1 >"$work/have"
echo "$version" | cut -d . -f 1,2 >"$work/want"
same "the last node of the version map is this release's"
sed -n '1s/.*(\(.*\)).*/\1/p' "$top/debian/changelog" >"$work/have"
echo "$version" >"$work/want"
same "debian/changelog has the version, too"

# --- what programs were built with

name="nothing that the last release had is gone or different"
dump=$top/abi/$(uname -m).abi
if ! command -v abidiff >/dev/null; then
	skip "$name" "needs abidiff (abigail-tools)"
elif [ ! -e "$dump" ]; then
	skip "$name" "no abi/$(uname -m).abi"
elif ! readelf -S "$library" | grep -q '\.debug_info'; then
	skip "$name" "built without -g"
else
	# compare DUMP: what abidiff says of the library as the successor of that
	compare()
	{
		abidiff --no-added-syms --suppressions "$top/abi/allowed.abignore" "$1" "$library" \
			>"$work/log" 2>&1
	}
	compare "$dump"
	ok "$name" $? "$work/log"
	# the check itself
	sed '/<elf-symbol name=.socktally_forget/s/socktally_forget/socktally_forgot/' "$dump" >"$work/other.abi"
	! compare "$work/other.abi"
	ok "a function less would be noticed" $? "$work/log"
	sed "/<data-member .*layout-offset-in-bits='256'>/{N;/accepted_bytes/s/256/288/}" "$dump" \
		>"$work/other.abi"
	! compare "$work/other.abi"
	ok "a member in another place would be noticed" $? "$work/log"
	sed "/<class-decl name='socktally_sink'/,/<.class-decl>/{/<data-member/{N;N;/name='row'/d}}" "$dump" \
		>"$work/other.abi"
	! cmp -s "$dump" "$work/other.abi" && compare "$work/other.abi"
	ok "what begins with its size may grow" $? "$work/log"
fi
finish
