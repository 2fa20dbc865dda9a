#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""run --lost: tools that can't keep up, and what their files lack, by protocol and to the packet: the sender's
count less what is in the files, which are read here."""
import collections
import glob
import gzip
import os
import re
import shutil
import signal
import struct
import sys
import time

import live
import netns
import packets
import place
import tap

MIX = [packets.build(text) for text in (
    "eth/arp", "eth/ip/udp(dport=53)/data(60)", "eth/ip/tcp/data(120)", "eth/ip/icmp/data(56)",
    "eth/ip(options=8)/igmp", "eth/ip/sctp/data(40)", "eth/ip/gre/ip/udp/data(10)",
    "eth/ip/esp/data(90)", "eth/ipv6/udp/data(30)", "eth/ipv6/hopopts/icmpv6/data(8)",
    "eth/vlan(id=5)/ipv6/tcp/data(50)", "eth/llc/stp")]
BEFORE, FLOOD, AFTER = 1600, 1200, 20  # rounds of the mix
VLAN = MIX[10].path


def mix(rounds):
    """Each kind in its own number."""
    return [live.Kind(packet, rounds + rounds // 20 * (i % 6) + i) for i, packet in enumerate(MIX)]


SENT = collections.Counter()


def send(net, rounds):
    kinds = mix(rounds)
    netns.send(net.sender(), live.frames(kinds))
    for kind in kinds:
        SENT[kind.packet.path] += kind.copies


def pcapng(data):
    """The bytes of each packet, of what tools write on this machine."""
    offset = 0
    while offset + 12 <= len(data):
        kind, length = struct.unpack_from("II", data, offset)
        if kind == 6:
            size = struct.unpack_from("I", data, offset + 20)[0]
            yield data[offset + 28:offset + 28 + size]
        offset += length


def pcap(data):
    """The bytes of each packet that is whole."""
    offset = 24
    while offset + 16 <= len(data):
        size = struct.unpack_from("I", data, offset + 8)[0]
        if offset + 16 + size <= len(data):
            yield data[offset + 16:offset + 16 + size]
        offset += 16 + size


def frames_of(path):
    with open(path, "rb") as file:
        data = file.read()
    if data[:2] == b"\x1f\x8b":
        data = gzip.decompress(data)
    return list(pcapng(data) if data[:4] == b"\x0a\x0d\x0d\x0a" else pcap(data))


def in_files(paths):
    """{path: packets}; a frame may be cut, and padded."""
    known, table = {}, collections.Counter()
    for path in paths:
        for frame in frames_of(path):
            if frame not in known:
                found = [packet.path for packet in MIX if packet.data.startswith(frame) or
                         frame.startswith(packet.data)]
                known[frame] = found[0] if len(found) == 1 else "?"
            table[known[frame]] += 1
    return table


class Case:
    """A tool, and what is expected of it."""
    def __init__(self, name, command, files, ready="listening on", comm=None, options=(), **expected):
        self.name, self.files, self.expected = name, files, expected
        self.tool = live.Tool(command, ready=ready, options=["--lost", *options])
        self.comm = comm or os.path.basename(command[0])

    def signal(self, number):
        for pid in live.pids(self.tool.process.pid, self.comm):
            os.kill(pid, number)

    def paths(self):
        return sorted(path for pattern in self.files.split() for path in glob.glob(self.tool.path(pattern)))


def cases():
    yield Case("tcpdump", "tcpdump -i near -B 64 -w a.pcap".split(), "a.pcap", told=True)
    yield Case("tcpdump -c", "tcpdump -i near -B 64 -c 1500 -w a.pcap".split(), "a.pcap", after=True, ended=True)
    yield Case("tcpdump -s", "tcpdump -i near -B 64 -s 80 -w a.pcap".split(), "a.pcap", cut=True)
    yield Case("tcpdump -C", "tcpdump -i near -B 64 -C 1 -w a.pcap".split(), "a.pcap*")
    yield Case("tcpdump -C -W", "tcpdump -i near -B 64 -C 1 -W 2 -w a.pcap".split(), "a.pcap*",
               notes=["overwritten"])
    yield Case("tcpdump -G -z gzip", "tcpdump -i near -B 64 -G 1 -z gzip -w %s.pcap".split(), "*.pcap *.pcap.gz",
               notes=["compressed"])
    yield Case("tcpdump killed", "tcpdump -i near -B 64 -w a.pcap".split(), "a.pcap", killed=True, after=True)
    yield Case("tcpdump --lost=FILE", "tcpdump -i near -B 64 -w named.pcap".split(), "named.pcap",
               options=["--lost=named.*"])
    if shutil.which("dumpcap"):
        yield Case("dumpcap", "dumpcap -q -i near -B 1 -w a.pcapng".split(), "a.pcapng", ready="File:")
        yield Case("dumpcap -b", "dumpcap -q -i near -B 1 -b filesize:500 -w a.pcapng".split(), "a_*.pcapng",
                   ready="File:")
    if shutil.which("tshark"):
        yield Case("tshark", "tshark -q -i near -B 1 -w a.pcapng".split(), "a.pcapng", ready="File:", comm="dumpcap")
    if shutil.which("netsniff-ng"):
        yield Case("netsniff-ng", "netsniff-ng -i near -s -S 64KiB -o a.pcap".split(), "a.pcap", ready="",
                   untagged=True)
    yield Case("a tool with a ring of TPACKET_V3", [sys.executable, place.SOURCES + "/tests/lib/ring_tool.py", "near",
                                                    "a.pcap"], "a.pcap", comm="python3", untagged=True)


def lost_of(report):
    """{path: [accepted, written, lost, after the end]}"""
    return {row["path"]: [row[member] for member in ("accepted_packets", "written_packets", "lost_packets",
                                                     "after_end_packets")]
            for row in report.get("lost", {}).get("paths", [])}


def check(case):
    name, expected = case.name, case.expected
    report, written = case.tool.report(), in_files(case.paths())
    lost = report.get("lost", {})
    rows = lost_of(report)
    if expected.get("cut"):  # what is inside may be counted further out
        rows = {"all": [sum(column) for column in zip(*rows.values())] if rows else []}
        sent, written = {"all": sum(SENT.values())}, {"all": sum(written.values())}
    else:
        sent = dict(SENT)
    if expected.get("untagged"):  # the tool leaves the tag out: in the file it is another path
        for table in (rows, sent):
            table.pop(VLAN, None)
        rows = {path: row for path, row in rows.items() if row[0]}
    if expected.get("ended"):  # before all was sent
        sent = {path: row[0] for path, row in rows.items()}
        tap.ok(1500 < sum(sent.values()) < sum(SENT.values()), f"{name}: it ends by itself")
    tap.same({path: row[0] for path, row in rows.items()}, sent, f"{name}: all that was sent was accepted")
    if "overwritten" in expected.get("notes", ()):  # what was in the files before is not in them
        tap.ok(sum(row[1] for row in rows.values()) > sum(written.values()), f"{name}: more was written than is left")
        written = {path: row[1] for path, row in rows.items()}
    elif not expected.get("untagged"):
        tap.same({path: row[1] for path, row in rows.items() if row[1]}, dict(written), f"{name}: what is in its files")
    tap.same({path: row[2] + row[3] for path, row in rows.items()},
             {path: count - written.get(path, 0) for path, count in sent.items()}, f"{name}: what they lack")
    events = {note["event"] for note in report.get("notes", [])}
    tap.ok("files" in events and set(expected.get("notes", ())) <= events, f"{name}: notes", events)
    missing = sum(row[2] + row[3] for row in rows.values())
    total, least = sum(sent.values()), 0 if expected.get("ended") else 0.1
    tap.ok(least < missing / total < 0.999, f"{name}: {missing} of {total} are missing")
    after = sum(row[3] for row in rows.values())
    if expected.get("ended"):  # at once: it may not be certain
        tap.ok(after + lost.get("uncertain_packets", 0) > 0, f"{name}: some of them came after the end")
    elif expected.get("after"):
        tap.ok(after > 0 and lost.get("after_end_packets") == after, f"{name}: {after} of them came after the end")
    elif expected.get("untagged"):  # netsniff-ng may leave the last packet in its ring
        tap.ok(after <= 1, f"{name}: {after} of them came after the end")
    else:
        tap.same(after, 0, f"{name}: none of them came after the end")
    tap.same([report["totals"].get("lost_packets"), sum(row["lost_packets"] for row in report["paths"])],
             [lost.get("lost_packets")] * 2, f"{name}: rows and totals have the lost packets")


def told(case):
    """What tcpdump says itself is what the kernel has told it, and that is seen as it passes."""
    said = {word: int(count) for count, word in re.findall(r"(\d+) packets? (received|dropped)",
                                                          case.tool.read("stderr").decode())}
    report = case.tool.report()
    count = report.get("tool_count", {})
    tap.same([count.get("packets"), count.get("drops"), count.get("reads")],
             [said.get("received"), said.get("dropped"), 1],
             f"{case.name}: the tool's own count")
    lost = report.get("lost", {})
    tap.same([lost.get("lost_packets"), lost.get("uncertain_packets"), report["totals"]["accepted_packets"]],
             [said.get("dropped"), 0, said.get("received")], f"{case.name}: all that is lost was dropped by its ring")


def flooded(net):
    """All tools at once: each sees the same."""
    running = list(cases())
    time.sleep(1)  # netsniff-ng says nothing when it is ready
    send(net, BEFORE)
    time.sleep(0.2)
    for case in running:
        case.signal(signal.SIGSTOP)
    send(net, FLOOD)
    for case in running:
        case.signal(signal.SIGCONT)
    send(net, AFTER)
    netns.send(net.sender(), [MIX[i % 3].data for i in range(60)], pace=0.02)
    for i in range(60):
        SENT[MIX[i % 3].path] += 1
    live.settle([case.tool for case in running])
    for case in running:
        if case.expected.get("killed"):
            case.signal(signal.SIGKILL)
        elif case.tool.process.poll() is None:
            netns.interrupt(case.tool.process)
    for case in running:
        case.tool.wait()
        check(case)
        if case.expected.get("told"):
            told(case)


def calm(net):
    """Nothing is lost, and what is missing has another cause, which is said."""
    plain = Case("no loss", "tcpdump -i near -w a.pcap".split(), "a.pcap")
    out = Case("-Q out", "tcpdump -i near -Q out -w a.pcap".split(), "a.pcap")
    pipe = Case("a pipe", "tcpdump -i near -w -".split(), "")
    netns.Net.bring_up("lo")
    on_lo = Case("lo", "tcpdump -i lo -w a.pcap".split(), "a.pcap")
    running = [plain, out, pipe, on_lo]
    kinds = mix(20)
    for interface in ("far", "near", "lo"):
        netns.send(net.sender(interface), live.frames(kinds))
    live.settle([case.tool for case in running])
    plain.signal(signal.SIGUSR1)  # it prints its statistics, and asks for them
    netns.wait_for(plain.tool.stderr_file, "captured", plain.tool.process)
    last = MIX[9]
    netns.send(net.sender(), [last.data])  # it is in the ring, but in a block that the kernel still fills
    for case in running:
        netns.interrupt(case.tool.process)
        case.tool.wait()
    total = sum(kind.copies for kind in kinds)
    report = plain.tool.report()
    rows = lost_of(report)
    missing = 2 * total + 1 - sum(in_files(plain.paths()).values())
    tap.same([report["totals"].get("lost_packets"), {path: row[3] for path, row in rows.items() if row[3]}],
             [0, {last.path: missing} if missing else {}], "no loss: 0, and the packet that the tool left in its ring")
    tap.same(report.get("tool_count"), {"reads": 2, "packets": 2 * total + 1, "drops": 0, "freezes": 0},
             "the tool's own count is the sum of what it was told")
    report = out.tool.report()
    tap.same([report["lost"]["accepted_packets"], report["totals"]["lost_packets"],
              sum(in_files(out.paths()).values())], [total, 0, total],
             "-Q out: packets of the other direction are not lost")
    report = pipe.tool.report()
    tap.same(["lost" in report, "lost_packets" in report["totals"], [note["event"] for note in report["notes"]]],
             [False, False, ["files"]], "a pipe: what is lost is not known")
    report = on_lo.tool.report()
    tap.same([report["totals"]["lost_packets"], [note["event"] for note in report["notes"]]],
             [0, ["files", "loopback"]], "lo: packets that go out are not lost")


def main():
    live.need("tcpdump")
    tap.time_limit(240)
    net = netns.Net()
    flooded(net)
    calm(net)
    tap.done()


main()
