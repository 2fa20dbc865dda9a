#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
# The build: out of tree and in parallel, what it installs and takes away again, and what programs
# that use the installed copy see.

PATH=$PATH:/usr/sbin:/sbin
LC_ALL=C
export LC_ALL
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES
CC=${CC:-cc}
MAKE=${MAKE:-make}
top=$(cd "$(dirname "$0")/../.." && pwd)
. "$top/tests/lib/tap.sh"
work=$(mktemp -d "${TMPDIR:-/tmp}/socktally-build.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
build=$work/build
dest=$work/dest
needed() { readelf -d "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'; }
exported() { nm -D --defined-only "$1" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | sort; }

version=$(cat "$top/VERSION")
tree=no
git -C "$top" rev-parse >/dev/null 2>&1 && tree=yes

# A copy of the sources, so that a change of them can be tried.
if [ $tree = yes ]; then
	(cd "$top" && git ls-files -z --cached --others --exclude-standard | tar -c --null -T -)
else
	tar -C "$top" -c --exclude ./build --exclude './build-[!a]*' .
fi | (mkdir "$work/source" && tar -C "$work/source" -x) || exit 1
here=$work/source
listing() { find "$here" -printf '%P %s %T@\n' | sort; }

# --- configure

mkdir -p "$build" && cd "$build" || exit 1
listing >"$work/want"
"$here/configure" --prefix=/opt/tally --mandir=/opt/tally/man --docdir=/opt/tally/docs --enable-werror --enable-frobs \
	--with-frobs --sysconfdir=/etc --build=x --disable-dependency-tracking "CC=$CC" \
	"CFLAGS=-O1 -g" >"$work/log" 2>&1
ok "configure works out of tree and passes over options that it doesn't know" $? "$work/log" || finish
"$here/configure" --frobs >"$work/log" 2>&1
[ $? -eq 1 ] && grep -q 'unknown option --frobs' "$work/log"
ok "configure refuses what is no option" $? "$work/log"
mkdir -p "$work/lacking" "$work/broken/pcap"
echo '#error "not this one"' >"$work/broken/pcap/pcap.h"
(cd "$work/lacking" && CLANG=no-such-clang CPPFLAGS=-I$work/broken "$here/configure") >"$work/log" 2>&1
[ $? -eq 1 ] && grep -q 'clang.*: apt-get install clang$' "$work/log" &&
	grep -q 'libpcap: apt-get install libpcap-dev$' "$work/log" && [ ! -e "$work/lacking/Makefile" ]
ok "configure lists all that is missing, and the package that has it" $? "$work/log"

echo 'int main(void) { return sizeof(void *) == 4; }' >"$work/small.c"
if $CC -m32 -fsyntax-only "$work/small.c" 2>/dev/null; then
	mkdir -p "$work/small"
	(cd "$work/small" && "$here/configure" "CC=$CC -m32") >"$work/log" 2>&1
	[ $? -eq 1 ] && grep -q 'socktally is for 64-bit machines only\|does not compile' "$work/log"
	ok "configure refuses a 32-bit compiler" $? "$work/log"
else
	skip "configure refuses a 32-bit compiler" "the compiler has none"
fi

# --- build

$MAKE -j4 >"$work/log" 2>&1
ok "make -j4" $? "$work/log" || finish
$MAKE -q >"$work/log" 2>&1
ok "a second make has nothing to do" $? "$work/log"
listing >"$work/have"
same "the source tree is as it was"
touch "$here/preload/bind.c" && $MAKE V=0 >"$work/log" 2>&1 && printf '  CC preload/bind.o\n  LD libsocktally-preload.so\n' |
	cmp - "$work/log" >/dev/null
ok "make V=0 says what it makes, in a line each" $? "$work/log"
! grep -l -- '-lpcap\|-lz\|-lzstd' preload/*.d >/dev/null 2>&1 &&
	! $MAKE -n -W "$here/preload/bind.c" preload/bind.o 2>/dev/null | grep -q 'dbus\|pcap'
ok "the shim is compiled with no library's flags" $?
for header in include/socktally/protocols.def bpf/table.h; do
	touch "$here/$header"
	$MAKE -n >"$work/log" 2>&1
	grep -q -- '-o bpf/count.bpf.o' "$work/log" && grep -q -- '-o plugin/count/classify.o' "$work/log"
	ok "a change of $header reaches the kernel's part and the library" $? "$work/log"
done
# --- install

$MAKE install DESTDIR="$dest" >"$work/log" 2>&1
ok "make install DESTDIR=" $? "$work/log" || finish
(cd "$dest/opt/tally" && find . ! -type d | sort) >"$work/have"
{
	echo ./bin/socktally
	for header in "$here"/include/socktally/*; do echo "./include/socktally/${header##*/}"; done
	for name in libsocktally-preload.so libsocktally.a libsocktally.so "libsocktally.so.${version%%.*}" \
		"libsocktally.so.$version" pkgconfig/socktally.pc; do
		echo "./lib/$name"
	done
	for page in "$here"/man/*.[0-9]; do echo "./man/man${page##*.}/${page##*/}"; done
	for file in "$here"/README.md "$here"/docs/*.md; do echo "./docs/${file##*/}"; done
	for file in "$here"/examples/*.c "$here"/examples/*.cc "$here"/examples/*.h "$here"/examples/*.py \
		"$here"/examples/*.json "$here"/examples/*.yml; do
		echo "./docs/examples/${file##*/}"
	done
	echo ./docs/examples/socktally.default
	for unit in "$here"/systemd/*.in; do basename "$unit" .in | sed 's|^|./lib/systemd/system/|'; done
	echo ./share/bash-completion/completions/socktally
	echo ./share/fish/vendor_completions.d/socktally.fish
	echo ./share/zsh/site-functions/_socktally
} | sort >"$work/want"
same "exactly what should be is installed"
"$dest/opt/tally/bin/socktally" --version >"$work/log" 2>&1 && grep -q "^socktally $version\\b" "$work/log"
ok "the installed command runs and knows its version" $? "$work/log"
mkdir "$work/unpacked" && cp -r "$dest/opt/tally" "$work/unpacked/moved"
"$work/unpacked/moved/bin/socktally" run -- true >"$work/log" 2>&1 &&
	grep -q 'no packet socket of true was seen' "$work/log" && ! grep -q unmetered "$work/log"
ok "run finds its library where the installation was moved" $? "$work/log"
for file in "$dest"/opt/tally/bin/socktally "$dest"/opt/tally/lib/*.so; do
	readelf -d "$file" | grep -E 'R(UN)?PATH'
done >"$work/log"
[ ! -s "$work/log" ]
ok "nothing installed has a path to libraries in it" $? "$work/log"

# --- programs that use the installed copy

cat >"$work/probe.c" <<'EOF'
#include <socktally/socktally.h>
#include <stdio.h>
#include <string.h>

static int cell(void *ctx, const struct socktally_cell *c)
{
	(void)ctx;
	return printf("%s %d\n", c->path, (int)c->counts.packets) < 0;
}

int main(void)
{
	struct socktally_open_opts opts;
	struct socktally *meter = NULL;
	unsigned char packet[64] = {0};

	memset(&opts, 0, sizeof(opts));
	opts.sz = sizeof(opts);
	opts.flags = SOCKTALLY_OPEN_USERSPACE;
	packet[12] = 0x08;
	packet[13] = 0x06;
	if (socktally_open(&meter, &opts) || socktally_count(meter, 1, packet, 64, 64, SOCKTALLY_IN))
		return 1;
	if (socktally_snapshot(meter, cell, NULL, NULL))
		return 1;
	socktally_close(meter);
	return 0;
}
EOF
PKG_CONFIG_LIBDIR=$dest/opt/tally/lib/pkgconfig
PKG_CONFIG_SYSROOT_DIR=$dest
export PKG_CONFIG_LIBDIR PKG_CONFIG_SYSROOT_DIR
strict='-Wall -Wextra -Wpedantic -Werror'

# installed COMPILER SUFFIX STANDARD: compiles it as that, links both ways, and runs it
installed()
{
	if ! command -v "$1" >/dev/null; then
		skip "$1 -std=$3: a program with the installed libraries" "no $1"
		return
	fi
	source=$work/probe.$2
	cp "$work/probe.c" "$source" 2>/dev/null
	# shellcheck disable=SC2046,SC2086
	"$1" -std="$3" $strict -o "$work/shared" "$source" $(pkg-config --cflags --libs socktally) >"$work/log" 2>&1 &&
		LD_LIBRARY_PATH=$dest/opt/tally/lib "$work/shared" >"$work/log" 2>&1 && grep -qx 'eth:arp 1' "$work/log"
	ok "$1 -std=$3: a program linked with the installed shared library runs" $? "$work/log"
	# shellcheck disable=SC2046,SC2086
	"$1" -std="$3" $strict -static -o "$work/static" "$source" $(pkg-config --static --cflags --libs socktally) >"$work/log" 2>&1 &&
		"$work/static" >"$work/log" 2>&1 && grep -qx 'eth:arp 1' "$work/log"
	ok "$1 -std=$3: and one linked with the static library" $? "$work/log"
}
for compiler in gcc clang; do
	for standard in c99 c11; do installed $compiler c $standard; done
done
for compiler in g++ clang++; do installed $compiler cc c++17; done
needed "$work/shared" | grep -qx "libsocktally.so.${version%%.*}"
ok "it asks for the library by its soname" $?
# The examples, as one has them from the package.
mkdir "$work/examples"
(cd "$dest/opt/tally/docs/examples" &&
	for example in *.c *.cc; do
		case $example in
		*.bpf.c) clang -O2 -g -Wall -Werror -target bpf -I"$dest/opt/tally/include" \
			-idirafter "/usr/include/$(uname -m)-linux-gnu" -c "$example" -o "$work/examples/${example%.c}.o" ;;
		*.cc) command -v c++ >/dev/null || continue
			c++ -Wall -Wextra -Werror $(pkg-config --cflags socktally) -o "$work/examples/cpp" "$example" \
				$(pkg-config --libs socktally) ;;
		*) $CC -Wall -Wextra -Werror $(pkg-config --cflags socktally) -o "$work/examples/${example%.c}" "$example" \
			$(pkg-config --libs socktally) -lpcap -ldl -pthread ;;
		esac || exit
	done) >"$work/log" 2>&1
ok "the installed examples compile with what is installed" $? "$work/log"
unset PKG_CONFIG_LIBDIR PKG_CONFIG_SYSROOT_DIR

# --- what the libraries show and need

library=$dest/opt/tally/lib/libsocktally.so
needed "$library" | grep -v '^ld-linux' >"$work/have" # a part of libc, for what each thread has
echo libc.so.6 >"$work/want"
same "the library needs libc only"
# As a guest it must not do these, so it must not even know them.
nm -D --undefined-only "$library" | sed 's/.* U //; s/@.*//' |
	grep -xE 'printf|puts|putchar|perror|f?printf|vf?printf|stdout|stderr|_?exit|abort|__assert_fail|signal|sigaction|setrlimit|prlimit|prlimit64|pthread_create|getenv|setenv|fork|system|popen' >"$work/log"
