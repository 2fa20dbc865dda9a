#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Ratios that `make bench` measures with care, here with bounds so wide that a busy machine keeps them: a change
that doubles the cost of something is seen. Of each thing the best of many short runs counts."""
import os
import shutil
import sys

import bench_programs
import netns
import place
import tap

sys.path.insert(0, os.path.join(place.SOURCES, "bench"))
import lib  # noqa: E402 pylint: disable=wrong-import-position

# At most so many times the baseline; docs/performance.md has what they are on a quiet machine.
COUNTING = 6    # the whole chain to the tutorial filter, eth:ip:tcp
METERED = 1.25  # all processor time for a packet that tcpdump writes, metered to alone
READING = 1.4   # processor time of read to that of tcpdump --count


def counting():
    """A short run fits between two interruptions."""
    best = {}
    for _ in range(6):
        table = lib.figures(lib.run([lib.program("chain"), 60, 2000], lib.hex_lines({"p": "eth/ip/tcp/pad(64)"})))
        for (_, program), rounds in table.items():
            best[program] = min([best.get(program, rounds[0]), *rounds])
    whole, tutorial = (best[program] - best["empty"] for program in ("whole", "tutorial"))
    tap.ok(tutorial > 0 and whole <= COUNTING * tutorial,
           f"eth:ip:tcp: {whole:.1f} ns, the tutorial filter {tutorial:.1f} ns: at most {COUNTING} times")


def capture(folder, interface, metered):
    command = ["tcpdump", "-n", "-i", interface, "-w", "/dev/null"]
    with open(folder.path(interface), "wb") as output:
        process = lib.Process(lib.metered(command, folder.path("report")) if metered else command,
                              stdout=output, stderr=output)
    lib.wait_ready(folder, interface, "listening on", process)
    return process, lib.Sender({"p": "eth/ip/udp(dport=9)/data(22)"}, interface)


def cost(process, sender):
    """Nanoseconds for each packet that was sent: the sender's, which receives as well, and the tool's."""
    before = process.cpu()
    said = sender.send(0, 0.05, 0)
    return said["ns"] + 1e9 * (process.cpu() - before) / said["sent"]


def metering(net, folder):
    net.add_pair("near2", "far2")
    best = {}
    for turn in range(2):
        pair = {metered: capture(folder, ("near", "near2")[metered ^ turn], metered) for metered in (0, 1)}
        for _ in range(20):
            for metered, (process, sender) in pair.items():
                best[metered] = min(best.get(metered, 1e9), cost(process, sender))
        for process, sender in pair.values():
            sender.close()
            process.stop()
    tap.ok(best[1] <= METERED * best[0],
           f"tcpdump: {best[1]:.0f} ns a packet, alone {best[0]:.0f} ns: at most {METERED} times")


def reading(folder):
    path = folder.path("many.pcap")
    with open(path, "wb") as file:
        file.write(lib.packets.pcap([lib.packets.build(text) for text in lib.MIX] * 50_000))
    best = [min(lib.timed([*command, path]).cpu for _ in range(6))
            for command in ([lib.SOCKTALLY, "read", "--format", "json"], ["tcpdump", "--count", "-r"])]
    tap.ok(best[0] <= READING * best[1],
           f"read: {best[0]:.3f} s, tcpdump --count {best[1]:.3f} s: at most {READING} times")


def main():
    if os.geteuid() or not shutil.which("tcpdump"):
        tap.skip_all("needs root and tcpdump")
    tap.time_limit(200)
    net = netns.Net()
    bench_programs.build()
    folder = lib.Folder()
    counting()
    metering(net, folder)
    reading(folder)
    tap.done()


main()
