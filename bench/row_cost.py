#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""What a packet costs in the kernel, above a program that does nothing: the attached program with a
tool filter of ten instructions and the whole chain, against the tutorial filter that counts one
byte's values and knows nothing of a path.

A run is programs loaded anew: one loading is up to a tenth slower than another, for as long as it lasts."""
import statistics

import lib

RUNS, ROUNDS, REPEAT = lib.full((11, 11, 50_000), (1, 3, 200))
PACKETS = {
    "eth:ip:tcp": "eth/ip/tcp/pad(64)",
    "eth:ip:udp": "eth/ip/udp(dport=53)/data(40)",
    "eth:ip:tcp, 1514 bytes": "eth/ip/tcp(options=12)/data(1448)",
    "eth:ipv6:tcp": "eth/ipv6/tcp/data(20)",
    "eth:arp": "eth/arp/pad(60)",
    "eth:vlan:ip:udp": "eth/vlan/ip/udp/data(50)",
    "eth:ip:udp:vxlan:eth:ip:tcp": "eth/ip/udp(dport=4789)/vxlan/eth/ip/tcp/data(40)",
    "eth:vlan:ipv6:ipv6.dstopts:gre:ip:udp": "eth/vlan/ipv6/dstopts/gre/ip/udp/data(20)",
    "13 layers": "eth/vlan/vlan/ip/ip/ipv6/gre/eth/vlan/ip/udp(dport=4789)/vxlan/eth",
}


def run(names):
    """Nanoseconds of each program for each packet: the median of its rounds."""
    table = lib.figures(lib.run([lib.program("chain"), ROUNDS, REPEAT], lib.hex_lines(names)))
    return {key: statistics.median(rounds) for key, rounds in table.items()}


def above(table, packet, program):
    """Nanoseconds above the empty program, in each run."""
    return [a - b for a, b in zip(table[packet, program], table[packet, "empty"])]


def main():
    names = {f"p{i}": text for i, text in enumerate(PACKETS.values())}
    runs = [run(names) for _ in range(RUNS)]
    table = {key: [each[key] for each in runs] for key in runs[0]}
    # "p3" is a word and not a number because of its letter.
    for key, path in zip(names, PACKETS):
        goals = [lib.Goal("<=", 40, "value")]
        if path == "eth:ip:tcp":
            goals.append(lib.Goal("<=", 4))
        lib.row(f"cost/{path}", above(table, key, "whole"), "ns",
                ("tutorial filter", above(table, key, "tutorial")), goals)
    lib.row("cost/of it the tool's filter", above(table, "p0", "filter"), "ns",
            ("tutorial filter", above(table, "p0", "tutorial")),
            note="ten instructions, translated, with an empty chain behind")
    lib.row("cost/the empty program itself", table["p0", "empty"], "ns")


main()
