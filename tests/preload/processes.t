#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Tools that fork, exec, start threads, close what they don't know, change root or user: they work
as without socktally, and are metered wherever that is possible."""
import os
import shlex
import subprocess
import tempfile
import time

import netns
import shim
import tap

OPEN = "socket:raw:0 bind:near:3 filter:udp"
SEE = "ready packets get:4"

# steps, packets counted with "run", with the shim alone (None: whatever; the tool goes on)
CASES = [
    (f"fork {OPEN} {SEE}", 6, 6),
    (f"{OPEN} fork {SEE}", 6, 6),
    (f"{OPEN} fork filter:reject filter:udp {SEE}", 6, 6),
    (f"fork fork fork {OPEN} fork {SEE} exit", 6, 6),
    (f"thread {OPEN} {SEE}", 6, 6),
    (f"{OPEN} thread filter:reject filter:udp {SEE}", 6, 6),
    (f"thread fork {OPEN} {SEE}", 6, 6),
    # one process closes the socket, another one goes on
    (f"{OPEN} forkclose {SEE}", 6, 6),
    (f"{OPEN} forkclose filter:reject filter:udp {SEE}", 6, 6),
    (f"{OPEN} child {SEE}", 6, 6),
    (f"{OPEN} child filter:reject filter:udp {SEE}", 6, 6),
    # the socket under other numbers, and in another process, as lldpd's monitor hands it over
    (f"{OPEN} fcntl filter:reject filter:udp fcntl {SEE}", 6, 6),
    (f"{OPEN} handover {SEE}", 6, 6),
    (f"{OPEN} handover setuid filter:reject filter:udp {SEE}", 6, 6),
    (f"{OPEN} lock handover closeall", None, None),
    (f"exec {OPEN} {SEE}", 6, 6),
    (f"{OPEN} exec filter:reject filter:udp {SEE}", 6, 6),
    (f"exec fork exec {OPEN} exec {SEE}", 6, 6),
    # the channel's descriptor is gone: by the abstract address
    (f"closeall {OPEN} {SEE}", 6, 6),
    (f"closeall fork {OPEN} {SEE}", 6, 6),
    (f"closeall exec {OPEN} {SEE}", 6, 6),
    (f"fork closeall chroot setuid socket:raw:3", None, None),
    # a tool that closes each descriptor leaves the channel open
    (f"closeeach {OPEN} {SEE}", 6, 6),
    (f"closeeach closeeach fork closeeach exec closeeach {OPEN} {SEE}", 6, 6),
    ("closeeach unshare socket:raw:3 filter:udp get:4 bind:lo:3 closeeach", 0, 0),
    # and one that closes a range of them
    (f"closerange {OPEN} {SEE}", 6, 6),
    (f"closefrom {OPEN} {SEE} closefrom get:4", 6, 6),
    (f"closewrong closerange fork closefrom exec closerange {OPEN} {SEE}", 6, 6),
    ("closefrom closerange unshare socket:raw:3 filter:udp get:4 bind:lo:3", 0, 0),
    # privileges are dropped before the filter, as tcpdump does
    (f"socket:raw:0 bind:near:3 setuid filter:reject filter:udp {SEE}", 6, 6),
    (f"socket:raw:0 bind:near:3 chroot setuid filter:reject filter:udp {SEE}", 6, 6),
    (f"socket:raw:0 bind:near:3 closeall name", None, None),
    (f"chroot {OPEN} {SEE}", 6, 6),
    (f"closeall chroot {OPEN} {SEE}", 6, 6),
    (f"closeall socket:raw:0 bind:near:3 chroot setuid filter:reject filter:udp {SEE}", 6, 6),
    # another network namespace, where there is nothing to receive: the descriptor serves
    ("unshare socket:raw:3 filter:udp get:4 bind:lo:3", 0, 0),
    # without the descriptor there is no way to the broker: said once, and the tool goes on
    ("closeall unshare socket:raw:3 filter:udp filter:reject get:4 bind:lo:3 detach detach", None, None),
    # the memory of its arguments and its environment becomes what ps(1) shows
    (f"title {OPEN} {SEE} look", 6, 6),
    (f"title fork {OPEN} exec {SEE}", 6, 6),
    ("title closeall unshare socket:raw:3 look", None, None),
    # how it ends
    (f"{OPEN} {SEE} exit", 6, 6),
    (f"{OPEN} {SEE} kill", 6, 6),
    (f"{OPEN} {SEE} sigkill", 6, 6),
    (f"{OPEN} fork {SEE} sigkill", 6, 6),
    (f"wait {OPEN} wait {SEE} wait", 6, 6),
]

# The parent ends at once: `run` ends with it, the shim's own broker stays for the child.
DAEMONS = [
    f"daemon {OPEN} {SEE}",
    f"{OPEN} daemon filter:reject filter:udp {SEE}",
    f"daemon closeall {OPEN} {SEE}",
    f"closeall {OPEN} daemon {SEE}",
]

# A script starts it and has ended when it opens its socket, which takes until the second "ready".
OF_A_SCRIPT = [
    f"daemon {way} ready ready {OPEN} {SEE}" for way in ("closefrom", "closerange", "closeeach")
]

# before main() and after it, when our own destructor may have run already
STATIC = [
    (f"{OPEN} {SEE}", "", "", 6),
    (OPEN, "ready packets filter:reject filter:udp", SEE, 12),
    ("", OPEN, f"{SEE} detach {SEE} filter:snap {SEE}", 18),
    ("", f"{OPEN} ready packets exit", f"filter:reject filter:udp {SEE}", 12),
    ("", f"{OPEN} fork ready packets", SEE, 18), # both processes end
]

# An interposer of somebody else's, before us or behind us: it sees each call of the tool's
OTHER = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <sys/socket.h>
static int sockets, filters;
int socket(int domain, int type, int protocol)
{
	sockets += domain == AF_PACKET;
	return ((int (*)(int, int, int))dlsym(RTLD_NEXT, "socket"))(domain, type, protocol);
}
int setsockopt(int fd, int level, int name, const void *value, socklen_t length)
{
	filters += level == SOL_SOCKET && name == SO_ATTACH_FILTER;
	return ((int (*)(int, int, int, const void *, socklen_t))dlsym(RTLD_NEXT, "setsockopt"))(
		fd, level, name, value, length);
}
long syscall(long number, long a, long b, long c, long d, long e, long f)
{
	return ((long (*)(long, long, long, long, long, long, long))dlsym(RTLD_NEXT, "syscall"))(
		number, a, b, c, d, e, f);
}
__attribute__((destructor)) static void say(void)
{
	printf("other: %d sockets, %d filters\\n", sockets, filters);
}
"""


