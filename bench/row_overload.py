#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Exactness under overload: a flood of twelve protocols past a tcpdump that prints to a slow pipe.
What the kernel has counted against what the sender has sent, for each protocol."""
import json
import os
import re
import threading
import time

import lib
import netns


class SlowReader:
    """Takes a page of a pipe every ten milliseconds, as a terminal would; at the end everything."""
    def __init__(self, descriptor):
        self.descriptor, self.hurry, self.last = descriptor, False, time.monotonic()
        self.thread = threading.Thread(target=self.read, daemon=True)  # or Ctrl-C would wait for it
        self.thread.start()

    def read(self):
        while os.read(self.descriptor, 1 << 20 if self.hurry else 4096):
            self.last = time.monotonic()
            if not self.hurry:
                time.sleep(0.01)
        os.close(self.descriptor)

    def drain(self):
        """Until nothing comes any more: a signal in a write would end tcpdump without a word."""
        self.hurry, self.last = True, time.monotonic()
        while time.monotonic() - self.last < 0.3:
            time.sleep(0.05)


def once(flood, folder):
    """What the sender says, the report, and tcpdump's own figures: captured, received, dropped."""
    reader, writer = os.pipe2(os.O_CLOEXEC)
    with open(folder.path("stderr"), "wb") as stderr:
        tool = lib.Process(lib.metered(["tcpdump", "-n", "-i", "near"], folder.path("report")),
                           stdout=writer, stderr=stderr)
    os.close(writer)
    slow = SlowReader(reader)
    lib.wait_ready(folder, "stderr", "listening on", tool)
    sent = flood.send()
    slow.drain()
    tool.stop()
    slow.thread.join()
    own = re.findall(r"^(\d+) packets? (?:captured|received|dropped)", folder.text("stderr"), re.M)
    return sent, json.loads(folder.text("report")), *map(int, own[:3])


def main():
    if not lib.have("overload", "tcpdump", "tcpdump"):
        return
    netns.Net()
    folder = lib.Folder()
    named = lib.paths_of(lib.MIX)
    flood = lib.Flood(named, "-m", "live", "-n", lib.full(3_000_000, 60_000))
    ours, theirs, lost, exact, text = [], [], [], True, ""
    for _ in range(lib.full(5, 1)):
        sent, report, captured, received, dropped = once(flood, folder)
        counts = {row["path"]: row["packets"] for row in report["paths"]}
        if counts != {path: sent["each"] for path in named}:
            exact = False
            text = f"; sent {sent['each']} of each, counted {counts}"
        ours.append(report["totals"]["packets"])
        theirs.append(captured)
        lost.append(100 * dropped / received)
    lib.row("overload/packets counted", ours, "pkts", ("packets that tcpdump saw", theirs),
            note="as many as were sent, at full speed" if exact else "")
    lib.row("overload/dropped by tcpdump's ring", lost, "%", goals=[lib.Goal(">=", 50, "value")])
    lib.fact("overload/each protocol's count", exact,
             "the sender's own, to the packet, for each of twelve" + text)


main()
