#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""What metering takes from a tool: packets captured, and processor time for each, with and without
socktally. The sender has one CPU and the tools the other.

Two of the same tool run at once, one metered and one not, each on an interface of its own that gets
short floods in turn, so that what disturbs the machine disturbs both. They change places from session to
session, or the memory that a ring happened to get would be taken for the difference.

Two rates: a flood is as many packets as the receiving CPU can take, which has the sender's work and the
filter's in it; a steady rate below that is what came from elsewhere and is captured or not.
"""
import os
import time

import lib
import netns

TOOLS = {  # command, its package and what it says when it is ready
    "tcpdump -w": (["tcpdump", "-n", "-i", "INTERFACE", "-w", "FILE"], "tcpdump", "listening on"),
    "netsniff-ng": (["netsniff-ng", "--in", "INTERFACE", "--out", "FILE", "--silent", "--no-promisc",
                     "--ring-size", "16MiB"], "netsniff-ng", "Running!"),
}
INTERFACES = ("near", "near2")
PACKET = "eth/ip/udp(dport=9)/data(22)"
RECORD = 16 + len(lib.packets.frame(PACKET))  # in a capture file
STEADY = 0.7  # of what the unmetered tool's flood reaches


class Capture:
    """A running tool that writes to a file."""
    def __init__(self, tool, interface, folder, metered):
        command, _, ready = TOOLS[tool]
        self.path = folder.path(f"{interface}.pcap")
        command = [{"FILE": self.path, "INTERFACE": interface}.get(word, word) for word in command]
        if metered:
            command = lib.metered(command, folder.path("report"))
        self.folder = folder
        with open(folder.path(interface), "wb") as output:
            self.process = lib.Process(command, stdout=output, stderr=output)
        lib.wait_ready(folder, interface, ready, self.process)
        self.sender = lib.Sender({"p": PACKET}, interface)

    def flood(self, seconds, rate=0):
        """Captured packets a second, in millions, of the receiving CPU's time in a flood; the tool's
        processor time for each captured, and all of it for each sent, in ns."""
        cpu, size = self.process.cpu(), os.path.getsize(self.path)
        said = self.sender.send(0, seconds, rate)
        time.sleep(0.15)  # a block that is not full is handed over after that at the latest
        cpu = self.process.cpu() - cpu
        captured = (os.path.getsize(self.path) - size) / RECORD
        lib.free_memory(self.path)
        taken = said["seconds"] if rate else said["cpu"]  # it never waits in a flood
        return (captured / taken / 1e6, 1e9 * cpu / max(captured, 1),
                said["ns"] + 1e9 * cpu / said["sent"])

    def stop(self):
        self.sender.close()
        self.process.stop()
        self.folder.remove(os.path.basename(self.path))


def session(tool, folder, metered_on, runs):
    """Pairs of floods and pairs at a steady rate, added to runs[with us?][kind]."""
    captures = {interface == metered_on: Capture(tool, interface, folder, interface == metered_on)
                for interface in INTERFACES}
    seconds = lib.full(0.15, 0.02)
    first = captures[False].flood(seconds)  # and the ring's memory is there
    captures[True].flood(seconds)
    rates = {"flood": 0, "steady": int(STEADY * 1e6 * first[0])}
    for i in range(lib.full(6, 1)):
        for kind, rate in rates.items():
            for with_us in (True, False) if i % 2 else (False, True):
                runs[with_us][kind].append(captures[with_us].flood(seconds, rate))
    for capture in captures.values():
        capture.stop()


def measure(tool, folder):
    runs = {with_us: {"flood": [], "steady": []} for with_us in (True, False)}
    for i in range(lib.full(8, 1)):
        session(tool, folder, INTERFACES[i % 2], runs)
    for kind, column, name, unit, goal in (
            ("steady", 0, "captured at a steady rate", "Mpps", lib.Goal(">=", 0.98)),
            ("flood", 0, "captured of a flood", "Mpps", lib.Goal(">=", 0.98)),
            ("flood", 1, "the tool's CPU for each captured", "ns", lib.Goal("<=", 1.02)),
            ("flood", 2, "all CPU for each sent", "ns", lib.Goal("<=", 1.02))):
        ours, theirs = ([run[column] for run in runs[with_us][kind]] for with_us in (True, False))
        lib.row(f"slowdown/{tool}/{name}", ours, unit, (f"{tool} alone", theirs), [goal])


def main():
    net = netns.Net()
    net.add_pair("near2", "far2")
    folder = lib.Folder()
    for tool, (command, package, _) in TOOLS.items():
        if lib.have(f"slowdown/{tool}", command[0], package):
            measure(tool, folder)


main()
