# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
# TAP for tests in sh, to be sourced: ok, skip, same, skip_all, and finish at the end.

count=0
failed=0

# ok NAME STATUS [FILE]: passes when STATUS is 0; else shows the end of FILE. Returns STATUS.
ok()
{
	count=$((count + 1))
	if [ "$2" -eq 0 ]; then
		echo "ok $count - $1"
	else
		failed=1
		echo "not ok $count - $1"
		[ -z "${3-}" ] || tail -n 40 "$3" | sed 's/^/# /'
	fi
	return "$2"
}
skip() { count=$((count + 1)); echo "ok $count - $1 # SKIP $2"; }
# same NAME: are $work/have and $work/want equal?
same()
{
	diff "$work/want" "$work/have" >"$work/diff"
	ok "$1" $? "$work/diff"
}
skip_all() { echo "1..0 # SKIP $1"; exit 0; }
finish() { echo "1..$count"; exit $failed; }
