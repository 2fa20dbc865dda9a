#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
# The command, its broker and the library under AddressSanitizer, LeakSanitizer and
# UndefinedBehaviorSanitizer: other tests run once more, with a build of that kind.

SRCDIR=${SRCDIR:-$(cd "$(dirname "$0")/../.." && pwd)}
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES
MAKE=${MAKE:-make}
build=${BUILDDIR:-$PWD}/sanitizers
count=0
failed=0

result()
{
	count=$((count + 1))
	if [ "$2" = 0 ]; then
		echo "ok $count - $1"
	else
		failed=1
		echo "not ok $count - $1"
		tail -n 60 "$3" | sed 's/^/# /'
	fi
}

mkdir -p "$build" && cd "$build" || exit 1
if ! "$SRCDIR/configure" --enable-sanitizers "CC=${CC:-cc}" CFLAGS='-O1 -g' >configure.out 2>&1; then
	if grep -q "the sanitizers' libraries" configure.out; then
		echo "1..0 # SKIP the compiler has no sanitizers"
		exit 0
	fi
	cat configure.out >&2
	exit 1
fi
$MAKE -j"$(nproc)" tests >make.out 2>&1
result "built with sanitizers" $? make.out
[ $failed = 0 ] || { echo "1..$count"; exit 1; }

# What they find goes to files: a broker's standard error may be anywhere, and it is another user.
reports=$(mktemp -d) || exit 1
trap 'rm -rf "$reports"' EXIT
chmod 1777 "$reports"
ASAN_OPTIONS=log_path=$reports/address
UBSAN_OPTIONS=log_path=$reports/undefined:print_stacktrace=1
# BUILDDIR stays: the tools that the tests meter are not built with sanitizers.
SOCKTALLY=$build/socktally
SHIM=$build/libsocktally-preload.so
export ASAN_OPTIONS UBSAN_OPTIONS SOCKTALLY SHIM SRCDIR

# run_again PROGRAM: with what the sanitizers have found in it or in what it started
run_again()
{
	name=$(basename "$1" .t)
	"$1" >"$name.out" 2>&1
	status=$?
	for report in "$reports"/*; do
		[ ! -e "$report" ] || { cat "$report" >>"$name.out"; rm "$report"; status=1; }
	done
	result "$name" $status "$name.out"
}

# Object files that may be hostile, in the library itself.
TEST_OBJECTS=1000 tests/unit/hook_broken >hook_broken.out 2>&1
result "hook_broken" $? hook_broken.out
# The library in a program, and the broker that serves those without privileges.
for program in unit/hook_values unit/btf_rings unit/snapshot unit/threshold live/plugin_table live/reattach \
	live/callbacks live/foreign_filter live/hook_chain live/saved_filter live/unload cli/broker_service; do
	run_again "tests/$program"
done

export COUNT=200 TEST_CHANGES=20
for program in unit/ruleset_random unit/ruleset_generated live/class_change; do
	run_again "tests/$program"
done

for script in cli/read cli/read-broken cli/report cli/usage cli/list cli/watch preload/exact \
	preload/filter-switch cli/attach; do
	run_again "$SRCDIR/tests/$script.t"
done
echo "1..$count"
exit $failed
