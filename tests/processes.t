#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Tools that fork, exec, start threads, close what they don't know, change root or user: they work
as without socktally, and are metered wherever that is possible."""
import os
import shim
import tap
import netns

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
    (f"exec {OPEN} {SEE}", 6, 6),
    (f"{OPEN} exec filter:reject filter:udp {SEE}", 6, 6),
    (f"exec fork exec {OPEN} exec {SEE}", 6, 6),
    # the channel's descriptor is gone: by the abstract address
    (f"closeall {OPEN} {SEE}", 6, 6),
    (f"closeall fork {OPEN} {SEE}", 6, 6),
    (f"closeall exec {OPEN} {SEE}", 6, 6),
    (f"fork closeall chroot setuid socket:raw:3", None, None),
    # privileges are dropped before the filter, as tcpdump does
    (f"socket:raw:0 bind:near:3 setuid filter:reject filter:udp {SEE}", 6, 6),
    (f"socket:raw:0 bind:near:3 chroot setuid filter:reject filter:udp {SEE}", 6, 6),
    (f"socket:raw:0 bind:near:3 closeall name", None, None),
    (f"chroot {OPEN} {SEE}", 6, 6),
    (f"closeall chroot {OPEN} {SEE}", 6, 6),
    (f"closeall socket:raw:0 bind:near:3 chroot setuid filter:reject filter:udp {SEE}", 6, 6),
    # another network namespace, where there is nothing to receive: the descriptor serves
    ("unshare socket:raw:3 filter:udp get:4 bind:lo:3", 0, 0),
    # and without the descriptor neither way is left: said once, and the tool goes on
    ("closeall unshare socket:raw:3 filter:udp filter:reject get:4 bind:lo:3 detach detach", None, None),
    # how it ends
    (f"{OPEN} {SEE} exit", 6, 6),
    (f"{OPEN} {SEE} kill", 6, 6),
    (f"wait {OPEN} wait {SEE} wait", 6, 6),
]

# The parent ends at once: `run` ends with it, the shim's own broker stays for the child.
DAEMONS = [
    f"daemon {OPEN} {SEE}",
    f"{OPEN} daemon filter:reject filter:udp {SEE}",
    f"daemon closeall {OPEN} {SEE}",
    f"closeall {OPEN} daemon {SEE}",
]


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
    tap.ok(shim.gone(brokers), "no broker is left behind")
    tap.done()


main()
