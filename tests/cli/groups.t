#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""--by on files: rows have what the packets have, rows, other and none add up to the totals whatever comes
in, heavy keys stay, and what is wrong is said."""
import collections
import json
import os
import random
import struct
import subprocess
import sys
import tempfile

import captures
import place
import tap

COMMAND = os.path.abspath(os.environ.get("SOCKTALLY", "build/socktally"))
COUNTERS = ("packets", "segments", "bytes", "accepted_packets", "accepted_bytes")
SEED = int(os.environ.get("TEST_SEED", "7"))


def run(*words):
    done = subprocess.run([COMMAND, *words], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def read(path, *words):
    status, out, err = run("read", "--format", "json", *words, path)
    tap.same((status, err), (0, ""), f"read {' '.join(words)}")
    return [json.loads(line) for line in out.splitlines()]


def add(*rows):
    return {name: sum(row[name] for row in rows) for name in COUNTERS}


def adds_up(report, text):
    for group in report["groups"]:
        have = add(*group["rows"], group["other"], group["none"])
        want = {name: report["totals"][name] for name in COUNTERS}
        if have != want:
            tap.same(have, want, f"{text}: {group['name']} adds up to the totals")
            return
    tap.ok(True, f"{text}: rows, other and none are the totals")


def udp(source, sport, dport, length=60):
    """A frame with these in it, cut to its headers; `length` is what it had."""
    return struct.pack(">6s6sH", b"\2\0\0\0\0\2", b"\2\0\0\0\0\1", 0x0800) + struct.pack(
        ">BBHHHBBHI4s", 0x45, 0, length - 14, 0, 0, 64, 17, 0, source, b"\x0a\0\0\1") + struct.pack(
        ">HHHH", sport, dport, length - 34, 0)


def write(file, frames):
    """frames: (second, data, length)"""
    file.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 262144, 1))
    file.write(b"".join(struct.pack("<IIII", time, 0, len(data), length) + data for time, data, length in frames))
    file.flush()


def rows_of(group):
    return {tuple(row["key"]): row for row in group["rows"]}


def fields_and_sums():
    with tempfile.NamedTemporaryFile() as file:
        file.write(captures.pcap(captures.sample()))
        file.flush()
        report = read(file.name, "--by", "ports=tcp.dstport,ip.dst", "--by", "vlan.id", "--by", "path@1", "--by",
                      "direction,verdict", "--by", "app")[0]
    adds_up(report, "a sample")
    groups = {group["name"]: group for group in report["groups"]}
    tap.same(groups["ports"]["fields"], ["tcp.dstport", "ip.dst"], "fields as they were given")
    tap.same([(row["key"][0], row["packets"]) for row in groups["ports"]["rows"]], [(443, 1)], "a TCP port")
    tap.same(groups["ports"]["none"]["packets"], 7, "packets without a field are in none")
    tap.same([(row["key"], row["packets"]) for row in groups["vlan.id"]["rows"]], [([5], 2)], "a VLAN")
    tap.same([row["key"] for row in groups["path@1"[:-2]]["rows"]], [["eth:ip:udp"]], "@1: the row with most bytes")
    tap.same(groups["path"]["other"]["packets"], 5, "@1: the rest is in other")
    tap.same(sorted((row["key"], row["packets"]) for row in groups["direction,verdict"]["rows"]),
             [(["in", "accepted"], 5), (["in", "cut"], 3)], "what of the packets is in the file")
    tap.same(sorted(row["key"][0] for row in groups["app"]["rows"]), ["arp", "icmp", "tcp", "udp"],
             "the last layer")


def flood(generator):
    """A few heavy keys under many that come once or twice, through tables of all sizes."""
    heavy = {0x0b000000 + i: 400 + 10 * i for i in range(10)}
    frames = [(1, udp(source, 5, 53, 500), 500) for source, count in heavy.items() for _ in range(count)]
    frames += [(1, udp(generator.getrandbits(32) | 1 << 31, generator.getrandbits(16), 53), 60) for _ in range(60000)]
    generator.shuffle(frames)
    truth = collections.Counter()
    for _, data, length in frames:
        truth[data[26:30]] += length
    with tempfile.NamedTemporaryFile() as file:
        write(file, frames)
        for keys in (64, 1024, 65536):
            report = read(file.name, "--by", "ip.src", "--by", "ip.src,udp.srcport,eth.src", "--keys", str(keys))[0]
            adds_up(report, f"a flood through {keys} keys")
            rows = rows_of(report["groups"][0])
            tap.ok(len(rows) <= keys, f"{keys} keys: no more rows than that")
            bytes_of = {key: row["bytes"] for (key,), row in rows.items()}
            wrong = [key for (key,), row in rows.items()
                     if not row["bytes"] <= truth[bytes(map(int, key.split(".")))]
                     <= row["bytes"] + row.get("missing_bytes", 0)]
            tap.same(wrong, [], f"{keys} keys: a row has no more than there was, and what it lacks is within its bound")
            tap.same([i for i in range(10) if f"11.0.0.{i}" not in bytes_of], [], f"{keys} keys: heavy keys stay")
            if keys >= 1024:
                tap.same([bytes_of[f"11.0.0.{i}"] for i in range(10)], [500 * count for count in heavy.values()],
                         f"{keys} keys: heavy keys are exact")
            most = max((row.get("missing_bytes", 0) for row in rows.values()), default=0)
            tap.ok(most <= 4 * sum(truth.values()) / keys, f"{keys} keys: no bound is above four times bytes / keys",
                   f"{most}, {sum(truth.values())} bytes")
            tap.ok(keys > 60010 or report["groups"][0]["other"]["packets"], f"{keys} keys: other has what is in no row")
            if keys > 60010:
                tap.same((len(rows), most), (len(truth), 0), "all keys fit: each has a row, and nothing is missing")


def intervals():
    """A report of each interval has that interval's packets, also where keys lose their place meanwhile."""
    generator = random.Random(SEED)
    frames = [(second, udp(generator.randrange(300), 1, 2), 60) for second in range(10, 20) for _ in range(2000)]
    frames += [(21, udp(7, 1, 2), 60)] * 3
    with tempfile.NamedTemporaryFile() as file:
        write(file, frames)
        for keys, name in ("64", "full"), ("4096", "not full"):
            reports = read(file.name, "--by", "ip.src", "-I", "1", "--keys", keys)
            tap.same(len(reports), 11, f"table {name}: reports")
            for report in reports:
                adds_up(report, f"table {name}, an interval")
        last = reports[-1]["groups"][0]
        tap.same([(row["key"], row["packets"]) for row in last["rows"]], [(["0.0.0.7"], 3)],
                 "an interval has no rows of others")


