#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Known traffic past a real tcpdump: each cell is what was sent, in packets and bytes, whatever the
tool's options are."""
import os
import pwd
import re
import sys

import live
import netns
import packets
import tap

TCPDUMP = ["tcpdump", "-n"]


def check(name, report, table, accepted_of=None):
    """The report's cells, its totals and what they say together. Whether the cells are right."""
    have = live.counts(report)
    good = tap.same(have, table, f"{name}: every cell")
    want = live.total(table)._asdict()
    totals = {field: report["totals"].get(field) for field in (*want, "overflow_packets")}
    tap.same(totals, {**want, "overflow_packets": 0}, f"{name}: totals")
    if accepted_of is not None:
        tap.same(want["accepted_packets"], accepted_of, f"{name}: tcpdump's own count")
    return good


def statistics(text):
    """What tcpdump says at its end: captured, received by filter, dropped by kernel."""
    return [int(number) for number in
            re.findall(r"^(\d+) packets? (?:captured|received|dropped)", text, re.M)]


def send_both_ways(net, coming, going):
    netns.send(net.sender("far"), live.frames(coming))
    netns.send(net.sender("near"), live.frames(going))


def metered(net, name, options, expression="", snaplen=262144, kinds=None):
    """One run of tcpdump on the veth with traffic both ways, held against what was sent."""
    coming = kinds or live.traffic(3)
    going = [live.Kind(kind.packet, 60 - i) for i, kind in enumerate(coming)]
    tool = live.Tool([*TCPDUMP, "-i", "near", *options, *expression.split()],
                     metered="--plain" not in sys.argv)
    send_both_ways(net, coming, going)
    status = tool.stop()
    tap.same(status, 0, f"{name}: exit status")
    table = {**live.expected(coming, "in", expression, snaplen=snaplen),
             **live.expected(going, "out", expression, snaplen=snaplen)}
    numbers = statistics(tool.read("stderr").decode())
    if "--plain" in sys.argv:
        tap.same(numbers[1], live.total(table).accepted_packets, f"{name}: as without socktally")
        return
    if not check(name, tool.report(), table, numbers[1] if len(numbers) > 1 else None):
        tap.diag(tool.read("stderr").decode(errors="replace"))


def quiet(net):
    """Nothing sent, nothing counted."""
    tool = live.Tool([*TCPDUMP, "-i", "near"])
    tool.stop(settle=1)
    tap.same(tool.report()["paths"], [], "a quiet wire: no cells")


def limited(net):
    """-c ends tcpdump by itself, with the packets that its filter rejected before counted."""
    kinds = live.traffic(2)
    taken = live.verdicts([live.as_received(kind.packet.data) for kind in kinds], "ip6 proto 17")
    wanted = [kind for kind, verdict in zip(kinds, taken) if verdict]
    others = [kind for kind, verdict in zip(kinds, taken) if not verdict]
    count = sum(kind.copies for kind in wanted)
    tool = live.Tool([*TCPDUMP, "-i", "near", "-c", str(count), "ip6", "proto", "17"])
    sender = net.sender("far")
    netns.send(sender, live.frames(others))
    netns.send(sender, live.frames(wanted))
    tap.same(tool.wait(), 0, "-c: exit status")
    check("-c", tool.report(), live.expected(kinds, "in", "ip6 proto 17"), None)
    tap.same(live.total(live.counts(tool.report())).accepted_packets, count, "-c: tcpdump's limit")


def as_sent_cooked(kind):
    """What a cooked socket sees of a frame that is sent: nothing before the network layer, so no tag,
    though the path has it; of an 802.3 frame the kernel tells no more."""
    data, path = kind.packet.data, "sll" + kind.packet.path[3:]
    start = 14
    while data[start - 2:start] in live.TAGS:
        start += 4
    if path.startswith("sll:llc"):
        path = "sll"
    size = (len(data) - start) * kind.copies
    return path, live.Counts(kind.copies, size, kind.copies, size)


def cooked(net):
    """-i any: bytes from the network layer on."""
    coming = [kind for kind in live.traffic(3) if len(kind.packet.data) > 20]
    going = [live.Kind(kind.packet, 60 - i) for i, kind in enumerate(coming)]
    tool = live.Tool([*TCPDUMP, "-i", "any"])
    send_both_ways(net, coming, going)
    tap.same(tool.stop(), 0, "-i any: exit status")
    table = live.expected(coming, "in", link="sll")
    for path, cell in map(as_sent_cooked, going):
        before = table.get((path, "out"), live.Counts(0, 0, 0, 0))
        table[path, "out"] = live.Counts(*map(sum, zip(before, cell)))
    check("-i any", tool.report(), table)
    tap.same(tool.report()["source"].get("linktype"), "sll", "-i any: link type")


