#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""How the cost of a packet grows: with live paths, with sockets on one meter, with CPUs. What a
socket's filter takes of the sender's time, above the same sockets unmetered."""
import subprocess

import lib
import netns


class Sockets:
    """So many of them that reject everything, on an interface, on one meter or on none."""
    def __init__(self, named, interface, count, metered):
        self.count, self.sent, self.sender = count, 0, lib.Sender(named, interface)
        self.process = subprocess.Popen(
            [lib.program("sockets"), str(count), interface] + ["metered"] * metered,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True)
        netns.started.append(self.process)
        assert self.process.stdout.readline() == "ready\n"

    def receive(self, packets):
        """The sender's nanoseconds for a packet."""
        said = self.sender.send(packets)
        self.sent += said["sent"]
        return said["ns"]

    def close(self):
        """What was counted."""
        self.sender.close()
        return {key[0]: int(values[0])
                for key, values in lib.figures(self.process.communicate("")[0]).items()}


class Case:
    """What so many sockets with so many paths cost a packet, above the same without a meter."""
    made = 0

    def __init__(self, net, named, sockets=1):
        self.named, self.count, self.runs = named, sockets, []
        self.interfaces = [f"near{2 * Case.made + i}" for i in (1, 2)]
        Case.made += 1
        for interface in self.interfaces:
            net.add_pair(interface, interface.replace("near", "far"))

    def open(self):
        self.interfaces.reverse()
        self.plain, self.metered = (
            Sockets(self.named, interface, self.count, metered)
            for interface, metered in zip(self.interfaces, (False, True)))
        self.run(len(self.named))  # the table's memory is cold

    def run(self, packets):
        """In ns."""
        order = (self.plain, self.metered) if len(self.runs) % 2 else (self.metered, self.plain)
        ns = {sockets: sockets.receive(packets) for sockets in order}
        return (ns[self.metered] - ns[self.plain]) / self.count

    def close(self):
        """All has to be counted, and no path as another one."""
        self.plain.close()
        counted, sent = self.metered.close(), self.metered.sent
        if (counted["packets"], counted["paths"]) != (sent * self.count, len(self.named)):
            raise ArithmeticError(f"{sent} packets of {len(self.named)} paths sent, counted {counted}")


def compare(cases, packets, name):
    """cases: {how many: a case}, in turn, with the first one as the baseline. All is made anew from session
    to session, as the memory that a table happens to get makes some nanoseconds of difference."""
    for _ in range(lib.full(10, 1)):
        for case in cases.values():
            case.open()
        for _ in range(lib.full(4, 1)):
            for case in cases.values():
                case.runs.append(case.run(packets))
        for case in cases.values():
            case.close()
    (first, base), *others = cases.items()
    for count, case in others:
        lib.row(f"scale/{name(count)}", case.runs, "ns", (name(first), base.runs),
                [lib.Goal("<=", 1.1)])


def by_paths(net):
    counts = lib.full((1, 100, 1000, 10_000), (1, 100))
    compare({count: Case(net, lib.many_paths(count)) for count in counts}, lib.full(150_000, 3000),
            lambda count: f"{count} live path{'s' if count > 1 else ''}")


def by_sockets(net):
    counts = lib.full((1, 2, 4, 8), (1, 2))
    named = {"eth:ip:tcp": "eth/ip/tcp/pad(64)"}
    compare({count: Case(net, named, count) for count in counts}, lib.full(150_000, 3000),
            lambda count: f"{count} socket{'s, each' if count > 1 else ''}")


def by_cpus():
    named = {"p": "eth/ip/tcp/pad(64)"}
    runs = {1: [], 2: []}
    for _ in range(lib.RUNS):
        for threads, values in runs.items():
            table = lib.figures(lib.run([lib.program("chain"), lib.full(10, 2), lib.full(20000, 200),
                                         threads], lib.hex_lines(named)))
            values.append(min(table["p", "whole"]))
    lib.row("scale/2 CPUs at once", runs[2], "ns", ("1 CPU", runs[1]), [lib.Goal("<=", 1.1)],
            note="the whole run of the program, the empty one included")


def main():
    net = netns.Net()
    by_cpus()
    by_sockets(net)
    by_paths(net)


main()
