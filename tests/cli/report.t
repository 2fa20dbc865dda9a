#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The report: JSON to the letter of its schema, the text's tree with sums that are right, within 80
columns, with colour on a terminal only."""
import collections
import json
import os
import pty
import random
import re
import subprocess
import sys

import place
import tap

HELPER = place.helper("report_rows")
SEED = int(os.environ.get("SEED", "0")) or random.SystemRandom().randrange(1, 10**9)
FIELDS = ("packets", "segments", "bytes", "accepted_packets", "accepted_bytes")
NAMES = ("eth", "vlan", "ip", "ipv6", "ipv6.hopopts", "ipv6.routing", "ipv6.dstopts", "udp", "tcp",
         "vxlan", "ieee8021ad", "gre", "mpls")
# Control characters, bidirectional controls, line and paragraph separators.
STEERING = (*range(1, 32), *range(127, 160), 0x61c, 0x200e, 0x200f, *range(0x2028, 0x202f),
            *range(0x2066, 0x206a))
STEERS = re.compile("[" + "".join(map(chr, STEERING)).replace("]", r"\]") + "]")
COLOR = re.compile(r"\033\[[0-9;]*m")


def lines_of(table):
    return "".join(f"{path} {direction} {' '.join(map(str, counts))}\n"
                   for (path, direction), counts in table.items())


def write(form, text, *source):
    done = subprocess.run([HELPER, form, *source], input=text.encode("utf-8", "surrogateescape"),
                          capture_output=True, timeout=60, check=True)
    return done.stdout.decode("utf-8", "surrogateescape")


def random_table(generator, most):
    table = {}
    for _ in range(generator.randrange(1, 40)):
        path = ":".join(generator.choice(NAMES) for _ in range(generator.randrange(1, 15)))
        packets = generator.randrange(1, most)
        accepted = generator.choice((0, packets, generator.randrange(packets + 1)))
        table[path, generator.choice(("in", "out"))] = (packets, packets * 2, packets * 100,
                                                        accepted, accepted * 64)
    return table


def sums(table):
    """{node: [packets, in, out, accepted]} of every path and all that it begins with."""
    nodes = collections.defaultdict(lambda: [0, 0, 0, 0])
    for (path, direction), counts in table.items():
        layers = path.split(":")
        for depth in range(1, len(layers) + 1):
            node = nodes[":".join(layers[:depth])]
            node[0] += counts[0]
            node[1 if direction == "in" else 2] += counts[0]
            node[3] += counts[3]
    return dict(nodes)


def schema():
    table = {("eth:ip:udp:dns", "in"): (3, 4, 300, 2, 200), ("eth:ip:udp:dns", "out"): (1, 1, 60, 1, 60),
             ("eth:arp", "out"): (5, 5, 210, 0, 0), ("overflow", "in"): (7, 7, 70, 7, 70)}
    out = write("json", lines_of(table) + "report 1767225600.5 1767225601.25\n", "socket", "eth0",
                "eth", "812", "tcpdump", "port 53")
    want = ('{"schema":"socktally/1","source":{"kind":"socket","interface":"eth0","linktype":"eth",'
            '"pid":812,"comm":"tcpdump","filter":"port 53","program":""},"start":"2026-01-01T00:00:00.500000Z",'
            '"end":"2026-01-01T00:00:01.250000Z","seconds":0.750000,"totals":{"packets":16,"segments":17,"bytes":640,'
            '"accepted_packets":10,"accepted_bytes":330,"overflow_packets":7},"paths":['
            '{"path":"eth:arp","direction":"out","packets":5,"segments":5,"bytes":210,'
            '"accepted_packets":0,"accepted_bytes":0},'
            '{"path":"eth:ip:udp:dns","direction":"in","packets":3,"segments":4,"bytes":300,'
            '"accepted_packets":2,"accepted_bytes":200},'
            '{"path":"eth:ip:udp:dns","direction":"out","packets":1,"segments":1,"bytes":60,'
            '"accepted_packets":1,"accepted_bytes":60},'
            '{"path":"overflow","direction":"in","packets":7,"segments":7,"bytes":70,'
            '"accepted_packets":7,"accepted_bytes":70}]}\n')
    tap.same(out, want, "JSON is the schema's, byte by byte")
    out = write("json", "report 0 1e15\n", "file")
    report = json.loads(out)
    tap.same((report["paths"], report["start"], report["totals"]["packets"]),
             ([], "1970-01-01T00:00:00.000000Z", 0), "JSON of nothing")
    tap.ok(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", report["end"]),
           "a time that no calendar has still looks like one", report["end"])


def escaped(raw):
    """As the text report shows it: what isn't UTF-8 byte by byte."""
    text = raw.decode("utf-8", "surrogateescape")
    text = re.sub("[\udc80-\udcff]", lambda match: f"\\x{ord(match[0]) - 0xdc00:02x}", text)
    return STEERS.sub(lambda match: f"\\{'x' if match[0] < chr(128) else 'u'}"
                      f"{ord(match[0]):0{2 if match[0] < chr(128) else 4}x}", text)