def static_steps(sender):
    for before, steps, after, count in STATIC:
        environment = {"STEPS_BEFORE": before, "STEPS_AFTER": after}
        plain = shim.run("plain", steps.split(), sender, environment=environment)
        for way in "run", "preload":
            metered = shim.run(way, steps.split(), sender, environment=environment)
            name = f"{way}: {before} main() {steps} end {after}"
            tap.same((metered.out, metered.status), (plain.out, plain.status), name)
            tap.same(shim.packets_of(metered.report), count, f"{way}: {count} packets counted")
            tap.same(shim.lines_of(metered.err), [], f"{way}: nothing to say")


def other_interposer(sender):
    with tempfile.TemporaryDirectory(prefix="socktally-test-") as folder:
        os.chmod(folder, 0o755)
        source, other = f"{folder}/other.c", f"{folder}/other.so"
        with open(source, "w", encoding="ascii") as file:
            file.write(OTHER)
        subprocess.run([*shlex.split(os.environ.get("CC", "cc")), "-shared", "-fPIC", "-w", "-o", other,
                        "-fno-builtin", source], check=True)
        steps = f"{OPEN} {SEE} filter:reject filter:udp {SEE} detach".split()
        plain = shim.run("plain", steps, sender, environment={"LD_PRELOAD": other})
        tap.ok("other: 1 sockets, 3 filters" in plain.out, "another interposer", plain.out)
        for way, preload in (("run", other), ("preload", f"{other}:{shim.SHIM}"),
                             ("preload", f"{shim.SHIM}:{other}")):
            metered = shim.run(way, steps, sender, environment={"LD_PRELOAD": preload})
            name = f"{way}, LD_PRELOAD={preload.replace(folder, '')}"
            # behind us it sees that the broker has set the filter, not the tool
            steps_out = [line for line in metered.out.splitlines() if not line.startswith("other")]
            want = [line for line in plain.out.splitlines() if not line.startswith("other")]
            tap.same((steps_out, metered.status), (want, 0), f"{name}: the same to the tool")
            tap.ok("other: 1 sockets" in metered.out, f"{name}: the other one works, too", metered.out)
            tap.same(shim.packets_of(metered.report), 12, f"{name}: 12 packets counted")
            tap.same(shim.lines_of(metered.err), [], f"{name}: nothing to say")


