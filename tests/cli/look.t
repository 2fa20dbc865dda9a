#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""How the text report looks: the rows that are asked for, their order, units, colour, and intervals."""
import json
import os
import re
import subprocess
import tempfile

import captures
import tap

FOLDER = tempfile.TemporaryDirectory(prefix="socktally-test-")
TEXT = """
9 * eth/ip/tcp(dport=9)/data(1000)
30 * eth/ip/udp(dport=9)/data(10)
5 * eth/ipv6/udp(dport=9)/data(1400)
40 * eth/arp/pad(60)
2 * eth/vlan(id=5)/arp
"""
ROW = re.compile(r"( *)([\w.]+) +([\d,]+) +([\d.<>]+) +(\S+ ?[kMGKi]*B) +([\d.<>]+)")


def put(name, text=TEXT, step=1_000_001_000):
    path = os.path.join(FOLDER.name, name)
    with open(path, "wb") as file:
        file.write(captures.pcap(captures.sample(text, step)))
    return path


def text(*arguments, **options):
    status, out, err = captures.run("read", *arguments, **options)
    if status or err:
        tap.ok(False, f"read {arguments}", f"{status} {err}")
    return out.decode()


def rows(report):
    """(path, packets, bytes as shown) of each row, in their order."""
    found, stack = [], []
    for line in report.splitlines():
        match = ROW.fullmatch(line.rstrip())
        if match:
            stack[len(match[1]) // 2:] = [match[2]]
            found.append((":".join(stack), int(match[3].replace(",", "")), match[5]))
    return found


def sums(path):
    table = {}
    for row in json.loads(text("--format", "json", path))["paths"]:
        layers = row["path"].split(":")
        for depth in range(1, len(layers) + 1):
            packets, size = table.get(":".join(layers[:depth]), (0, 0))
            table[":".join(layers[:depth])] = packets + row["packets"], size + row["bytes"]
    return table


def rows_and_order(path):
    want = sums(path)
    have = rows(text(path))
    tap.same({name: packets for name, packets, _ in have}, {name: packets for name, (packets, _) in want.items()},
             "all rows without options")
    for column, key in (("packets", 0), ("bytes", 1)):
        for number in (1, 3, 5):
            out = text("--sort", column, "-n", str(number), path)
            names = [name for name, _, _ in rows(out)]
            least = sorted((counts[key] for counts in want.values()), reverse=True)[number - 1]
            tap.ok(len(names) == number and all(want[name][key] >= least for name in names),
                   f"-n {number} --sort {column}: those with most", out)
            tap.ok(all(":".join(name.split(":")[:-1]) in ["", *names] for name in names),
                   f"-n {number} --sort {column}: each below its parent", out)
            tap.ok(out.endswith(f"and {len(want) - number} more row{'s' if len(want) - number > 1 else ''}\n"),
                   f"-n {number} --sort {column}: how many are left out", out)
        siblings = [name for name, _, _ in rows(text("--sort", column, path)) if name.count(":") == 1]
        tap.same(siblings, sorted(siblings, key=lambda name: -want[name][key]), f"--sort {column}: siblings in that order")
    siblings = [name for name, _, _ in rows(text("--sort", "name", path)) if name.count(":") == 1]
    tap.same(siblings, sorted(siblings), "--sort name")
    (out,) = (text("--depth", "2", path),)
    tap.same(sorted(name for name, _, _ in rows(out)), sorted(name for name in want if name.count(":") < 2), "--depth 2")
    tap.same(text("-n", "100", path), text(path), "-n: more than there are leaves nothing out")


def units(path):
    want = sums(path)
    exact = {name: int(shown.replace(",", "").split()[0]) for name, _, shown in rows(text("--units", "exact", path))}
    tap.same(exact, {name: size for name, (_, size) in want.items()}, "--units exact: every byte")
    for name, _, shown in rows(text("--units", "iec", path)):
        number, unit = shown.split()
        factor = {"B": 1, "KiB": 1024, "MiB": 1024**2}[unit]
        tap.ok(abs(float(number) * factor - want[name][1]) <= 0.005 * want[name][1],
               f"--units iec: {name}", f"{shown} {want[name]}")
    bits = re.search(r"packets/s, (\S+) (k?)bit/s", text(path))
    rate = re.search(r"packets/s, (\S+) (k?)B/s", text("--units", "bytes", path))
    value = lambda match: float(match[1]) * (1000 if match[2] else 1)
    tap.ok(bits and rate and abs(value(bits) / value(rate) - 8) < 0.1, "--units bytes: rates", f"{bits} {rate}")
    tap.ok("kbit/s" in text("--units", "bits,si", path) and re.search("[KM]iB/s", text("--units", "bytes,iec", put("fast.pcap", step=1000))),
           "--units: several with commas")


def colors(path):
    environment = {**os.environ, "NO_COLOR": "1", "TERM": "dumb"}
    plain = text("--color", "never", path)
    tap.same(text("--color", "auto", path), plain, "--color auto: none in a pipe")
    colored = text("--color", "always", path, env=environment)
    tap.ok("\033[1m" in colored and re.sub(r"\033\[\d*m", "", colored) == plain, "--color always: whatever the environment says",
           repr(colored))


def intervals():
    """Each block is one interval; what all have in common is there once."""
    path = put("intervals.pcap", "\n".join(["eth/ip/udp/data(7)"] * 10), 10**9)
    out = text("-I", "2", path)
    reports = [json.loads(line) for line in text("-I", "2", "--format", "json", path).splitlines()]
    blocks = out.strip().split("\n\n")
    tap.same((len(blocks), len(reports)), (6, 5), "intervals: a head and a block each")
    tap.same(blocks[0].splitlines(), [f"{path} (eth)", "2023-11-14 UTC"], "intervals: the head says what and when")
    tap.same([block.splitlines()[0] for block in blocks[1:]],
             [f"{report['start'][11:19]}  1.000 s: 2 packets, 98 B: 2 packets/s, 784 bit/s" for report in reports],
             "intervals: time, length, counts and rates in one line")
    tap.same(out.count("protocol  "), 1, "intervals: the titles are there once")
    tap.same([rows(block)[-1] for block in blocks[1:]], [("eth:ip:udp", 2, "98 B")] * 5, "intervals: each has its rows")
    tap.ok(all(len(line) <= 80 for line in out.splitlines()[1:]), "intervals: within 80 columns")
    wide = put("wide.pcap", "200000 * eth/ip/udp/data(7)\n" * 3, 10000)
    blocks = text("-I", "2", wide).strip().split("\n\n")
    tap.ok(all(len({len(row) for row in block.splitlines()[1:]}) == 1 for block in blocks[1:]), "columns are as wide as they have to be",
           "\n\n".join(blocks))
    night = put("night.pcap", "\n".join(["eth/arp"] * 3), 40_000 * 10**9)
    out = text("-I", "1", night)
    tap.same(re.findall(r"^\d{4}-\d\d-\d\d UTC$", out, re.M), ["2023-11-14 UTC", "2023-11-15 UTC"], "a new day is a new head")


def main():
    tap.time_limit(120)
    path = put("look.pcap")
    rows_and_order(path)
    units(path)
    colors(path)
    intervals()
    tap.done()


main()