def text():
    with tempfile.NamedTemporaryFile() as file:
        write(file, [(1, udp(i // 2 << 8, 1, 1000 + i), 60) for i in range(100)])
        lines = run("read", "--by", "net=ip.src/24,udp.dstport/64", file.name)[1].splitlines()
        at = lines.index("net:")
        tap.same(lines[at + 1].split(), "ip.src/24 udp.dstport/64 packets % bytes % accepted".split(), "titles")
        tap.same(len(lines) - at, 2 + 20 + 2, "20 rows, other, and how many more there are")
        tap.ok(lines[-2].startswith("other") and lines[-1].endswith('more rows are in "other"'), "rows not shown")
        tap.ok(any(line.split()[:2] == ["0.0.0.0/24", "960-1023"] for line in lines), "a prefix and a range")


def wrong():
    with tempfile.NamedTemporaryFile() as file:
        write(file, [])
        for words, what in (("ip.dts", "nearest: ip.dst"), ("tcp.prot", "tcp."), ("nonsense", "no field nonsense"),
                            ("", "no name"), ("ip.src,", "no name"), ("ip.src/33", "0 to 32"), ("ip.src/", "0 to 32"),
                            ("ipv6.src/129", "0 to 128"), ("tcp.dstport/3", "power of two"),
                            ("tcp.dstport/0", "power of two"), ("tcp.flags/4", "only addresses and numbers"),
                            ("inner.frame.len", "no inner one"), ("ip.src@0", "number of rows"),
                            ("ip.src@x", "number of rows"), ("=ip.src", "name"),
                            ("ipv6.src,ipv6.dst,path,addr.src,addr.dst", "too many fields"),
                            (",".join(["ip.ttl"] * 9), "too many fields")):
            status, out, err = run("read", "--by", words, file.name)
            tap.ok(status == 2 and not out and what in err and len(err.splitlines()) == 1, f"--by '{words}'",
                   f"{status} {err}")
        status, _, err = run("read", "--by", "ip.src", "--by", "ip.src", file.name)
        tap.ok(status == 2 and "already" in err, "two of one name", err)
        status, _, err = run("read", "--by", "a=ip.src", "--by", "b=ip.src", file.name)
        tap.same(status, 0, "the same fields under two names")
        for words in ("0", "65537", "x"):
            tap.same(run("read", "--by", "ip.src", "--keys", words, file.name)[0], 2, f"--keys {words}")


def all_fields():
    """Each field of the list is taken, and has a value in some packet of ours or is not of files."""
    names = [line.split()[0] for line in run("fields")[1].splitlines()]
    tap.ok(len(names) > 50, f"{len(names)} fields")
    with open(place.data("paths.txt"), encoding="utf-8") as file:
        wanted = list(captures.packets.read(line.lstrip("!?") for line in file))
    with tempfile.NamedTemporaryFile(suffix=".pcapng") as file:
        file.write(captures.packets.pcapng(wanted))
        file.flush()
        words = [word for name in names for word in ("--by", name)]
        inner = [word for name in names if "." in name and not name.startswith("frame") and "unread" not in name
                 for word in ("--by", f"inner.{name}")]
        report = read(file.name, *words)[0]
        adds_up(report, "all fields")
        adds_up(read(file.name, *inner)[0], "all fields of inner headers")
    empty = {group["name"] for group in report["groups"] if not group["rows"]}
    tap.same(sorted(empty), ["cpu", "interface", "mark", "queue"], "only what files do not say has no row")


def main():
    tap.time_limit(120)
    fields_and_sums()
    flood(random.Random(SEED))
    intervals()
    text()
    wrong()
    all_fields()
    tap.done()


sys.exit(main())
