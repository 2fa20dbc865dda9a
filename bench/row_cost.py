#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""What a packet costs in the kernel, above a program that does nothing: the attached program with a
tool filter of ten instructions and the whole chain, against the tutorial filter that counts one
byte's values and knows nothing of a path."""
import lib

PACKETS = {
    "eth:ip:tcp": "eth/ip/tcp/pad(64)",
    "eth:ip:udp": "eth/ip/udp(dport=53)/data(40)",
    "eth:ip:tcp, 1514 bytes": "eth/ip/tcp(options=12)/data(1448)",
    "eth:ipv6:tcp": "eth/ipv6/tcp/data(20)",
    "eth:arp": "eth/arp/pad(60)",
    "eth:vlan:ip:udp": "eth/vlan/ip/udp/data(50)",
    "eth:ip:udp:vxlan:eth:ip:tcp": "eth/ip/udp(dport=4789)/vxlan/eth/ip/tcp/data(40)",
    "eth:vlan:ipv6:ipv6.dstopts:gre:ip:udp": "eth/vlan/ipv6/dstopts/gre/ip/udp/data(20)",
}


def above(table, packet, program):
    """Nanoseconds above the empty program, in each round."""
    return [a - b for a, b in zip(table[packet, program], table[packet, "empty"])]


def main():
    names = {f"p{i}": text for i, text in enumerate(PACKETS.values())}
    table = lib.figures(lib.run([lib.program("chain"), lib.full(100, 3), lib.full(20000, 200)],
                                lib.hex_lines(names)))
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
