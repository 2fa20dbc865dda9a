#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Formats that other programs read, by those: CSV by Python's csv, phs beside what tshark itself writes.
Their numbers are those of the JSON report."""
import collections
import csv
import glob
import json
import os
import re
import shutil
import subprocess
import tempfile

import captures
import packets
import place
import tap

COMMAND = os.environ.get("SOCKTALLY", "./socktally")
HELPER = place.helper("report_rows")
CAPTURES = os.environ.get("CAPTURES", os.path.join(place.SOURCES, "..", "shared", "captures"))
COUNTS = ("packets", "segments", "bytes", "accepted_packets", "accepted_bytes")
# What tshark does not do by itself, as in tshark.t.
TSHARK = ("tshark -n -o ip.defragment:FALSE -o ipv6.defragment:FALSE "
          "-o tcp.desegment_tcp_streams:FALSE -r").split()
FOLDER = tempfile.TemporaryDirectory(prefix="socktally-test-")
SAMPLE = "\n".join(f"{n} * {line}" for n, line in enumerate((
    "eth/arp/pad(60)", "eth/ip/udp(dport=53)/data(30)", "eth/ip/icmp/data(56)", "eth/ipv6/icmpv6/data(47)",
    "eth/vlan(id=5)/ip/icmp/data(9)", "eth(dst=01:00:5e:01:01:01)/ip(dst=239.1.1.1,options=4)/igmp",
    "eth/ip/gre/ip/icmp/data(11)", "eth/ip/tcp(flags=S,options=20)", "eth/ip/ip/icmp/data(20)"), 1))
NO_PAYLOAD = """
3 * eth/arp/pad(60)
eth/vlan(id=5)/arp
eth/ip/tcp(flags=S,options=20)
4 * eth/ipv6/tcp(flags=S)
eth/ip/ip/tcp(flags=S)
"""


def read(form, *arguments):
    run = subprocess.run([COMMAND, "read", "--format", form, *arguments], capture_output=True, timeout=60,
                         check=False)
    tap.ok(not run.stderr and run.returncode == 0, f"read --format {form}", f"{run.returncode} {run.stderr}")
    return run.stdout.decode()


def put(name, text=SAMPLE):
    path = os.path.join(FOLDER.name, name)
    with open(path, "wb") as file:
        file.write(captures.pcap(captures.sample(text)))
    return path


def rows_of(text):
    """What Python's reader makes of a CSV report."""
    return list(csv.DictReader(text.splitlines(keepends=True), strict=True))


def flat(report):
    """The rows that CSV has for a JSON report."""
    source = report["source"]
    return [{"start": report["start"], "end": report["end"], "kind": source["kind"],
             "interface": source["interface"], "pid": str(source["pid"]), "comm": source["comm"],
             "file": source.get("file", ""), "path": row["path"], "direction": row["direction"],
             **{field: str(row[field]) for field in COUNTS}, "lost_packets": "", "lost_bytes": ""} for row in report["paths"]]


def csv_reports():
    path = put("a.pcap")
    text = read("csv", path)
    tap.same(rows_of(text), flat(json.loads(read("json", path))), "csv: the rows of JSON")
    tap.ok(text.endswith("\r\n") and text.count("\r\n") == text.count("\n") == len(rows_of(text)) + 1,
           "csv: each line ends with CRLF", repr(text[-80:]))
    reports = [json.loads(line) for line in read("json", "-I", "3", path).splitlines()]
    tap.ok(len(reports) > 3, "there are intervals")
    text = read("csv", "-I", "3", path)
    tap.same(rows_of(text), [row for report in reports for row in flat(report)],
             "csv: of intervals, one table with the times of each")
    output = os.path.join(FOLDER.name, "out.csv")
    read("csv", "-o", output, "--append", path)
    read("csv", "-o", output, "--append", path)
    with open(output, encoding="utf-8", newline="") as file:
        tap.same(len(rows_of(file.read())), 2 * len(reports[0]["paths"]) if len(reports) == 1 else
                 2 * len(rows_of(read("csv", path))), "csv: --append adds no second header")


