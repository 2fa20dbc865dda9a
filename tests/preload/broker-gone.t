#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The broker is killed while the tool has sockets, or hangs: every later call answers as it does without us,
the tool's filter can still be read, and a new one simply works."""
import os
import signal

import netns
import shim
import tap

GET = "get:0 get:4 get:3 get:1 get:100 get:-1 get:4096 get:9999 get:badlength"
OPEN = "socket:raw:0 bind:near:3"

# the broker is killed at the first "ready"
CASES = [
    f"{OPEN} filter:udp ready packets {GET} ready packets",
    f"{OPEN} filter:udp ready detach {GET} detach ready packets",
    f"{OPEN} filter:udp ready filter:snap {GET} ready packets detach detach ready packets",
    f"{OPEN} filter:udp ready filter:invalid filter:noreturn filter:badpointer {GET} ready packets",
    f"{OPEN} filter:udp filter:invalid ready {GET} lock filter:snap detach {GET}",
    f"{OPEN} filter:udp detach ready {GET} detach filter:udp {GET} ready packets",
    f"{OPEN} ready {GET} detach detach ready packets",
    f"socket:raw:3 ready {GET} detach bind:near:3 ready packets",
    f"socket:dgram:3 filter:udp bind:near:3 ready {GET} fork {GET} filter:reject {GET} ready packets",
    f"{OPEN} filter:700 filter:400 ready {GET} pass {GET} dup get:400",
    # another socket's filters leave this one's where it is
    f"{OPEN} filter:udp others:40 ready {GET}",
    f"{OPEN} filter:udp ready fill {GET} detach {GET} free filter:snap {GET} ready packets",
    f"{OPEN} filter:hatype filter:udp ready {GET}",
    f"{OPEN} filter:udp filter:hatype ready {GET}",
    f"{OPEN} filter:udp ready ebpf {GET} detach {GET}",
    f"{OPEN} filter:udp ready bind:lo:3 bind:near:3 bind:none:3 {GET} ready packets",
    f"ready {OPEN} filter:udp {GET} ready packets detach detach",
    f"{OPEN} filter:udp socket:raw:0 bind:near:3 filter:snap ready {GET} close {OPEN} filter:udp {GET}",
]

# it is stopped at the first "ready", and goes on at the second
HANGS = [
    f"{OPEN} filter:udp ready get:4 ebpf {GET} detach {GET} ready packets",
    f"{OPEN} filter:udp ready get:4 filter:snap {GET} detach detach {GET} ready packets",
    f"socket:raw:3 ready others:1 detach {GET} detach ready packets",
]


def run(way, steps, sender, signals):
    guest = shim.Guest(way, [shim.HELPER, *steps])
    signals = iter(signals)
    while guest.wait_ready():
        number = next(signals, None)
        if number and way != "plain":
            for pid in [guest.process.pid] if way == "run" else shim.processes("broker"):
                os.kill(pid, number)
        netns.send(sender, shim.FRAMES)
        guest.go_on()
        guest.out += b"sent\n"
    return guest.finish()


def main():
    shim.need()
    tap.time_limit(200)
    net = netns.Net()
    sender = net.sender("far")
    for cases, signals in (CASES, [signal.SIGKILL]), (HANGS, [signal.SIGSTOP, signal.SIGCONT]):
        for text in cases:
            plain = run("plain", text.split(), sender, signals)
            for way in "run", "preload":
                metered = run(way, text.split(), sender, signals)
                tap.same(metered.out, plain.out, f"{way}: {text}")
                tap.ok(sum("has ended" in line or "no answer" in line for line in shim.lines_of(metered.err)) <= 1,
                       f"{way}: said once at most", metered.err)
    tap.done()


main()