def named_after_its_owner(sender):
    """A wrapper has no socket: the report is named after the process that has."""
    steps = f"{OPEN} {SEE}".split()
    for way in "run", "preload":
        for wrap in ["timeout", "20"], ["sh", "-c", '"$0" "$@"; exit $?'], ["env", "A=B"]:
            source = (shim.run(way, steps, sender, wrap=wrap).report or {"source": {}})["source"]
            tap.same(source.get("comm"), "socket_steps", f"{way}: the report of {wrap[0]}'s tool is named after it")
    for wrap in ["timeout", "20"], ["sh", "-c", 'sleep 0.2; exec "$0" "$@"']:
        guest = shim.Guest("run", [*wrap, shim.HELPER, *steps], options=["--attach"])
        guest.wait_ready()
        time.sleep(0.5) # it has to be found
        guest.go_on()
        report = guest.finish().report or {"source": {}}
        tap.same(report["source"].get("comm"), "socket_steps", f"run --attach: the tool of {wrap[0]}")
    guest = shim.Guest("run", ["timeout", "20", shim.HELPER, *steps])
    guest.wait_ready()
    owner = [pid for pid in shim.processes(shim.HELPER) if live_name(pid) == "socket_steps"]
    guest.go_on()
    tap.same([guest.finish().report["source"]["pid"]], owner, "and has its number")


def live_name(pid):
    with open(f"/proc/{pid}/comm", encoding="ascii", errors="replace") as file:
        return file.read().strip()


def main():
    shim.need()
    tap.time_limit(300)
    net = netns.Net()
    netns.run("ip", "link", "set", "lo", "up")
    sender = net.sender("far")
    brokers = len(shim.processes("broker"))
    for text, *counts in CASES:
        steps = text.split()
        plain = shim.run("plain", steps, sender)
        for way, packets in zip(("run", "preload"), counts):
            metered = shim.run(way, steps, sender)
            tap.same(metered.out, plain.out, f"{way}: {text}")
            tap.same(metered.status, plain.status, f"{way}: status {plain.status}")
            if packets is None:
                tap.ok(len(shim.lines_of(metered.err)) <= 1, f"{way}: said once", metered.err)
            else:
                tap.same(shim.packets_of(metered.report) or 0, packets,
                         f"{way}: {packets} packets counted")
                tap.same(shim.lines_of(metered.err), [], f"{way}: nothing to say")
    for text in DAEMONS:
        steps = text.split()
        plain = shim.run("plain", steps, sender)
        metered = shim.run("preload", steps, sender)
        tap.same(metered.out, plain.out, f"preload: {text}")
        tap.same(shim.packets_of(metered.report), 6, "preload: 6 packets counted")
        metered = shim.run("run", steps, sender)
        tap.same(sorted(metered.out.splitlines()[:3]), sorted(plain.out.splitlines()[:3]),
                 f"run: {text}")
    for text in OF_A_SCRIPT:
        script = ("sh", "-c", '"$@"; :', "sh")
        plain, metered = (shim.run(way, text.split(), sender, wrap=script)
                          for way in ("plain", "preload"))
        tap.same(metered.out, plain.out, f"preload of a script: {text}")
        tap.same(shim.packets_of(metered.report), 6, "preload of a script: 6 packets counted")
        tap.same(shim.lines_of(metered.err), [], "preload of a script: nothing to say")
    static_steps(sender)
    other_interposer(sender)
    named_after_its_owner(sender)
    tap.ok(shim.gone(brokers), "no broker is left behind")
    tap.done()


main()