def strings():
    cases = [("a\"b\\c", 'a"b\\c'), ("tab\there", "tab\there"), ("\x01\x1f\x7f", "\x01\x1f\x7f"),
             ("caf\u00e9 \u6f22 \U0001f600", "caf\u00e9 \u6f22 \U0001f600"),
             (b"\xff\xfe", "\ufffd\ufffd"), (b"a\xc3", "a\ufffd"), (b"\xc0\x80", "\ufffd\ufffd"),
             (b"\xed\xa0\x80", "\ufffd\ufffd\ufffd"), (b"\xf4\x90\x80\x80", "\ufffd" * 4),
             (b"\xe2\x82", "\ufffd\ufffd"), (b"\xe2\x82\xac", "\u20ac"), (b"\xf0\x9f\x98z", "\ufffd" * 3 + "z"),
             *((f"a{chr(code)}b",) * 2 for code in STEERING)]
    for given, want in cases:
        raw = given.encode() if isinstance(given, str) else given
        done = subprocess.run([HELPER, "json", "socket", raw, b"", b"1", raw, raw],
                              input=b"report 1 2\n", capture_output=True, timeout=60, check=True)
        source = json.loads(done.stdout.decode("utf-8"))["source"]
        tap.ok(not STEERS.search(done.stdout.decode("utf-8").rstrip("\n")),
               f"nothing that steers a terminal in the JSON for {given!r}", repr(done.stdout))
        tap.same([source["interface"], source["comm"], source["filter"]], [want] * 3,
                 f"JSON string of {given!r}")
        done = subprocess.run([HELPER, "text", "socket", raw, b"", b"1", raw, raw],
                              input=b"report 1 2\n", capture_output=True, timeout=60, check=True)
        text = done.stdout.decode("utf-8", "replace")
        tap.ok("\ufffd" not in text and not STEERS.search(text.replace("\n", "")) and
               text.splitlines()[1] == f"filter: {escaped(raw)}",
               f"escaped in the text: {given!r}", repr(text))


def json_adds_up(generator):
    bad = []
    for _ in range(20):
        table = random_table(generator, 10**generator.randrange(1, 15))
        report = json.loads(write("json", lines_of(table) + "report 1 2\n", "socket", "eth0"))
        rows = {(row["path"], row["direction"]): tuple(row[field] for field in FIELDS)
                for row in report["paths"]}
        order = [(row["path"], row["direction"]) for row in report["paths"]]
        total = [sum(column) for column in zip(*table.values())]
        if rows != table or order != sorted(order) or \
                [report["totals"][field] for field in FIELDS] != total:
            bad.append(str(table))
    tap.ok(not bad, f"JSON: rows sorted, and they add up to the totals (SEED={SEED})", bad[:1])


def intervals(generator):
    """Each report has what came since the last; all together have everything."""
    text, counts, steps = "", collections.defaultdict(lambda: [0] * 5), []
    for i in range(30):
        step = random_table(generator, 1000) if i % 4 else {}
        for key, more in step.items():
            counts[key] = [a + b for a, b in zip(counts[key], more)]
        text += lines_of(counts) + f"report {i + 1} {i + 2}\n"
        steps.append(step)
    reports = [json.loads(line) for line in write("json", text, "socket").splitlines()]
    have = [{(row["path"], row["direction"]): tuple(row[field] for field in FIELDS)
             for row in report["paths"]} for report in reports]
    tap.ok(have == steps, f"intervals: each has what is new (SEED={SEED})")
    blocks = write("text", text, "socket", "eth0").split("\n\neth0\n")
    tap.same(len(blocks), 30, "intervals as text: an empty line between two")
    text = "eth in 9 9 900 9 900\nreport 1 2\neth in 5 10 400 5 400\nreport 2 3\n"
    reports = [json.loads(line) for line in write("json", text, "socket").splitlines()]
    tap.same([[row[field] for field in FIELDS] for row in reports[1]["paths"]], [[0, 1, 0, 0, 0]],
             "a counter that begins anew: no difference wraps")


