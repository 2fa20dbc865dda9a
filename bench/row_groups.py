#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""What a group (--by) costs a packet above the same meter without, with 1,000 keys alive."""
import lib

PACKETS = {"tcp": "eth/ip/tcp/pad(64)", "tunnel": "eth/ip/udp(dport=4789)/vxlan/eth/ip/tcp/data(40)",
           "ipv6": "eth/ip/ipv6/tcp"}
SETS = {"ip.dst": "one field", "ip.dst/24,port.dst": "two fields", "inner.ip.dst,inner.port.dst": "two inner fields",
        "addresses,ports,ip.proto": "five fields, either family", "path,frame.len": "path and length",
        "two": "two groups of two fields"}


def main():
    keys = lib.full(1000, 50)
    table = lib.figures(lib.run([lib.program("groups"), lib.full(20, 3), lib.full(200, 20), keys],
                                lib.hex_lines(PACKETS)))
    for packet in PACKETS:
        lib.row(f"groups/none, {packet}", table[packet, "none"], "ns", note="the whole of a packet")
        for name, words in SETS.items():
            lib.row(f"groups/{words}, {packet}", [a - b for a, b in zip(table[packet, name], table[packet, "none"])],
                    "ns", note=f"--by {name}, {keys} keys" if name != "two" else f"{keys} keys each")


main()
