#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""What a packet costs with 10, 100 and 1,000 classes of ports, hosts, nets, ranges of ports, and
expressions of ten forms: on a meter, above the same meter without, against the same number of
filters that are run one after the other."""
import lib

PACKETS = ("eth/ip(dst=10.1.0.7)/tcp(dport=22)/data(64)", "eth/ip/udp(dport=53)/data(40)",
           "eth/ip(src=10.2.0.9)/tcp/data(1448)", "eth/ipv6/tcp/data(20)", "eth/arp/pad(60)",
           "eth/ip/icmp/data(56)")
KINDS = ("port", "host", "net", "mixed", "range", "varied")


def main():
    names = {f"p{i}": text for i, text in enumerate(PACKETS)}
    table = lib.figures(lib.run([lib.program("classes"), lib.full(15, 1), lib.full(20000, 100)],
                                lib.hex_lines(names)))
    for kind in KINDS:
        for count in (10, 100, 1000):
            key = f"{kind}-{count}"
            # filters of many forms share little: what they cost is told, and has no goal
            goals = [lib.Goal(">=", 20)] if count == 1000 and kind != "varied" else []
            lib.row(f"classes/{kind} {count}", table[key, "classes"], "ns",
                    ("libpcap, one by one", table[key, "libpcap"]), goals, faster=True)
            lib.row(f"classes/{kind} {count}, in the kernel both", table[key, "classes"], "ns",
                    ("programs, one by one", table[key, "jit"]), goals, faster=True)
            lib.row(f"classes/{kind} {count}, on a file", table[key, "native"], "ns",
                    ("libpcap, one by one", table[key, "libpcap"]), faster=True)


main()
