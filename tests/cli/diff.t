#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""socktally diff: reports and capture files against sums that are made here."""
import collections
import csv
import gzip
import io
import json
import os
import random
import shutil
import tempfile

import captures
import tap
from captures import pcap, pcapng, run

FOLDER = tempfile.TemporaryDirectory(prefix="socktally-test-")
MORE = """
4 * eth/ip/tcp(dport=443)/data(1)
eth/ip/udp(dport=9)/data(1400)
7 * eth/ipv6/udp/data(9)
eth/arp/pad(60)
2 * eth/vlan(id=5)/ipv6/udp/data(7)
"""
COUNTERS = ("packets", "segments", "bytes", "accepted_packets", "accepted_bytes")


def put(data, name):
    path = os.path.join(FOLDER.name, name)
    with open(path, "wb") as file:
        file.write(data)
    return path


def report_of(name, *files, options=()):
    """The JSON reports of these files in one file."""
    out = b"".join(run("read", "--format", "json", *options, file)[1] for file in files)
    return put(out, name)


def made_report(name, rows, kind="socket", program="1,6 0 0 262144", **more):
    """A report of a socket: rows are {(path, direction): counters}."""
    paths = [{"path": path, "direction": direction, **dict(zip(COUNTERS, counts))}
             for (path, direction), counts in rows.items()]
    totals = {member: sum(row[member] for row in paths) for member in COUNTERS}
    report = {"schema": "socktally/1", "source": {"kind": kind, "program": program},
              "totals": {**totals, "overflow_packets": 0}, "paths": paths, **more}
    return put(json.dumps(report).encode() + b"\n", name)


def sums(*samples):
    """{path: [packets, bytes]} of packets."""
    table = collections.defaultdict(lambda: [0, 0])
    for sample in samples:
        for packet in sample:
            table[packet.path][0] += 1
            table[packet.path][1] += packet.length
    return table


def want(a, b):
    """{path: what a row of the comparison has}, of those that differ."""
    rows = {}
    for path in {*a, *b}:
        (packets_a, bytes_a), (packets_b, bytes_b) = a.get(path, (0, 0)), b.get(path, (0, 0))
        if (packets_a, bytes_a) != (packets_b, bytes_b):
            rows[path] = [packets_a, packets_b, packets_b - packets_a, bytes_a, bytes_b, bytes_b - bytes_a]
    return rows


def have(rows, name="path"):
    return {row[name]: [row[member] for member in ("a_packets", "b_packets", "difference_packets", "a_bytes",
                                                   "b_bytes", "difference_bytes")] for row in rows}


def last_layers(table):
    layers = collections.defaultdict(lambda: [0, 0])
    for path, (packets, length) in table.items():
        layer = layers[path.rsplit(":", 1)[-1]]
        layer[0] += packets
        layer[1] += length
    return layers


def compare(name, a, b, arguments, **options):
    """Three formats and the status, against the sums of both sides."""
    status, out, err = run("diff", "--format", "json", *arguments, **options)
    found = json.loads(out) if out else {"paths": [], "applications": []}
    rows = want(a, b)
    tap.ok(status == bool(rows) and not err, f"{name}: status", f"{status}: {err}")
    tap.same(have(found["paths"]), rows, f"{name}: every path")
    tap.same(have(found["applications"], "application"), want(last_layers(a), last_layers(b)),
             f"{name}: every last layer")
    tap.same(found.get("equal"), not rows, f"{name}: equal or not")
    return found


