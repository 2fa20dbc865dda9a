#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""What metering takes from a tool: packets captured under a flood, and processor time for each, with
and without socktally, in turn. The sender has one CPU and the tool the other.

The flood goes through the socket's filter in the sender's time, so that the whole of what metering
costs is in the sender's; the tool's own time can only be touched through the caches.
"""
import os
import re
import time

import lib
import netns

TOOLS = {  # command, its package, what it says when it is ready, and how many it captured
    "tcpdump -w": (["tcpdump", "-n", "-i", "near", "-w", "FILE"], "tcpdump", "listening on",
                   r"(\d+) packets? captured"),
    "netsniff-ng": (["netsniff-ng", "--in", "near", "--out", "FILE", "--silent", "--no-promisc",
                     "--ring-size", "16MiB"], "netsniff-ng", "Running!", r"(\d+)\s+packets incoming"),
}


def once(tool, flood, folder, with_us):
    """Captured packets a second; the tool's own and all processor time, for each packet of the
    flood, in ns; packets lost by the tool."""
    command, _, ready, captured = TOOLS[tool]
    command = [folder.path("capture") if word == "FILE" else word for word in command]
    if with_us:
        command = lib.metered(command, folder.path("report"))
    with open(folder.path("output"), "wb") as output:
        process = lib.Process(command, stdout=output, stderr=output)
    lib.wait_ready(folder, "output", ready, process)
    before = process.cpu()
    said = flood.send()
    time.sleep(0.3)
    cpu = process.cpu() - before
    process.stop()
    found = re.search(captured, folder.text("output"))
    size = os.path.getsize(folder.path("capture"))
    folder.remove("capture")
    # netsniff-ng counts what its ring dropped as incoming; the file knows.
    count = size / (flood.bytes + 16) if tool == "netsniff-ng" else int(found[1])
    return (count / said["seconds"] / 1e6, said["sent"] / said["seconds"] / 1e6,
            1e9 * cpu / count, 1e9 * (said["cpu"] + cpu) / said["sent"])


def measure(tool, flood, folder):
    runs = {True: [], False: []}
    for i in range(2 * lib.RUNS):
        with_us = i % 4 in (0, 3)  # first the one, then the other
        runs[with_us].append(once(tool, flood, folder, with_us))
    for column, name, unit, goal in (
            (0, "captured", "Mpps", lib.Goal(">=", 0.98)),
            (1, "sent past it", "Mpps", None),
            (2, "the tool's CPU for each captured", "ns", lib.Goal("<=", 1.02)),
            (3, "all CPU for each sent", "ns", lib.Goal("<=", 1.02))):
        lib.row(f"slowdown/{tool}/{name}", [run[column] for run in runs[True]], unit,
                (f"{tool} alone", [run[column] for run in runs[False]]), [goal] if goal else [])


def main():
    netns.Net()
    folder = lib.Folder()
    text = "eth/ip/udp(dport=9)/data(22)"
    for tool, (command, package, *_) in TOOLS.items():
        if not lib.have(f"slowdown/{tool}", command[0], package):
            continue
        flood = lib.Flood({"eth:ip:udp": text}, "-m", "live", "-t", lib.full(1, 0.1))
        flood.bytes = len(lib.packets.frame(text))
        measure(tool, flood, folder)


main()
