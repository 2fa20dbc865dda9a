#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""socktally read: capture files of every kind give the same counts."""
import datetime
import gzip
import json
import os
import re
import resource
import shutil
import struct
import subprocess
import sys
import tempfile

import captures
import packets
import tap
from captures import START, Packet, block, enhanced, interface, option, pcap, pcapng, section

FOLDER = tempfile.TemporaryDirectory(prefix="socktally-test-")


def path_of(name):
    return os.path.join(FOLDER.name, name)


def put(data, name="capture"):
    with open(path_of(name), "wb") as file:
        file.write(data)
    return path_of(name)


def iso(nanoseconds):
    seconds, fraction = divmod(nanoseconds, 10**9)
    text = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    return f"{text:%Y-%m-%dT%H:%M:%S}.{fraction // 1000:06d}Z"


def check(name, data, sample, linktype="eth", interfaces="", times=True, **options):
    """The file counts to what the sample is, in every field of the report."""
    path = put(data)
    status, report, err = captures.read_json(path, **options)
    tap.ok(status == 0 and not err, f"{name}: read without a word", f"{status}: {err}")
    tap.same(captures.report_table(report), captures.table(sample), f"{name}: every path")
    want = {"kind": "file", "interface": interfaces, "linktype": linktype, "pid": 0, "comm": "",
            "filter": "", "file": path}
    tap.same(report["source"], want, f"{name}: source")
    if times:
        tap.same([report.get("start"), report.get("end")],
                 [iso(sample[0].time), iso(sample[-1].time)], f"{name}: first and last time")


def pcap_files(sample):
    for order, endian in (("<", "little"), (">", "big")):
        check(f"pcap, {endian}-endian", pcap(sample, order), sample)
        check(f"pcap, {endian}-endian, nanoseconds", pcap(sample, order, 0xa1b23c4d), sample)
        check(f"pcap, {endian}-endian, Kuznetzov's", pcap(sample, order, 0xa1b2cd34), sample)
        check(f"pcap, {endian}-endian, Navtel's", pcap(sample, order, 0xa12b3c4d), sample)
        check(f"lcap, {endian}-endian, IXIA's hardware", pcap(sample, order, 0x1c0001ac), sample)
        check(f"lcap, {endian}-endian, IXIA's software", pcap(sample, order, 0x1c0001ab), sample)
    late = [packet._replace(time=packet.time + (i << 31) * 10**9) for i, packet in enumerate(sample[:2])]
    check("pcap of 2023 and 2091", pcap(late), late)
    check("pcapng of 2023 and 2091", pcapng(late), late)
    check("pcap with a frame check length", pcap(sample, linktype=0x24000001), sample)
    check("pcap 2.3", pcap(sample, version=(2, 3)), sample)
    check("pcap 2.2, lengths swapped", pcap(sample, version=(2, 2)), sample)
    check("pcap 543.0, lengths swapped", pcap(sample, version=(543, 0)), sample)
    check("pcap with a snap length of 0", pcap(sample, snaplen=0), sample)


def link_types():
    for name, short in (("sll", "sll"), ("sll2", "sll"), ("raw", "raw"), ("null", "null"),
                        ("loop", "null"), ("ppp", "ppp")):
        sample = captures.sample(f"{name}/ip/udp/data(20)\n2 * {name}/ip/tcp/data(3)")
        check(f"pcap of link type {name}", pcap(sample), sample, linktype=short)
    other = [Packet(START, 60, 195, bytes(40), "IEEE802_15_4"),
             Packet(START, 70, 195, b"\x45" * 70, "IEEE802_15_4")]
    check("another link type is counted under its name", pcap(other), other, linktype="IEEE802_15_4")


