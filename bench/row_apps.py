#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""What recognising applications costs in the kernel, above the same without: packets of flows that are known,
packets whose payload is looked at, and packets of new flows.

A run is programs loaded anew, as in row_cost.py."""
import json
import statistics

import lib

RUNS, ROUNDS, REPEAT = lib.full((11, 11, 50_000), (1, 3, 200))
TLS = "1603010200010001fc0303"
DNS = "123401000001000000000000037777770000010001"
# name: packet, nanoseconds at most. A SYN begins its flow anew, so what comes with one is looked at each time;
# what is cut off before its payload has none.
PACKETS = {
    "a known flow, TCP": (f"eth/ip/tcp(sport=4000,dport=443)/data(hex:{TLS})", 10),
    "a known flow, UDP": (f"eth/ip/udp(sport=4000,dport=53)/data(hex:{DNS})", 10),
    "a known flow, IPv6": (f"eth/ipv6/tcp(sport=4001,dport=443)/data(hex:{TLS})", 10),
    "a known flow, in VXLAN": (f"eth/ip/udp(dport=4789)/vxlan/eth/ip/tcp(sport=4002,dport=443)/data(hex:{TLS})", 10),
    "a flow that nothing is known of": ("eth/ip/udp(sport=4003,dport=9)/data(100)", 10),
    "looked at, TLS": (f"eth/ip/tcp(sport=4004,dport=443,flags=2)/data(hex:{TLS})", 100),
    "looked at, nothing": ("eth/ip/tcp(sport=4005,dport=9,flags=2)/data(100)", 100),
    "a new flow, SYN": ("eth/ip/tcp(sport=4006,dport=9,flags=2)", 40),
}


def run(names):
    table = lib.figures(lib.run([lib.program("chain"), ROUNDS, REPEAT], lib.hex_lines(names)))
    return {key: statistics.median(rounds) for key, rounds in table.items()}


def recognised():
    features = json.loads(lib.run([lib.SOCKTALLY, "features", "--format", "json"]))["features"]
    return any(feature["name"] == "applications" and feature["there"] for feature in features)


def main():
    if not recognised():
        lib.absent("apps", "no application is recognised in this kernel")
        return
    names = {f"p{i}": text for i, (text, _) in enumerate(PACKETS.values())}
    runs = [run(names) for _ in range(RUNS)]
    for key, (name, (_, most)) in zip(names, PACKETS.items()):
        more = [each[key, "whole"] - each[key, "plain"] for each in runs]
        lib.row(f"apps/{name}", more, "ns", goals=[lib.Goal("<=", most, "value")])


main()