def tree_of(text):
    """The columns by name of each node in a text report."""
    lines = text.splitlines()
    start = next((i for i, line in enumerate(lines) if line.startswith("protocol")), None)
    if start is None:
        return None
    columns = [column for column in lines[start].split()[1:]]
    nodes, stack, pending = {}, [], None
    for line in lines[start + 1:]:
        match = re.match(r"( *)(\S+) *(.*)", line) if pending is None else None
        if match:
            indent, name, rest = len(match[1]), match[2], match[3]
        else:
            indent, name, rest = *pending, line.strip()
        pending = None
        if not rest:
            pending = indent, name
            continue
        while stack and stack[-1][0] >= indent:
            stack.pop()
        stack.append((indent, name))
        values = re.sub(r" (?=[kMGTPE]?B)", "", rest).split()
        nodes[":".join(part for _, part in stack)] = dict(zip(columns, values))
    return nodes


def trees(generator):
    wide, wrong, counted = [], [], 0
    for _ in range(60):
        most = 10**generator.randrange(1, 18)
        table = random_table(generator, most)
        text = write("text", lines_of(table) + "report 1 2.5\n", "socket", "eth0", "eth", "4194304",
                     "a-long-tool-name", "port 53 or " * generator.randrange(9) + "icmp")
        wide += [line for line in text.splitlines() if len(line) > 80]
        if most > 1000 or re.search(r"^ *\S+ +\d\S* k", text, re.M):
            continue  # not exact
        nodes = tree_of(text)
        for path, (packets, into, out, accepted) in sums(table).items():
            row = nodes.get(path, {})
            want = {"packets": packets, "in": into, "out": out, "accepted": accepted}
            have = {key: row.get(key, "").replace(",", "") for key in want if key in row or
                    key != "accepted"}
            counted += 1
            if any(have[key] != str(want[key]) for key in have) or set(nodes) != set(sums(table)):
                wrong.append(f"{path}: have {have}, want {want}\n{text}")
    tap.ok(not wide, f"text: within 80 columns (SEED={SEED})", "\n".join(wide[:3]))
    tap.ok(not wrong and counted > 100, f"text: sums of {counted} nodes (SEED={SEED})",
           "\n".join(wrong[:1])[:2000])


def looks():
    """One report as it looks, so that a change of it is seen."""
    table = {("eth:ip:tcp", "in"): (1234567, 1634567, 1234567890, 1000, 64000),
             ("eth:ip:tcp", "out"): (734567, 734567, 88567890, 1000, 64000),
             ("eth:ip:udp:vxlan:eth:ip:tcp", "in"): (3234, 3234, 234456, 100, 100),
             ("eth:ipv6:tcp", "out"): (93234, 93234, 6234456, 100, 100),
             ("eth:arp", "in"): (1, 1, 60, 0, 0), ("overflow", "in"): (12, 12, 600, 0, 0)}
    text = write("text", lines_of(table) + "report 1700000000.5 1700000010.75\n", "socket", "eth0",
                 "eth", "1234", "tcpdump", "port 53")
    want = """\
tcpdump (pid 1234) on eth0 (eth)
filter: port 53
10.250 s from 2023-11-14 22:13:20 UTC
2,065,615 packets, 1.33 GB: 202 k packets/s, 1.04 Gbit/s
on the wire: 2,465,615 segments (offload joins or splits them)
accepted by the filter: 2,200 packets (0.1 %), 128 kB
table full: 12 packets counted as overflow (see --paths)

protocol           packets      %    bytes      %         in      out  accepted
eth              2,065,603  >99.9  1.33 GB  >99.9  1,237,802  827,801     2,200
  ip             1,972,368   95.5  1.32 GB   99.5  1,237,801  734,567     2,100
    tcp          1,969,134   95.3  1.32 GB   99.5  1,234,567  734,567     2,000
    udp              3,234    0.2   234 kB   <0.1      3,234        0       100
      vxlan          3,234    0.2   234 kB   <0.1      3,234        0       100
        eth          3,234    0.2   234 kB   <0.1      3,234        0       100
          ip         3,234    0.2   234 kB   <0.1      3,234        0       100
            tcp      3,234    0.2   234 kB   <0.1      3,234        0       100
  ipv6              93,234    4.5  6.23 MB    0.5          0   93,234       100
    tcp             93,234    4.5  6.23 MB    0.5          0   93,234       100
  arp                    1   <0.1     60 B   <0.1          1        0         0
overflow                12   <0.1    600 B   <0.1         12        0         0
"""
    tap.ok(text == want, "the text as it has always looked", text)
    text = write("text", "null:ip:tcp in 2 2 200 2 132\nreport 0 0\n", "file", "", "null", "", "", "",
                 "a.pcap")
    tap.ok(text == """\
a.pcap (null)
2 packets, 200 B
captured of each only the beginning: 132 B

protocol  packets      %  bytes      %
null            2  100.0  200 B  100.0
  ip            2  100.0  200 B  100.0
    tcp         2  100.0  200 B  100.0
""", "a file: no directions, nothing accepted, no time if it has none", text)