def files(one, other):
    a, b = sums(one), sums(other)
    compare("pcap and pcapng of the same", a, a, [put(pcap(one), "a"), put(pcapng(one), "b")])
    found = compare("two files", a, b, [put(pcap(one), "a"), put(pcap(other), "b")])
    tap.same([found["a"]["kind"], found["a"]["counts"], found["a"]["bytes"]], ["file", "seen", "whole"],
             "files: what is counted")
    share = {row["path"]: row["share"] for row in found["paths"]}
    tap.same([share.get("eth:ip:tcp"), share.get("eth:ipv6:udp"), share.get("eth:ip:icmp")], [3.0, None, -1.0],
             "the share is of A")
    compare("several files on a side", sums(one, other), sums(other, one, one),
            [put(pcap(one), "a"), put(pcap(other), "b"), "--to", put(pcapng(other), "c"),
             put(gzip.compress(pcap(one)), "d"), put(pcap(one), "e")])
    compare("one against the rest", a, sums(other, one), [put(pcap(one), "a"), put(pcap(other), "b"),
                                                          put(pcap(one), "c")])
    compare("standard input", a, b, [put(pcap(one), "a"), "-"], input=pcap(other))
    status, out, err = run("diff", "--format", "csv", put(pcap(one), "a"), put(pcap(other), "b"))
    lines = list(csv.reader(io.StringIO(out.decode())))
    tap.same({line[1]: [int(number) for number in line[2:]] for line in lines if line[0] == "path"}, want(a, b),
             "csv has the same")
    tap.ok(status == 1 and not err and lines[1][0] == "totals", "csv begins with the totals")
    status, out, err = run("diff", put(pcap(one), "a"), put(pcap(other), "b"))
    tap.ok(status == 1 and b"eth:ip:udp " in out and b"B has " in out, "text has rows and a sum", out)
    status, out, err = run("diff", put(pcap(one), "a"), put(pcap(one), "b"))
    tap.ok(status == 0 and b"equal\n" in out and b"difference" not in out, "text of equal sides", out)


def reports(one, other):
    capture, second = put(pcap(one), "capture"), put(pcap(other), "second")
    a, b = sums(one), sums(other)
    compare("a report and its file", a, a, [report_of("report", capture), capture])
    lines = report_of("report", capture, options=["-I", "1"])
    tap.ok(open(lines, encoding="utf-8").read().count("\n") > 3, "an interval run has several lines")
    compare("an interval run and its file", a, a, [lines, capture])
    compare("two reports", a, b, [lines, report_of("other", second)])
    compare("reports and files in any mix", sums(one, other), sums(one, one, other),
            [lines, second, "--to", capture, report_of("both", capture, second)])
    with open(lines, "rb") as file:
        packed = put(gzip.compress(file.read()), "packed")
    compare("a compressed report", a, a, [packed, capture])
    with open(lines, encoding="utf-8") as file:
        spread = "\n".join(json.dumps(json.loads(line), indent=2) for line in file)
    compare("a report with blanks and line ends", a, a, [put(b"{" + spread[1:].encode(), "spread"), capture])


def accepted(one):
    capture, a = put(pcap(one), "capture"), sums(one)
    rows = {(path, "in"): (packets + 5, packets + 5, length + 900, packets, length)
            for path, (packets, length) in a.items()}
    rows["eth:ip:sctp", "out"] = (3, 3, 300, 0, 0)
    name = made_report("socket", rows)
    found = compare("a socket's report and its file", a, a, [name, capture])
    tap.same([found["a"]["kind"], found["a"]["counts"], found["b"]["counts"]], ["socket", "accepted", "accepted"],
             "it says that the accepted are taken")
    status, out, _ = run("diff", name, capture)
    tap.ok(status == 0 and b"accepted by the filter: " in out, "in words, too", out)
    less = made_report("less", {("eth:ip:tcp", "in"): (9, 9, 900, 1, 100)})
    compare("two reports of sockets: what was seen", {"eth:ip:tcp": (9, 900)}, {"eth:ip:tcp": (9, 900)},
            [made_report("more", {("eth:ip:tcp", "in"): (4, 4, 400, 2, 100), ("eth:ip:tcp", "out"): (5, 5, 500, 0, 0)}),
             less])
    compare("a report of a file stands for it", {"eth:ip:tcp": (1, 100)}, a, [less, report_of("file", capture)])