def csv_names():
    """Names in which everything is that CSV, a terminal or a spreadsheet takes for its own."""
    for given, want in (('a,b', 'a,b'), ('say "so"', 'say "so"'), ("two\nlines\r", "two\\x0alines\\x0d"),
                        ("\x1b[31m", "\\x1b[31m"), ("=1+1", "'=1+1"), ("@SUM(A1)", "'@SUM(A1)"),
                        ("-", "-"), ("-2", "'-2"), ('",",', '",",'), ("ü", "ü")):
        run = subprocess.run([HELPER, "csv", "socket", "eth0", "eth", "7", given], timeout=60, check=True,
                             input=b"eth:arp out 1 2 3 4 5\nreport 1 2\n", capture_output=True)
        rows = rows_of(run.stdout.decode())
        tap.same([(row["comm"], row["path"], row["direction"], [row[field] for field in COUNTS]) for row in rows],
                 [(want, "eth:arp", "out", list("12345"))], f"csv: the name {given!r}")


def tree_of(text):
    """{path: (frames, bytes)} from the layout of tshark's."""
    lines = text.splitlines()
    rule = "=" * 67
    head = [lines.index(rule) - 1, lines.index(rule) + 1, lines.index(rule) + 2]
    tap.same([lines[head[0]], lines[head[1]], lines[-1], lines[head[2] + 1]],
             ["", "Protocol Hierarchy Statistics", rule, ""], "phs: the frame of the table")
    nodes, stack = {}, []
    for line in lines[head[2] + 2:-1]:
        match = re.fullmatch(r"( *)(\S+) +frames:(\d+) bytes:(\d+)", line)
        stack[len(match[1]) // 2:] = [match[2]]
        nodes[":".join(stack)] = int(match[3]), int(match[4])
        if len(match[1]) + len(match[2]) <= 40:
            tap.ok(line.index(" frames:") == 40, f"phs: column of {':'.join(stack)}")
    return nodes


def of_tshark(path, nodes):
    """Its tree also has complaints, parts of some protocols, and each message where a packet has several: what
    frame.protocols does not name."""
    run = subprocess.run([*TSHARK, path, "-q", "-z", "io,phs"], capture_output=True, text=True, check=False,
                         timeout=120)
    return {node: counts for node, counts in tree_of(run.stdout).items() if node in nodes}


def common_nodes(path):
    """The tree's nodes if tshark sees in each packet of the file what we see, so that its tree has to be ours."""
    run = subprocess.run([*TSHARK, path, "-T", "fields", "-e", "frame.protocols"], capture_output=True,
                         text=True, check=False, timeout=120)
    listed = subprocess.run([COMMAND, "read", "--packets", path], capture_output=True, text=True, check=False,
                            timeout=60)
    theirs = [line.replace(":ethertype", "") for line in run.stdout.splitlines()]
    layers = set(":".join(theirs).split(":"))
    # these have no place of their own in its tree
    if any(re.fullmatch(r"ipv6\..*|ah", layer) for layer in layers):
        return None
    if theirs != [line.split("\t")[2] for line in listed.stdout.splitlines()]:
        return None
    stacks = [line.split(":") for line in set(theirs)]
    return {":".join(stack[:depth]) for stack in stacks for depth in range(1, len(stack) + 1)}


def phs():
    text = read("phs", put("b.pcap"))
    sums = collections.defaultdict(lambda: (0, 0))
    for row in json.loads(read("json", put("b.pcap")))["paths"]:
        layers = row["path"].split(":")
        for depth in range(1, len(layers) + 1):
            frames, size = sums[":".join(layers[:depth])]
            sums[":".join(layers[:depth])] = frames + row["packets"], size + row["bytes"]
    tap.same(tree_of(text), dict(sums), "phs: the sums of JSON's rows")
    if not shutil.which("tshark"):
        tap.skip("phs beside tshark's", "no tshark")
        return
    others = [path for path in sorted(glob.glob(os.path.join(CAPTURES, "*", "*.pcap*")))
              if os.path.getsize(path) < 100000][::12]
    if not others:
        tap.skip("captures of others", f"none in {CAPTURES}")
    compared = 0
    for path in [put("c.pcap", NO_PAYLOAD), *others]:
        nodes = common_nodes(path)
        if nodes:
            compared += 1
            tap.same(tree_of(read("phs", path)), of_tshark(path, nodes),
                     f"phs: as tshark's own: {os.path.basename(path)}")
    tap.ok(compared > (5 if others else 0), f"{compared} files compared")


def main():
    tap.time_limit(300)
    csv_reports()
    csv_names()
    phs()
    tap.done()


main()
