#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""What hooks cost a packet above the same meter without: 1, 4 and 28 that only pass, for each of
them, and each built-in hook."""
import lib

PACKETS = {"tcp": "eth/ip/tcp/pad(64)", "tunnel": "eth/ip/udp(dport=4789)/vxlan/eth/ip/tcp/data(40)",
           "icmp": "eth/ip/icmp/data(56)"}
BUILTIN = ("sizes", "tcpflags", "icmp", "talkers", "rate", "drop", "snap", "sample")


def above(table, packet, hooks, share=1):
    return [(a - b) / share for a, b in zip(table[packet, hooks], table[packet, "none"])]


def main():
    table = lib.figures(lib.run([lib.program("hooks"), lib.full(40, 3), lib.full(20000, 200)],
                                lib.hex_lines(PACKETS)))
    lib.row("hooks/none", table["tcp", "none"], "ns", note="the whole of a packet, with the empty call")
    lib.row("hooks/the first one", above(table, "tcp", "pass-1"), "ns",
            note="parse and tally are programs of their own then")
    more = [(a - b) / 24 for a, b in zip(table["tcp", "pass-28"], table["tcp", "pass-4"])]
    lib.row("hooks/each further one", more, "ns")
    lib.row("hooks/28 of them", above(table, "tcp", "pass-28"), "ns")
    for name in BUILTIN:
        for packet in PACKETS:
            lib.row(f"hooks/{name}, {packet}",
                    [a - b for a, b in zip(table[packet, name], table[packet, "pass-1"])], "ns",
                    note="above a hook that only passes")


main()
