#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The filter of a metered socket is changed all the time under load: not one packet is counted
twice, missed, or delivered against the filter."""
import struct
import subprocess
import time

import netns
import packets
import place
import shim
import tap

COUNT = 100_000  # of IPv4; as many of the two others together
HELPER = place.helper("filter_switcher")


def flood(net):
    """IPv4 with a sequence number, IPv6 and ARP in turn."""
    sender = net.sender("far")
    start = packets.frame("eth/ip/udp(dport=9)/data(16)")[:54]
    others = packets.frame("eth/ipv6/tcp/data(20)"), packets.frame("eth/arp")
    for i in range(COUNT):
        netns.send(sender, (start + struct.pack("!I", i), others[i & 1]))


def numbers(text):
    return {words[0]: [int(word) for word in words[1:]]
            for words in map(str.split, text.splitlines()) if len(words) > 1}


def check(way, have):
    switches, drops = have["switches"][0], have["drops"][0]
    tap.ok(switches > 100, f"{way}: the filter was changed {switches} times")
    tap.same(drops, 0, f"{way}: the socket's queue was long enough")
    size = len(packets.frame("eth/ip/udp(dport=9)/data(16)"))
    tap.same(have.get("eth:ip:udp:0"), [COUNT, COUNT, COUNT * size],
             f"{way}: IPv4, which each filter takes: all counted, all accepted")
    tap.same(have["delivered_ip"], [COUNT], f"{way}: IPv4: all delivered")
    tap.same(have["out_of_order"], [0], f"{way}: IPv4: each once, in the order in which they were sent")
    ipv6 = have.get("eth:ipv6:tcp:0", [0, 0, 0])
    tap.same(ipv6[0], COUNT // 2, f"{way}: IPv6, which some filters take: all counted")
    tap.same(have["delivered_ipv6"], [ipv6[1]], f"{way}: IPv6: delivered as many as counted as accepted")
    tap.ok(0 < ipv6[1] < COUNT // 2, f"{way}: IPv6: {ipv6[1]} of {COUNT // 2} were accepted")
    tap.same(have.get("eth:arp:0", [])[:2], [COUNT // 2, 0],
             f"{way}: ARP, which no filter takes: all counted, none accepted")
    tap.same(have["delivered_other"], [0], f"{way}: ARP: none delivered")


def by_library(net):
    helper = netns.start([HELPER, "near"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    tap.same(helper.stdout.readline(), "ready\n", "library: the socket is ready")
    flood(net)
    time.sleep(0.5)
    output = helper.communicate(timeout=60)[0]
    tap.same(helper.returncode, 0, "library: it read to the end")
    check("library", numbers(output))


def by_shim(net, way):
    """The tool's own calls, by way of the broker."""
    guest = shim.Guest(way, [HELPER, "near", "plain"])
    tap.ok(guest.wait_ready(), f"{way}: the socket is ready")
    flood(net)
    time.sleep(0.5)
    result = guest.finish(seconds=60)
    tap.same((result.status, shim.lines_of(result.err)), (0, []), f"{way}: it read to the end")
    have = numbers(result.out)
    for row in (result.report or {"paths": []})["paths"]:
        have[f"{row['path']}:{0 if row['direction'] == 'in' else 1}"] = \
            [row["packets"], row["accepted_packets"], row["bytes"]]
    check(way, have)


def main():
    shim.need()
    tap.time_limit(240)
    net = netns.Net()
    by_library(net)
    by_shim(net, "preload")
    by_shim(net, "run")
    tap.done()


main()
