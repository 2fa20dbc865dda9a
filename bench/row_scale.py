#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""How the cost of a packet grows: with live paths, with sockets on one meter, with CPUs. What a
socket's filter takes of the sender's time, above the same sockets unmetered."""
import itertools
import subprocess

import lib
import netns

# Of one length, and all read by the same code: so it is the table that makes the difference, not what
# a processor guesses wrong where packets differ. (Tags won't do: two of 802.1ad in a row are one layer.)
HEADERS = ("hopopts", "dstopts", "routing(segments=0)")
ENDS = ("tcp", "icmpv6/data(16)", "sctp/data(8)", "dccp/data(4)", "esp/data(12)")


def many_paths(count):
    """Packets of the same depth, each of another path."""
    texts = ("/".join(("eth/ipv6", *headers, end)) for headers in itertools.product(
        HEADERS, repeat=7) for end in ENDS)
    return {f"p{i}": text for i, text in enumerate(itertools.islice(texts, count))}


def sender_ns(flood, sockets, metered):
    """The sender's nanoseconds for a packet. All has to be counted, and no path as another one."""
    process = subprocess.Popen([lib.program("sockets"), str(sockets), "near"] +
                               ["metered"] * metered, stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True)
    netns.started.append(process)
    assert process.stdout.readline() == "ready\n"
    said = flood.send()
    text = process.communicate("")[0]
    counted = {key[0]: int(values[0]) for key, values in lib.figures(text).items()}
    if metered and counted["packets"] != said["sent"] * sockets:
        raise ArithmeticError(f"sent {said['sent']}, counted {counted['packets']}")
    if metered and counted["paths"] != flood.kinds:
        raise ArithmeticError(f"{flood.kinds} paths sent, {counted['paths']} in the table")
    return 1e9 * said["cpu"] / said["sent"]


def cost(flood, sockets):
    """Above the same without a meter, in turn."""
    plain = sender_ns(flood, sockets, False)
    return sender_ns(flood, sockets, True) - plain


def by_paths():
    counts = lib.full((1, 100, 1000, 10_000), (1, 100))
    floods = {count: lib.Flood(many_paths(count), "-m", "send", "-n",
                               lib.full(max(300_000, count), 3000)) for count in counts}
    runs = {count: [] for count in counts}
    for _ in range(lib.full(5, 1)):
        for count, flood in floods.items():
            runs[count].append(cost(flood, 1))
    for count in counts[1:]:
        lib.row(f"scale/{count} live paths", runs[count], "ns", ("1 live path", runs[1]),
                [lib.Goal("<=", 1.1)])


def by_sockets():
    counts = lib.full((1, 2, 4, 8), (1, 2))
    flood = lib.Flood({"eth:ip:tcp": "eth/ip/tcp/pad(64)"}, "-m", "live", "-n",
                      lib.full(500_000, 3000))
    runs = {count: [] for count in counts}
    for _ in range(lib.full(5, 1)):
        for count in counts:
            runs[count].append(cost(flood, count) / count)
    for count in counts[1:]:
        lib.row(f"scale/{count} sockets, each", runs[count], "ns", ("1 socket", runs[1]),
                [lib.Goal("<=", 1.1)])


def by_cpus():
    named = {"p": "eth/ip/tcp/pad(64)"}
    runs = {1: [], 2: []}
    for _ in range(lib.full(5, 1)):
        for threads, values in runs.items():
            table = lib.figures(lib.run([lib.program("chain"), lib.full(10, 2), lib.full(20000, 200),
                                         threads], lib.hex_lines(named)))
            values.append(min(table["p", "whole"]))
    lib.row("scale/2 CPUs at once", runs[2], "ns", ("1 CPU", runs[1]), [lib.Goal("<=", 1.1)],
            note="the whole run of the program, the empty one included")


def main():
    netns.Net()
    by_cpus()
    by_sockets()
    by_paths()


main()
