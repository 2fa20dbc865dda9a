#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Reading all counters: 100 paths on every CPU, against a per-CPU hash map of the same content."""
import lib

OUTSIDE = ("eth", "eth/vlan", "eth/ieee8021ad/vlan", "eth/ip/gre/eth",
           "eth/ip/udp(dport=4789)/vxlan/eth")
INSIDE = ("arp", "ip/tcp", "ip/udp", "ip/icmp", "ip/igmp", "ip/sctp", "ip/esp", "ip/gre/ip/udp",
          "ip/ip/tcp", "ip/ipv6/udp", "ipv6/tcp", "ipv6/udp", "ipv6/icmpv6", "ipv6/hopopts/icmpv6",
          "ipv6/fraghdr/udp", "ipv6/dstopts/tcp", "ipv6/ah/udp", "ipv6/gre/ip/udp", "ipv6/ipv6/udp",
          "ipv6/sctp")


def main():
    named = {f"{out}/{inside}": f"{out}/{inside}" for out in OUTSIDE for inside in INSIDE}
    table = lib.figures(lib.run([lib.program("snapshot"), lib.full(50, 3), lib.full(50, 2)],
                                lib.hex_lines(named)))
    table = {key[0]: values for key, values in table.items()}
    ours = [1e-3 * value for value in table["snapshot"]]
    for way, name in (("lookup", "bpf_map_lookup_elem for each path"),
                      ("walk", "bpf_map_get_next_key and bpf_map_lookup_elem"),
                      ("batch", "BPF_MAP_LOOKUP_BATCH")):
        goals = [lib.Goal("<=", 2, "value"), lib.Goal(">=", 50)] if way == "lookup" else []
        lib.row(f"snapshot/against {way}", ours, "us",
                (name, [1e-3 * value for value in table[way]]), goals, faster=True)
    lib.row("snapshot/totals only", [1e-3 * value for value in table["totals"]], "us")
    lib.fact("snapshot/system calls", table["no-system-call"] == [1],
             "none, under a seccomp filter that kills")
    lib.row("snapshot/paths", table["paths"], "paths", note=f"on each of {table['cpus'][0]:.0f} CPUs")


main()