def cut_short():
    whole = captures.sample("5 * eth/ip/udp(dport=4789)/vxlan/eth/ip/tcp/data(100)\n3 * eth/ip/tcp/data(4)\n"
                            "2 * eth/ip/udp(dport=9)/data(500)\neth/arp/pad(60)")
    cut = [packet._replace(data=packet.data[:64]) for packet in whole]
    rows = {(path, "in"): (packets, packets, length, packets,
                           sum(len(packet.data) for packet in cut if packet.path == path))
            for path, (packets, length) in sums(whole).items()}
    capture = put(pcap(cut), "cut")
    status, out, err = run("diff", "--format", "json", made_report("snap", rows, program="1,6 0 0 64"), capture)
    found = json.loads(out)
    tap.ok(status == 0 and found["shortened_paths"] and not err, "packets that the filter cuts are not missing",
           f"{status}: {out} {err}")
    tap.same(found["b"]["bytes"], "captured", "their bytes are those that were captured")
    whole_rows = {key: (*counts[:4], counts[2]) for key, counts in rows.items()}
    status, out, err = run("diff", "--format", "json", made_report("user", whole_rows), capture)
    tap.ok(status == 0 and json.loads(out)["b"]["bytes"] == "whole", "nor are those that the tool cuts",
           f"{status}: {out} {err}")
    status, out, err = run("diff", "--format", "json", made_report("user", whole_rows), put(pcap(cut[1:]), "less"))
    found = json.loads(out)
    tap.same([found["totals"]["difference_packets"], [row["difference_packets"] for row in found["paths"]]],
             [-1, [-1]], "what is missing stays so")
    status, out, err = run("diff", put(pcap(whole), "whole"), capture)
    tap.ok(status == 0 and b"packets are cut short" in out, "two files, one cut", out)


def classes(one, other):
    capture, second = put(pcap(one), "capture"), put(pcap(other), "second")
    report = report_of("classes", capture, options=["--class", "web=tcp port 443", "--class", "any=len > 0"])
    status, out, err = run("diff", "--format", "json", report, second)
    rows = have(json.loads(out)["classes"], "class")
    tap.ok(status == 1 and not err, "classes: status", err)
    tap.same({name: row[:3] for name, row in rows.items()},
             {"web": [1, 4, 3], "any": [len(one), len(other), len(other) - len(one)]},
             "a report's classes are counted in the file")
    status, out, _ = run("diff", "--format", "json", "--class", "web=tcp port 443", capture, second)
    tap.same(have(json.loads(out)["classes"], "class")["web"][:3], [1, 4, 3], "--class counts in both files")
    first = report_of("first", capture, options=["--first", "--class", "web=tcp port 443", "--class", "any=ip"])
    status, out, err = run("diff", first, capture)
    tap.ok(status == 0 and not err, "--first is known by its row of packets in no class", f"{status} {out} {err}")
    bad = made_report("bad", {}, classes=[{"name": "x", "expression": "no filter", "packets": 1}])
    status, out, err = run("diff", bad, capture)
    tap.ok(status == 2 and not out and captures.one_line(err), "a class that is no expression", f"{status} {err}")


def groups():
    def report(name, rows, other, none):
        counts = dict.fromkeys(COUNTERS, 0)
        return made_report(name, {}, kind="file", groups=[{
            "name": "talkers", "fields": ["ip.dst/24", "tcp.dstport"],
            "rows": [{"key": key, "direction": "in", **counts, "packets": packets} for key, packets in rows],
            "other": {**counts, "packets": other}, "none": {**counts, "packets": none}}])
    a = report("a", [(["10.0.0.0/24", 443], 7), (["10.0.0.0/24", 80], 3), (["10.0.0.0/24", 443], 1)], 5, 6)
    b = report("b", [(["10.0.0.0/24", 443], 8), (["10.0.1.0/24", 80], 3)], 6, 6)
    status, out, err = run("diff", "--format", "json", a, b)
    tap.same((status, err, {name: row[:3] for name, row in have(json.loads(out)["groups"], "group").items()}),
             (1, "", {"talkers: 10.0.0.0/24, 80": [3, 0, -3], "talkers: 10.0.1.0/24, 80": [0, 3, 3],
                      "talkers: (other)": [5, 6, 1]}), "groups of reports")


def refused(name, data, why):
    status, out, err = run("diff", put(data, "refused"), os.path.join(FOLDER.name, "capture"))
    tap.ok(status == 2 and not out and captures.one_line(err) and why in err, f"refused: {name}", f"{status} {err}")


