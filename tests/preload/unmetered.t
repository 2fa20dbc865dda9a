#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Sockets of the tool that the library in it does not know of, and those that lose their program past it:
said in one line and in the report. Other processes' sockets are none of ours."""
import os
import signal
import subprocess
import sys
import tempfile
import time

import live
import netns
import shim
import tap

# bare: a socket by system calls alone, as a Go runtime's; known: by the C library;
# filter: a filter set by a libc that was opened by its name, where dlsym() finds no interposer
TOOL = r"""
import ctypes, ctypes.util, socket, struct, subprocess, sys, time
libc = ctypes.CDLL(ctypes.util.find_library("c"), use_errno=True)
near = socket.if_nametoindex("near")
sockets = []
def bare():
    libc.syscall.restype = ctypes.c_long
    own = ctypes.CDLL(ctypes.util.find_library("c"))
    descriptor = own.socket(17, 3, 0)
    address = struct.pack("=HHiHBB8s", 17, socket.htons(3), near, 0, 0, 0, b"")
    assert own.bind(descriptor, address, len(address)) == 0
    sockets.append(socket.socket(fileno=descriptor))
def known():
    sockets.append(socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0))
    sockets[-1].bind(("near", 3))
def filter():
    accept = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, 0xffff))
    program = struct.pack("HxxxxxxP", 1, ctypes.addressof(accept))
    assert libc.setsockopt(sockets[0].fileno(), socket.SOL_SOCKET, 26, program, len(program)) == 0
for step in sys.argv[1:]:
    if step == "wait":
        print("ready", flush=True)
        sys.stdin.readline()
    elif step == "exit":
        libc.exit(0) # with its sockets
    else:
        globals()[step]()
"""
LINE = "run --attach meters it"


def run(way, steps, sender, wait=0.6, wrap=()):
    guest = shim.Guest(way, [*wrap, sys.executable, "-c", TOOL, *steps.split()])
    while guest.wait_ready():
        time.sleep(wait) # looks are 16, 32, 64 ... milliseconds apart, and two of them have to see it
        netns.send(sender, shim.FRAMES)
        guest.go_on()
        guest.out += b"sent\n"
    return guest.finish()


def children(parent, comm):
    """Processes of that name that the process has started."""
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{entry}/stat", encoding="ascii", errors="replace") as file:
                name, rest = file.read().split("(", 1)[1].rsplit(")", 1)
        except OSError:
            continue
        if name == comm and int(rest.split()[1]) == parent:
            found.append(int(entry))
    return found


def notes(result):
    return [note["text"] for note in (result.report or {}).get("notes", []) if note["event"] == "unmetered"]


def main():
    shim.need()
    tap.time_limit(200)
    net = netns.Net()
    sender = net.sender("far")
    others = netns.start([sys.executable, "-c", TOOL, "bare", "wait"], stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE)
    others.stdout.readline()
    for way in "run", "preload":
        result = run(way, "known bare wait", sender)
        lines = shim.lines_of(result.err)
        tap.ok(len(lines) == 1 and LINE in lines[0] and "(near)" in lines[0] and "C library" in lines[0],
               f"{way}: half metered: one line", result.err)
        tap.ok(len(notes(result)) == 1 and "on near" in notes(result)[0] and "not metered" in notes(result)[0],
               f"{way}: and a note in the report", result.report)
        tap.same(shim.packets_of(result.report), 6, f"{way}: the other one is counted")
        result = run(way, "known bare bare bare wait", sender)
        tap.ok(len(shim.lines_of(result.err)) == 1 and len(notes(result)) == 3,
               f"{way}: three of them: one line, three notes", f"{result.err} {result.report}")
        result = run(way, "bare wait", sender)
        tap.ok(result.err.count("socktally: ") - result.err.count("nothing to report") == 1 and LINE in result.err,
               f"{way}: none is known: one line", result.err)
        result = run(way, "known wait filter wait", sender)
        lines = shim.lines_of(result.err)
        tap.ok(len(lines) == 1 and "no longer metered" in lines[0], f"{way}: a filter past the library: one line",
               result.err)
        tap.ok(len(notes(result)) == 1 and "set a filter on near" in notes(result)[0],
               f"{way}: and a note", result.report)
        result = run(way, "known wait", sender)
        tap.ok(not shim.lines_of(result.err) and not notes(result), f"{way}: nothing to say", result.err)
    guest = shim.Guest("run", [sys.executable, "-c", TOOL, "known", "wait"])
    guest.wait_ready()
    watchers = children(guest.process.pid, "socktally-watch")
    for pid in watchers:
        os.kill(pid, signal.SIGSTOP) # as a hostile process holds it up
    guest.go_on()
    tap.ok(len(watchers) == 1 and guest.finish().status == 0, "run: a watcher that hangs does not hold up the end")
    result = run("preload", "bare exit", sender)
    tap.ok(LINE in result.err, "preload: a tool that lives for a moment: seen when it exits", result.err)
    result = run("run", "known wait", sender, wrap=["env", "-u", "LD_PRELOAD"])
    tap.ok("started without LD_PRELOAD" in result.err and result.err.count("\n") == 1,
           "run: a tool without LD_PRELOAD: said, and why", result.err)
    with tempfile.TemporaryDirectory(prefix="socktally-test-") as folder:
        static = f"{folder}/static"
        source = ('#include <sys/socket.h>\n#include <stdio.h>\nint main(void)\n{\n'
                  'socket(AF_PACKET, SOCK_RAW, 0x300); puts("ready"); fflush(stdout); getchar(); return 0; }\n')
        built = subprocess.run(["cc", "-static", "-o", static, "-x", "c", "-"], input=source, text=True, check=False)
        guest = shim.Guest("run", ["sh", "-c", f"{static}; exit 3"])
        if built.returncode:
            tap.skip("a static program of a script", "can't be built here")
        else:
            guest.wait_ready()
            time.sleep(0.6)
            guest.go_on()
            result = guest.finish()
            tap.ok("linked statically" in result.err and result.status == 3 and result.err.count("\n") == 1,
                   "run: a static program of a script: said, and why", result.err)
    others.communicate(b"\n")
    tap.ok(shim.gone(0) and shim.gone(0, "run"), "no watcher is left")
    tap.done()


main()