def on_terminal(environment):
    ours, theirs = pty.openpty()
    process = subprocess.Popen([HELPER, "text", "socket", "eth0"], stdin=subprocess.PIPE,
                               stdout=theirs, env={**os.environ, **environment})
    os.close(theirs)
    process.stdin.write(b"eth:ip in 50 50 50 50 50\neth:arp in 1 1 1 1 1\neth:ip:tcp in 500 500 500 "
                        b"500 500\nreport 1 2\n")
    process.stdin.close()
    text = b""
    try:
        while piece := os.read(ours, 4096):
            text += piece
    except OSError:
        pass
    process.wait()
    return text.decode()


def colors():
    environment = {"TERM": "xterm", "NO_COLOR": ""}
    text = on_terminal(environment)
    tap.ok("\033[1m    tcp" in text and "\033[2m  arp" in text, "colour on a terminal", repr(text))
    plain = COLOR.sub("", text).replace("\r", "")
    for name, change in (("NO_COLOR", {"NO_COLOR": "1"}), ("TERM=dumb", {"TERM": "dumb"}),
                         ("no TERM", {"TERM": ""})):
        text = on_terminal({**environment, **change})
        tap.same(text.replace("\r", ""), plain, f"no colour with {name}")
    text = write("text", "eth:ip in 50 50 50 50 50\nreport 1 2\n", "socket", "eth0")
    tap.ok("\033" not in text, "no colour in a pipe")


def many_rows():
    table = {(f"eth:ip:{i}:{j}", "in"): (1, 1, 1, 1, 1) for i in range(60) for j in range(100)}
    report = json.loads(write("json", lines_of(table) + "report 1 2\n", "socket"))
    tap.same((len(report["paths"]), report["totals"]["packets"]), (6000, 6000), "6,000 rows")


def stepped_clock():
    """The time of day jumps an hour back, then ten years on: what counts is how long it took."""
    text = "clock 1700000000 50\nbegin\neth:arp in 10 10 1000 10 1000\nclock 1699996400.5 52\nnow\n" \
           "eth:arp in 40 40 4000 40 4000\nclock 2015356400.5 55\nnow\n"
    reports = [json.loads(line) for line in write("json", text, "socket", "eth0").splitlines()]
    tap.same([(report["start"], report["end"], report["seconds"]) for report in reports],
             [("2023-11-14T22:13:20.000000Z", "2023-11-14T21:13:20.500000Z", 2),
              ("2023-11-14T21:13:20.500000Z", "2033-11-11T21:13:20.500000Z", 3)],
             "a step of the clock: seconds are those that have passed")
    lines = write("text", text, "socket", "eth0").splitlines()
    tap.ok("2.000 s from 2023-11-14 22:13:20 UTC" in lines and
           "3.000 s from 2023-11-14 21:13:20 UTC" in lines and
           "10 packets, 1 kB: 5 packets/s, 4 kbit/s" in [line.replace("1.00 kB", "1 kB").replace(
               "4.00 k", "4 k") for line in lines],
           "a step of the clock: durations and rates in the text", "\n".join(lines))


def so_far():
    """A report on demand is of everything until then, and takes nothing from the next one."""
    text = "clock 100 100\nbegin\neth:arp in 1 1 60 1 60\nclock 101 101\nso far\n" \
           "eth:arp in 3 3 180 3 180\nclock 102 102\nso far\nnow\nclock 103 103\nso far\n"
    reports = [json.loads(line) for line in write("json", text, "socket").splitlines()]
    tap.same([(report["totals"]["packets"], report["seconds"]) for report in reports],
             [(1, 1), (3, 2), (3, 2), (0, 1)], "reports on demand change nothing")


def main():
    tap.time_limit(120)
    generator = random.Random(SEED)
    schema()
    strings()
    json_adds_up(generator)
    intervals(generator)
    trees(generator)
    looks()
    colors()
    many_rows()
    stepped_clock()
    so_far()
    tap.done()


sys.exit(main())
