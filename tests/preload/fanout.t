#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Tools with several sockets, opened by threads or processes at the same time, with rings of every
version and in fanout groups of every kind: one meter has the exact sum, and the tool gets exactly
what it gets without us."""
import collections

import netns
import packets
import place
import shim
import tap

HELPER = place.helper("fanout_tool")
FLOWS = 40
EACH = 50
KINDS = {"eth:ip:udp": "eth/ip(src=10.9.0.{n})/udp(sport={p},dport=9)/data(40)",
         "eth:ip:tcp": "eth/ip(src=10.9.0.{n})/tcp(sport={p},dport=99)/data(20)",
         "eth:arp": "eth/arp/pad(60)"}

# workers, how, fanout, ring, filter
CASES = [
    (1, "threads", "none", "none", "udp"),
    (1, "threads", "none", "v1", "udp"),
    (1, "threads", "none", "v2", "udp"),
    (1, "threads", "none", "v3", "udp"),
    (8, "threads", "none", "none", "none"),
    (16, "threads", "none", "v3", "udp"),
    (4, "processes", "none", "v2", "udp"),
    (4, "threads", "hash", "v3", "udp"),
    (4, "threads", "lb", "v3", "udp"),
    (4, "threads", "cpu", "v1", "udp"),
    (4, "threads", "rollover", "v2", "udp"),
    (4, "processes", "hash", "v2", "udp"),
    (4, "processes", "lb", "none", "none"),
    (4, "processes", "cpu", "v3", "none"),
    (4, "processes", "rollover", "v3", "udp"),
]


def traffic():
    """Every kind of every flow, interleaved; and how many there are of each path."""
    frames, counts = [], collections.Counter()
    for _ in range(EACH):
        for flow in range(FLOWS):
            for path, text in KINDS.items():
                frames.append(packets.frame(text.format(n=flow + 1, p=1000 + flow)))
                counts[path] += 1
    return frames, counts


def run(way, case, sender, frames):
    guest = shim.Guest(way, [HELPER, "near", *map(str, case)])
    if guest.wait_ready():
        netns.send(sender, frames)
    return guest.finish(seconds=60)


def main():
    shim.need()
    tap.time_limit(300)
    net = netns.Net()
    sender = net.sender("far")
    frames, counts = traffic()
    brokers = len(shim.processes("broker"))
    for number, case in enumerate(CASES):
        workers, how, fanout, ring, filter_ = case
        name = f"{workers} {how}, fanout {fanout}, ring {ring}, filter {filter_}"
        # in a group each packet goes to one socket, else to each of them
        copies = 1 if fanout != "none" else workers
        accepted = (counts["eth:ip:udp"] if filter_ == "udp" else sum(counts.values())) * copies
        want = f"ready\ngot {accepted}\ndropped 0\nwrong 0\n"
        result = run("run" if number % 2 else "preload", case, sender, frames)
        tap.same((result.out, result.status), (want, 0), f"{name}: all packets of its filter")
        tap.same(shim.lines_of(result.err), [], f"{name}: nothing to say")
        have = {row["path"]: row["packets"] for row in (result.report or {"paths": []})["paths"]}
        tap.same(have, {path: count * copies for path, count in counts.items()},
                 f"{name}: the sum is exact")
        tap.same((result.report or {}).get("totals", {}).get("accepted_packets"), accepted,
                 f"{name}: and that of what was accepted")
    plain = run("plain", CASES[9], sender, frames)
    tap.same(plain.out.splitlines()[2:], ["dropped 0", "wrong 0"], "the test's own load fits")
    tap.ok(shim.gone(brokers), "no broker is left behind")
    tap.done()


main()