def pcapng_files(sample):
    for order, endian in (("<", "little"), (">", "big")):
        check(f"pcapng, {endian}-endian", pcapng(sample, order), sample)
    check("pcapng, several sections of both orders",
          pcapng(sample[:2], ">") + pcapng(sample[2:5], "<") + pcapng(sample[5:], ">"), sample)
    check("pcapng, obsolete packet blocks", section() + interface() +
          b"".join(map(captures.obsolete, sample)), sample)
    mixed = sample + captures.sample("raw/ip/udp/data(8)") + captures.sample("null/ip/tcp")
    data = section() + interface(options=option(2, b"eth0") + option(0, b"")) + \
        interface(101, options=option(2, b"tun0\0")) + interface(0, options=option(2, b"eth0"))
    for packet in mixed:
        data += enhanced(packet, {1: 0, 101: 1, 0: 2}[packet.linktype])
    check("pcapng, three interfaces", data, mixed, "eth,raw,null", "eth0,tun0", times=False)
    for value, units in ((0, 1), (3, 10**3), (9, 10**9), (0x80 | 10, 1 << 10), (0x80 | 30, 1 << 30)):
        exact = [packet._replace(time=packet.time // 10**9 * 10**9) for packet in sample]
        data = section() + interface(options=option(9, bytes([value]))) + \
            b"".join(enhanced(packet, units=units) for packet in exact)
        check(f"pcapng, time resolution {value:#x}", data, exact)
    for offset in (1_600_000_000, -5):
        data = section() + interface(options=option(14, struct.pack("<q", offset))) + \
            b"".join(enhanced(packet, offset=offset) for packet in sample)
        check(f"pcapng, time offset {offset}", data, sample)
    extra = block(0x0bad, bytes(5)) + block(4, b"names") + block(0xa, bytes(1_000_000))
    data = section(options=option(4, b"us")) + extra + interface() + extra + \
        b"".join(enhanced(packet, options=option(2, bytes(4)) + option(0, b"")) + extra
                 for packet in sample)
    check("pcapng, unknown blocks and options", data, sample)


def own_statistics(sample):
    """What a file says of packets that are not in it."""
    def said(name, data, want):
        _, report, err = captures.read_json(put(data))
        tap.same((report["source"].get("statistics"), err), (want, ""), f"statistics: {name}")
        tap.same(captures.report_table(report), captures.table(sample), f"statistics, every path: {name}")

    counts = {"received": 900, "interface_drops": 3, "filter_accepted": 800, "system_drops": 77, "delivered": 9}
    for order, endian in (("<", "little"), (">", "big")):
        said(f"{endian}-endian", pcapng(sample, order) + captures.statistics(0, order, **counts), counts)
    said("only those that are there", pcapng(sample) + captures.statistics(system_drops=5), {"system_drops": 5})
    said("zero is known", pcapng(sample) + captures.statistics(system_drops=0), {"system_drops": 0})
    said("none", pcapng(sample), None)
    said("the last of an interface", pcapng(sample) + captures.statistics(system_drops=5) +
         captures.statistics(system_drops=7, received=8), {"received": 8, "system_drops": 7})
    two = section() + interface() + interface() + b"".join(enhanced(packet, 1) for packet in sample)
    said("the sum of interfaces", two + captures.statistics(0, system_drops=5) +
         captures.statistics(1, system_drops=7), {"system_drops": 12})
    said("the sum of sections", pcapng(sample[:3]) + captures.statistics(system_drops=5) +
         pcapng(sample[3:], ">") + captures.statistics(0, ">", system_drops=2 ** 40), {"system_drops": 2 ** 40 + 5})
    dropped = [section(), interface()]
    for number, packet in enumerate(sample):
        dropped.append(enhanced(packet, options=option(2, bytes(4)) + option(4, struct.pack("<Q", number)) +
                                option(0, b"")))
    said("before packets", b"".join(dropped), {"packet_drops": sum(range(len(sample)))})
    said("of an interface that was not described", pcapng(sample) + captures.statistics(7, system_drops=5), None)
    said("in too few bytes", pcapng(sample) + block(5, bytes(8)) + block(5, bytes(12) + option(7, bytes(4))), None)
    last = pcapng(sample) + captures.statistics(system_drops=5)
    out = captures.run("read", "--format", "json", "-I", "1", put(last))[1]
    lines = [json.loads(line) for line in out.splitlines()]
    tap.same([line["source"].get("statistics") for line in lines], [None] * (len(lines) - 1) + [{"system_drops": 5}],
             "statistics are in the last report of an interval run")
    out = captures.run("read", put(last))[1]
    tap.ok(b"the file itself says: dropped by the system 5\n" in out, "statistics in words", out)
    other = put(b"".join(dropped), "other")
    out = json.loads(captures.run("diff", "--format", "json", put(last), other)[1])
    tap.same([out[side].get("statistics") for side in "ab"],
             [{"system_drops": 5}, {"packet_drops": sum(range(len(sample)))}], "diff has those of both sides")
    report = put(captures.run("read", "--format", "json", put(last))[1], "report")
    out = json.loads(captures.run("diff", "--format", "json", report, put(last))[1])
    tap.same([out[side].get("statistics") for side in "ab"], [{"system_drops": 5}] * 2, "also those of reports")


def simple_blocks(sample):
    whole = [packet._replace(data=packet.data + bytes(packet.length - len(packet.data)))
             for packet in sample]
    check("pcapng, simple packets", section() + interface() + b"".join(map(captures.simple, whole)),
          whole, times=False)
    cut = [packet._replace(data=packet.data[:70]) for packet in whole]
    check("pcapng, simple packets cut at the snap length",
          section() + interface(snaplen=70) + b"".join(map(captures.simple, cut)), cut, times=False)


def compressed(sample):
    plain = pcap(sample)
    check("gzip", gzip.compress(plain), sample)
    check("gzip, many members, also empty ones",
          b"".join(gzip.compress(plain[i:i + 7]) for i in range(0, len(plain), 7)) +
          gzip.compress(b""), sample)
    check("gzip with padding behind it", gzip.compress(plain) + bytes(512), sample)
    check("gzip of pcapng", gzip.compress(pcapng(sample)), sample)
    for name, *options in (("zstd", "-q"), ("zstd", "-q", "--long=24"), ("xz", "-1"), ("xz", "-T2", "--block-size=64"),
                           ("bzip2",), ("lz4", "-q"), ("lz4", "-q", "-BD", "--content-size")):
        with_tool(name, options, plain, sample)


def with_tool(name, options, plain, sample):
    """What the compression's own program writes."""
    def pack(data):
        return subprocess.run([name, "-c", *options], input=data, check=True, capture_output=True).stdout

    what = " ".join([name, *options])
    # busybox's xz only unpacks
    if not shutil.which(name) or subprocess.run([name, "-c", *options], input=plain, check=False,
                                                capture_output=True).returncode:
        tap.skip(what, "no program that packs so")
        return
    status, _, err = captures.run("read", put(pack(plain)))
    if status and f"is compressed with {name}: {name} -dc" in err:
        tap.skip(what, "not in this build")
        return
    check(what, pack(plain), sample)
    check(f"{what}: several frames, one empty", pack(plain[:100]) + pack(b"") + pack(plain[100:]), sample)
    if name in ("xz", "bzip2"):
        check(f"{what}: with padding behind it", pack(plain) + bytes(512), sample)
    many = sample * 3000
    check(f"{what}: 24,000 packets", pack(pcap(many)), many)
    # some codecs take what is no data of theirs for data of which the end is missing
    for fault, broken, words in (("cut short", pack(plain)[:-9], "cut short"),
                                 ("corrupt", pack(plain)[:60] + b"\xff" * 400, "(corrupt|cut short)")):
        status, _, err = captures.run("read", put(broken))
        tap.ok(status == 1 and re.search(f"the {name} data is {words}", err) and captures.one_line(err),
               f"{what}: {fault}", err)


def big(sample):
    """Longer than any buffer, and compressed to almost nothing."""
    packet = sample[0]._replace(data=sample[0].data + bytes(3_000_000), length=3_000_000)
    packet = packet._replace(length=len(packet.data))
    many = [sample[1], packet, sample[2]] * 3
    check("packets of 3 MB", pcap(many), many)
    check("packets of 3 MB, pcapng", pcapng(many), many)
    check("packets of 3 MB, gzip", gzip.compress(pcapng(many)), many)
    many = sample * 5000
    check("40,000 packets", pcap(many), many)
    check("40,000 packets, lengths swapped", pcap(many, ">", version=(2, 2)), many)
    check("40,000 packets, pcapng", pcapng(many), many)


def memory(sample):
    """A file of 128 MiB, of which a window is held."""
    piece = pcap(sample[:1])[24:] + pcap([sample[0]._replace(data=bytes(1 << 20))])[24:]
    path = put(pcap([]))
    with open(path, "ab") as file:
        for _ in range(128):
            file.write(piece)
    # a child also has the size of this process, before it is the command
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss >> 10
    _, report, _ = captures.read_json(path)
    most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss >> 10
    tap.same(report["totals"].get("packets"), 256, "128 MiB: all packets")
    tap.ok(most < max(64, before + 8), f"128 MiB: at most {most} MiB used")


def standard_input(sample):
    want = captures.table(sample)
    for name, data in (("pcap", pcap(sample)), ("pcapng", pcapng(sample)),
                       ("gzip", gzip.compress(pcap(sample)))):
        _, report, err = captures.read_json("-", input=data)
        tap.same((captures.report_table(report), err), (want, ""), f"{name} from a pipe")
    with open(put(pcap(sample)), "rb") as file:
        _, report, _ = captures.read_json("-", stdin=file)
    tap.same(captures.report_table(report), want, "a file as standard input")
    feeder = subprocess.Popen([sys.executable, "-c",
                               "import sys, time\nfor b in sys.stdin.buffer.read():\n"
                               " sys.stdout.buffer.write(bytes([b])); sys.stdout.flush()"],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with feeder.stdin:
        feeder.stdin.write(gzip.compress(pcap(sample)))
    _, report, _ = captures.read_json("-", stdin=feeder.stdout)
    feeder.wait()
    tap.same(captures.report_table(report), want, "a pipe that gives a byte at a time")


def listing(sample):
    want = "".join(f"{i}\t{packet.length}\t{packet.path}\n" for i, packet in enumerate(sample, 1))
    status, out, err = captures.run("read", "--packets", put(pcap(sample)))
    tap.same((status, out.decode(), err), (0, want, ""), "--packets: number, length, path")
    captures.run("read", "--packets", "-o", path_of("list"), put(pcap(sample)))
    with open(path_of("list"), encoding="ascii") as file:
        tap.same(file.read(), want, "--packets -o FILE")


def intervals(sample):
    status, out, _ = captures.run("read", "--format", "json", "-I", "2.5", put(pcap(sample)))
    reports = [json.loads(line) for line in out.splitlines()]
    groups = [sample[0:3], sample[3:6], sample[6:]]
    tap.same([captures.report_table(report) for report in reports],
             [captures.table(group) for group in groups], "-I: what came in each interval")
    tap.same([(report["start"], report["end"]) for report in reports],
             [(iso(group[0].time), iso(group[-1].time)) for group in groups], "-I: their times")
    back = [sample[0], sample[1]._replace(time=START - 10**18), sample[2], sample[3]._replace(time=0)]
    status, out, _ = captures.run("read", "--format", "json", "-I", "1", put(pcap(back)))
    total = sum(json.loads(line)["totals"]["packets"] for line in out.splitlines())
    tap.same((status, total), (0, 4), "-I: times that go back lose nothing")


def full_table(sample):
    status, report, _ = captures.read_json(put(pcap(sample)), "--paths", "2")
    table = captures.report_table(report)
    order = list(dict.fromkeys(packet.path for packet in sample))
    want = captures.table([packet if packet.path in order[:2] else packet._replace(path="overflow")
                           for packet in sample])
    tap.same((status, table), (0, want), "a full table: the rest is counted as overflow")
    tap.same(report["totals"].get("overflow_packets"), want["overflow"][0],
             "a full table: overflow_packets")
    _, out, _ = captures.run("read", "--paths", "2", put(pcap(sample)))
    tap.ok(b"table full: 4 packets counted as overflow" in out, "a full table: said as text", out)


def ports():
    """Tunnels on other UDP ports than their own."""
    lines = [
        "eth/ip/udp(dport=8473)/vxlan/eth/ip/tcp",
        "eth/ip/udp(dport=9000)/geneve/ip/tcp",
        "eth/ip/udp(sport=53,dport=9001)/gtp/ipv6/udp",
        "eth/ip/udp(sport=9001,dport=40000)/gtp/ip/tcp",
        "eth/ip/udp/vxlan/eth/arp",
        "eth/ip/udp(dport=8474)/vxlan/eth/ip/tcp -> eth:ip:udp",
        "eth/ip/udp(sport=8473,dport=53)/vxlan/eth/ip/tcp -> eth:ip:udp",
    ]
    made = list(packets.read(lines))
    name = put(packets.pcap(made))
    options = ["--port", "udp/8473=vxlan", "--port", "udp/9000=geneve,udp/9001=gtp"]
    status, out, _ = captures.run("read", "--packets", *options, name)
    tap.same((status, [line.split(b"\t")[2].decode() for line in out.splitlines()]),
             (0, [packet.path for packet in made]), "--port: by packet")
    status, report, _ = captures.read_json(name, *options)
    tap.same(sorted(row["path"] for row in report["paths"]), sorted({packet.path for packet in made}),
             "--port: in the report")
    status, report, _ = captures.read_json(name)
    tap.same(sorted(row["path"] for row in report["paths"]),
             ["eth:ip:udp", "eth:ip:udp:vxlan:eth:arp"], "without --port only the standard ones")


def odd():
    check("no packets, pcap", pcap([]), [], times=False)
    check("no packets, pcapng", section() + interface(), [], times=False)
    check("no interface, pcapng", section(), [], linktype="", times=False)
    empty = [Packet(START, 60, 101, b"", "raw")]
    status, report, _ = captures.read_json(put(pcap(empty)))
    tap.same((status, report["totals"]["packets"], report["totals"]["bytes"],
              report["totals"]["accepted_packets"], report["totals"]["accepted_bytes"]),
             (0, 1, 60, 1, 0), "a packet of which nothing was captured")


def main():
    tap.time_limit(120)
    sample = captures.sample()
    pcap_files(sample)
    link_types()
    pcapng_files(sample)
    own_statistics(sample)
    simple_blocks(sample)
    compressed(sample)
    big(sample)
    memory(sample)
    standard_input(sample)
    listing(sample)
    intervals(sample)
    full_table(sample)
    ports()
    odd()
    tap.done()


main()
