#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The same job in user space: processor time for each packet to know the protocols' counts live, the
receive path's share included, above what the packets cost when nobody counts; and what is missed
when they come at full speed."""
import json
import re
import time

import lib
import netns

CALM = 100_000  # packets a second, which most can follow
AWK = r"""/ARP/ {arp++} / IP6? / {ip++} END {print NR " packets: ip " ip ", arp " arp; fflush()}"""


def json_total(text):
    return json.loads(text[text.index("{"):].splitlines()[0])["totals"]["packets"]


def counted(text):
    return int(re.search(r"(\d+) packets", text)[1])


def phs_total(text):
    return int(re.search(r"frames:(\d+)", text)[1])


WAYS = {  # command, tool, package, how many it counted, what it says when it is ready
    "ours": ([lib.SOCKTALLY, "watch", "-i", "near", "--format", "json"], None, None, json_total,
             None),
    "libpcap loop": ([lib.program("pcap_loop"), "near"], None, None, counted, "ready"),
    "tcpdump piped to awk": (["sh", "-c", "trap '' INT; (trap - INT; exec tcpdump -n -i near) | "
                              f"awk '{AWK}'"], "tcpdump", "tcpdump", counted, "listening"),
    "tshark -q -z io,phs": (["tshark", "-n", "-q", "-z", "io,phs", "-i", "near"], "tshark", "tshark",
                            phs_total, "Capturing on"),
}


def once(way, flood, folder):
    """What the sender says; processor time of the counter meanwhile; how many it counted."""
    command, _, _, count, ready = WAYS[way]
    with open(folder.path("output"), "wb") as output:
        process = lib.Process(command, stdout=output, stderr=output)
    if ready:
        lib.wait_ready(folder, "output", ready, process)
    time.sleep(0.3)
    before = process.cpu()
    said = flood.send()
    settle(process)
    cpu = process.cpu() - before
    process.stop()
    return said, cpu, count(folder.text("output"))


def settle(process, seconds=30):
    """Until it has dealt with what it got."""
    deadline, last = time.monotonic() + seconds, -1
    while time.monotonic() < deadline:
        now = process.cpu()
        if now - last < 0.002:
            return
        last = now
        time.sleep(0.3)


def nobody(flood):
    said = flood.send()
    return 1e9 * said["cpu"] / said["sent"]


def main():
    netns.Net()
    folder = lib.Folder()
    named = lib.paths_of(lib.MIX)
    count = lib.full(50_000, 6_000)
    calm = lib.Flood(named, "-m", "send", "-n", count, "-r", CALM, interface="near")
    fast = lib.Flood(named, "-m", "live", "-n", lib.full(200_000, 12_000))
    ways = [way for way, (_, tool, package, *_) in WAYS.items()
            if not tool or lib.have(f"userspace/{way}", tool, package)]
    cost, missed = {way: [] for way in ways}, {way: [] for way in ways}
    for _ in range(lib.full(5, 1)):
        for way in ways:
            alone = nobody(calm)
            said, cpu, got = once(way, calm, folder)
            cost[way].append(1e9 * (said["cpu"] + cpu) / max(got, 1) - alone)
            said, _, got = once(way, fast, folder)
            missed[way].append(100 * (said["sent"] - got) / said["sent"])
    for way in ways[1:]:
        lib.row(f"userspace/CPU a packet, against {way}", cost["ours"], "ns", (way, cost[way]),
                [lib.Goal(">=", 20)], faster=True)
    for way in ways:
        lib.row(f"userspace/missed at full speed, {way}", missed[way], "%",
                goals=[lib.Goal("<=", 0, "value")] if way == "ours" else [])

main()
