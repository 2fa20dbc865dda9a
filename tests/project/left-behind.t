#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
# Runs last: the other tests left nothing behind, and the kernel did not complain. "make check" calls
# it with "before" at the start, to remember how things were.

PATH=$PATH:/usr/sbin:/sbin
before=$BUILDDIR/tests/left-behind.before

# One line each: what there is that a test may have forgotten.
pins() { find /sys/fs/bpf -mindepth 1 2>/dev/null; }
namespaces() { ls /run/netns 2>/dev/null; }
# By the names that ours have: somebody else's BPF programs are none of our business.
programs() { bpftool prog show 2>/dev/null | sed -nE 's/^([0-9]+: socket_filter +name (socktally|count|chain_)[^ ]*).*/\1/p'; }
# Not the chains: once in some thousand meters Linux 6.18 keeps an emptied PROG_ARRAY that no process,
# program or pin holds any more. A meter that is left behind still shows by its table of cells.
maps() { bpftool map show 2>/dev/null | grep 'name socktally_' | grep -v ': prog_array'; }
# Seconds since boot of the last line.
log_time() { dmesg 2>/dev/null | sed -n '$s/^\[ *\([0-9.]*\)\].*/\1/p'; }

if [ "${1-}" = before ]; then
	{
		pins | sed 's/^/pin /'
		namespaces | sed 's/^/namespace /'
		programs | sed 's/^/program /'
		maps | sed 's/^/map /'
		others | sed 's/^/other /'
		echo "log $(log_time)"
	} >"$before"
	exit
fi

count=0
# ok NAME WHAT: passes when WHAT is empty
ok()
{
	count=$((count + 1))
	if [ -z "$2" ]; then
		echo "ok $count - $1"
	else
		echo "not ok $count - $1"
		printf '%s\n' "$2" | sed 's/^/# /'
	fi
}

# new KIND FUNCTION: what was not there before
new()
{
	$2 | while IFS= read -r line; do
		grep -qxF "$1 $line" "$before" || printf '%s\n' "$line"
	done
}

# Each test inherits BUILDDIR, and so does all that it starts. Not meant: this process, what it comes
# from, and what it starts itself.
processes()
{
	ancestors=" "
	pid=$$
	while [ "$pid" -gt 1 ]; do
		ancestors="$ancestors$pid "
		pid=$(sed 's/.*) [A-Z] \([0-9]*\) .*/\1/' "/proc/$pid/stat")
	done
	for environment in /proc/[0-9]*/environ; do
		directory=${environment%/environ}
		pid=${directory#/proc/}
		case $ancestors in *" $pid "*) continue ;; esac
		tr '\0' '\n' 2>/dev/null <"$environment" | grep -qxF "BUILDDIR=$BUILDDIR" || continue
		parent=$(sed 's/.*) [A-Z] \([0-9]*\) .*/\1/' "$directory/stat" 2>/dev/null) || continue
		[ -n "$parent" ] && [ "$parent" != $$ ] || continue
		echo "$pid: $(tr '\0' ' ' 2>/dev/null <"$directory/cmdline")"
	done
}

# Who meters here that is no test of this run: what he has in the kernel can't be told from what is left.
others()
{
	for maps in /proc/[0-9]*/maps; do
		directory=${maps%/maps}
		case $(readlink "$directory/exe" 2>/dev/null) in
		*/socktally | */tests/*) ;;
		*) grep -q libsocktally "$maps" 2>/dev/null || continue ;;
		esac
		tr '\0' '\n' 2>/dev/null <"$directory/environ" | grep -qxF "BUILDDIR=$BUILDDIR" ||
			echo "${directory#/proc/} $(cat "$directory/comm" 2>/dev/null)"
	done | head -n 1
}

# What the verifier says of itself is left out, from "verifier bug" to the end of its trace: the random
# filters of tests/unit/translate find such a fault once in a while (docs/kernel-facts.md), and the kernel
# says each once a start.
complaints()
{
	since=$(sed -n 's/^log //p' "$before")
	dmesg | awk -v since="${since:-0}" '{
		time = $0; sub(/^\[ */, "", time); sub(/\].*/, "", time)
		if (time + 0 <= since + 0) next
		if (/verifier bug: /) verifier = 1
		if (!verifier && /WARNING:|BUG:|BUG |Oops|general protection|Call Trace|blocked for more than|stall/) print
		if (/end trace/) verifier = 0
	}'
}

if [ ! -e "$before" ]; then
	echo "1..0 # SKIP not called by make check"
	exit 0
fi
# lasting OLD NEW: the lines that are in both
lasting() { printf '%s\n' "$1" | grep -xF "$2" | grep .; }

# What was told to end may need a moment, and the kernel frees a program after a grace period. What
# somebody else makes meanwhile comes and goes.
processes=$(processes) programs=$(new program programs) maps=$(new map maps)
for moment in 1 2 3 4 5 6 7 8 9 10; do
	[ -n "$processes$programs$maps" ] || break
	sleep 0.5
	processes=$(lasting "$processes" "$(processes)")
	programs=$(lasting "$programs" "$(new program programs)")
	maps=$(lasting "$maps" "$(new map maps)")
done
ok "no process is left" "$processes"
ok "no named network namespace is left" "$(new namespace namespaces)"
ok "nothing is left in /sys/fs/bpf" "$(new pin pins)"
other=$(sed -n 's/^other //p' "$before")$(others)
if [ -z "$other" ]; then
	ok "no program of ours is left in the kernel" "$programs"
	ok "no map of ours is left in the kernel" "$maps"
else
	for what in program map; do
		count=$((count + 1))
		echo "ok $count - no $what of ours is left in the kernel # SKIP somebody else meters here: process $other"
	done
fi
if dmesg >/dev/null 2>&1; then
	ok "the kernel's log has no new warning" "$(complaints)"
else
	count=$((count + 1))
	echo "ok $count - the kernel's log has no new warning # SKIP it can't be read"
fi
echo "1..$count"