def broken(one):
    capture = put(pcap(one), "capture")
    with open(report_of("good", capture), "rb") as file:
        good = file.read()
    for name, old, new, why in (
            ("another schema", b"socktally/1", b"socktally/2", "schema"),
            ("no totals", b'"totals"', b'"total"', "schema"),
            ("rows that do not add up", b'"packets":1,', b'"packets":2,', "add up"),
            ("a number beyond 64 bits", b'"packets":1,', b'"packets":18446744073709551616,', "64 bits"),
            ("a fraction", b'"packets":1,', b'"packets":1.5,', "fraction"),
            ("a negative number", b'"packets":1,', b'"packets":-1,', "no number"),
            ("a string for a number", b'"packets":1,', b'"packets":"1",', "no number"),
            ("a number with a zero in front", b'"packets":1,', b'"packets":01,', "no JSON"),
            ("another kind of source", b'"kind":"file"', b'"kind":"disk"', "not known"),
            ("a zero byte in a name", b'"path":"eth', b'"path":"\\u0000eth', "zero byte"),
            ("half a character", b'"path":"eth', b'"path":"\\ud800eth', "half a character"),
            ("a long name", b'"path":"eth', b'"path":"' + b"e" * 1024, "too long"),
            ("a string without end", b'"path":"eth', b'"path":"' + b"e" * 70000, "too long"),
            ("a control character", b'"path":"eth', b'"path":"\teth', "no JSON"),
            ("depth", b'"pid":0', b'"pid":' + b"[" * 40 + b"]" * 40, "deeply")):
        tap.ok(old in good, f"{name} can be made")
        refused(name, good.replace(old, new, 1), why)
    for member in (b'"new":{"a":[1,-2.5e+7,true,false,null,"\\u00e4\\ud83d\\ude00"],"b":{}},', b'"new":[],'):
        status, _, err = run("diff", put(b"{" + member + good[1:], "new"), capture)
        tap.ok(status == 0 and not err, "members that are not known are passed over", f"{status} {err}")
    random.seed(7)
    failures = []
    for cut in sorted(random.sample(range(1, len(good) - 1), 60)):
        status, out, err = run("diff", put(good[:cut], "cut"), capture)
        if status != 2 or out or not captures.one_line(err):
            failures.append((cut, status, err))
    tap.same(failures, [], "a report that ends anywhere")
    for _ in range(150):
        data = bytearray(good)
        for _ in range(random.randrange(1, 4)):
            data[random.randrange(1, len(data))] = random.randrange(256)
        status, _, err = run("diff", put(bytes(data), "changed"), capture)
        if status not in (0, 1, 2) or (status == 2) != captures.one_line(err):
            failures.append((bytes(data), status, err))
    tap.same(failures, [], "150 reports with bytes changed end well")


def trouble(one):
    capture = put(pcap(one), "capture")
    status, out, err = run("diff", capture, put(pcap(one)[:-5], "short"))
    tap.ok(status == 2 and b"B has 1 packet less" in out and "cut short" in err,
           "a capture that is cut short is compared, but is trouble", f"{status} {out} {err}")
    for name in ("none", ""):
        status, out, err = run("diff", capture, name)
        tap.ok(status == 2 and captures.one_line(err) and not out, f"no file '{name}'", f"{status} {err}")
    copy = os.path.join(FOLDER.name, "copy")
    shutil.copy(capture, copy)
    status, out, err = run("diff", "-o", copy, capture, copy)
    tap.ok(status == 2 and captures.one_line(err), "the output is none of the inputs", f"{status} {err}")
    with open(copy, "rb") as file:
        tap.ok(file.read() == pcap(one), "which stays as it was")
    output = os.path.join(FOLDER.name, "output")
    status, out, err = run("diff", "-o", output, capture, copy)
    tap.ok(status == 0 and not out and open(output, "rb").read().endswith(b"equal\n"), "-o", f"{status} {err}")


def main():
    one, other = captures.sample(), captures.sample(MORE)
    files(one, other)
    reports(one, other)
    accepted(one)
    cut_short()
    classes(one, other)
    groups()
    broken(one)
    trouble(one)
    tap.done()


main()