def raw_ip(net):
    """A tun device: no link layer; what is read from the descriptor went out."""
    device = net.tun()
    kinds = [live.Kind(packet, 5 + i) for i, packet in enumerate(
        packets.build(text) for text in (
            "raw/ip/udp/data(9)", "raw/ip/tcp(options=8)/data(31)", "raw/ip(options=12)/icmp/data(4)",
            "raw/ipv6/udp/data(55)", "raw/ipv6/hopopts/icmpv6", "raw/ip/gre/ipv6/tcp",
            "raw/ip(frag=9)/data(8) -> raw:ip"))]
    going = [live.Kind(kind.packet, 40 - kind.copies) for kind in kinds]
    tool = live.Tool([*TCPDUMP, "-i", "tun0"])
    for data in live.frames(kinds):
        os.write(device, data)
    send_tun(net, live.frames(going), device)
    tap.same(tool.stop(), 0, "tun: exit status")
    table = {}
    for direction, list_of in (("in", kinds), ("out", going)):
        for kind in list_of:
            size = len(kind.packet.data) * kind.copies
            table[kind.packet.path, direction] = live.Counts(kind.copies, size, kind.copies, size)
    check("tun", tool.report(), table)
    os.close(device)


def send_tun(net, datas, device):
    """Sends on the tun interface; a raw IP frame's protocol is given beside it."""
    for data in datas:
        sender = net.sender("tun0")
        sender.sendto(data, ("tun0", 0x0800 if data[0] >> 4 == 4 else 0x86dd))
        os.read(device, 65536)


def loopback(net):
    """On lo a capture socket sees each packet twice, going and coming."""
    net.bring_up("lo")
    kinds = [kind for kind in live.traffic(3) if kind.packet.data[12:14] not in live.TAGS]
    tool = live.Tool([*TCPDUMP, "-i", "lo"])
    netns.send(net.sender("lo"), live.frames(kinds))
    tap.same(tool.stop(), 0, "lo: exit status")
    check("lo", tool.report(), {**live.expected(kinds, "in"), **live.expected(kinds, "out")})


def privileges(net):
    """Without -Z, Debian's tcpdump becomes its own user before it sets the filter."""
    tool = live.Tool([*TCPDUMP, "-i", "near", "udp"])
    names = {pwd.getpwuid(os.stat(f"/proc/{pid}").st_uid).pw_name
             for pid in live.pids(tool.process.pid, "tcpdump")}
    tap.ok(names and "root" not in names, f"dropped: tcpdump runs as {', '.join(sorted(names))}")
    netns.send(net.sender("far"), [packets.frame("eth/ip/udp"), packets.frame("eth/ip/tcp")] * 50)
    tool.stop()
    tap.same(live.total(live.counts(tool.report()))[::2], (100, 50), "dropped: all seen, udp accepted")


def main():
    live.need("tcpdump")
    tap.time_limit(240)
    net = netns.Net()
    metered(net, "no filter", [])
    metered(net, "filter", [], "udp port 53")
    if "--few" in sys.argv:
        privileges(net)
        tap.done()
    metered(net, "filter on addresses", [], "host 10.0.0.1 and not tcp")
    metered(net, "-w", ["-U", "-w", os.devnull], "ip6 or arp")
    metered(net, "-s 60", ["-s", "60"], "ip", snaplen=60)
    metered(net, "-Z root", ["-Z", "root"], "tcp")
    metered(net, "-p", ["-p"], "icmp or icmp6")
    metered(net, "everything rejected", [], "ether proto 0x9999")
    metered(net, "-O, no optimizer", ["-O"], "ip proto 47")
    metered(net, "--immediate-mode", ["--immediate-mode"], "greater 200")
    metered(net, "-Q in", ["-Q", "in", "--immediate-mode"])
    if "--plain" not in sys.argv:
        quiet(net)
        limited(net)
        cooked(net)
        raw_ip(net)
        loopback(net)
        privileges(net)
    tap.done()


main()