[ ! -s "$work/log" ]
ok "the library neither prints nor exits nor starts threads nor touches signals and limits" $? "$work/log"

shim=$dest/opt/tally/lib/libsocktally-preload.so
needed "$shim" >"$work/have"
same "the preload library needs libc only"
# What it exports are functions that libc has as well.
libc=$(ldd "$shim" | sed -n 's/.*libc\.so\.6 => \([^ ]*\).*/\1/p')
exported "$libc" | sort -u >"$work/libc"
exported "$shim" | comm -23 - "$work/libc" >"$work/log"
[ -n "$(exported "$shim")" ] && [ ! -s "$work/log" ]
ok "the preload library exports only calls that it interposes" $? "$work/log"

# --- take it away

$MAKE uninstall DESTDIR="$dest" >"$work/log" 2>&1
ok "make uninstall" $? "$work/log"
find "$dest" ! -type d >"$work/log"
[ ! -s "$work/log" ]
ok "uninstall leaves no file" $? "$work/log"
$MAKE distclean >"$work/log" 2>&1
find . -mindepth 1 >"$work/log"
[ ! -s "$work/log" ]
ok "distclean leaves nothing" $? "$work/log"

# --- licences

cd "$here" || exit 1
find . -type f | grep -vE '^./(LICENSES/.*|VERSION|debian/changelog|debian/source/format)$|\.(pcap|pcapng|cap|gz|zst|bin)$' |
	while IFS= read -r file; do
		head -n 2 "$file" | grep -q 'SPDX-License-Identifier: ' || echo "$file"
	done >"$work/log"
[ ! -s "$work/log" ]
ok "every file says its licence" $? "$work/log"
find bpf -type f | while IFS= read -r file; do
	head -n 2 "$file" | grep -q 'SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause' || echo "$file"
done >"$work/log"
[ ! -s "$work/log" ]
ok "what goes into the kernel is under a licence that it takes" $? "$work/log"
finish
