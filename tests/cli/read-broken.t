#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""socktally read on files that are cut short, corrupt or no captures: what is before the fault is
counted, one line says where it is, and the exit status is 1."""
import gzip
import os
import pty
import random
import re
import resource
import struct
import sys
import tempfile

import captures
import place
import tap
from captures import block, enhanced, interface, pcap, pcapng, section

FOLDER = tempfile.TemporaryDirectory(prefix="socktally-test-")
SEED = int(os.environ.get("SEED", "0")) or random.SystemRandom().randrange(1, 10**9)


def put(data, name="capture"):
    path = os.path.join(FOLDER.name, name)
    with open(path, "wb") as file:
        file.write(data)
    return path


def refused(name, path, *words, **options):
    """Nothing can be counted: no report, one line with these words, status 1."""
    status, out, err = captures.run("read", path, **options)
    tap.ok(status == 1 and out == b"" and captures.one_line(err) and all(w in err for w in words),
           f"{name}: refused in one line", f"{status} {out!r} {err!r}")


def stops(name, data, sample, *words, **options):
    """The packets of the sample are counted, then it ends with one line."""
    status, report, err = captures.read_json(put(data), **options)
    good = (status == 1 and captures.one_line(err) and all(word in err for word in words) and
            captures.report_table(report) == captures.table(sample))
    return tap.ok(good, f"{name}: counted up to there, and said so", f"{status} {report} {err!r}")


def no_captures(sample):
    refused("a missing file", FOLDER.name + "/nothing", "can't open", "check the name")
    refused("a directory", FOLDER.name, "is a directory")
    refused("an empty file", put(b""), "is empty")
    refused("an empty pipe", "-", "standard input: is empty", input=b"")
    refused("a text", put(b"Hello, world\n" * 10), "no pcap or pcapng file", "editcap")
    refused("three bytes", put(b"\xd4\xc3\xb2"), "no pcap or pcapng file")
    refused("gzip of a text", put(gzip.compress(b"Hello")), "no gzip pcap or pcapng file")
    refused("gzip of nothing", put(gzip.compress(b"")), "is empty")
    refused("gzip that is not", put(b"\x1f\x8b" + bytes(100)), "gzip data is corrupt")
    refused("zstd that is not", put(b"\x28\xb5\x2f\xfd" + bytes(100)), "zstd")
    for name, undo, data in (("lzip", "lzip -dc", b"LZIP\1"), ("compress", "zcat", b"\x1f\x9d\x90"),
                             ("zip", "unzip -p", b"PK\3\4"), ("lz4's old format", "lz4 -dc", b"\2\x21\x4c\x18")):
        path = put(data + bytes(40))
        refused(name, path, f"is compressed with {name}: {undo} {path} | socktally read -")
        refused(f"{name}, piped in", "-", f"is compressed with {name}: put {undo} | before it", input=data)
    refused("an unknown version", put(pcap(sample, version=(3, 0))), "version 3.0")
    refused("an unknown version of pcapng", put(section(version=(2, 0))), "version", "2")
    refused("a wrong byte-order magic", put(section().replace(b"\x4d\x3c\x2b\x1a", b"abcd")),
            "byte-order magic")
    refused("a name with a newline", FOLDER.name + "/no\nthing", "no\\x0athing")
    refused("a write-only descriptor", "-", "can't be read", stdin=os.open("/dev/null", os.O_WRONLY))
    ours, theirs = pty.openpty()
    refused("a terminal", "-", "is a terminal", stdin=theirs)
    os.close(ours)
    if os.geteuid() == 0:
        path = put(pcap(sample), "secret")
        os.chmod(path, 0)
        os.chmod(FOLDER.name, 0o755)
        refused("no permission", path, "can't open: Permission denied", "sudo",
                preexec_fn=lambda: os.setuid(65534), **place.opened(captures.SOCKTALLY))


def cut_everywhere(name, data, sample, ends, headers):
    """Cut at every byte; ends: {length: how many packets}, at which it is no fault."""
    bad = []
    for length in range(1, len(data)):
        status, report, err = captures.read_json(put(data[:length]))
        whole = max([0] + [count for end, count in ends.items() if end <= length])
        want = captures.table(sample[:whole])
        fine = length in ends
        if not (status == (not fine) and (err == "" if fine else captures.one_line(err)) and
                captures.report_table(report) == want and
                (fine or length < headers or re.search(r"cut short in the .* at byte \d+", err))):
            bad.append(f"{length} bytes: {status} {report} {err}")
    tap.ok(not bad, f"{name}: cut at each of {len(data)} bytes", "\n".join(bad[:5]))


def cut_short():
    sample = captures.sample("eth/ip/udp/data(1)\neth/arp")
    ends, at = {24: 0}, 24
    for i, packet in enumerate(sample, 1):
        at += 16 + len(packet.data)
        ends[at] = i
    cut_everywhere("pcap", pcap(sample), sample, ends, 4)
    parts = [section(), interface()] + [enhanced(packet) for packet in sample]
    ends, at = {}, 0
    for i, part in enumerate(parts):
        at += len(part)
        ends[at] = max(0, i - 1)
    cut_everywhere("pcapng", pcapng(sample), sample, ends, 4)
    packed = gzip.compress(pcap(sample * 20, linktype=1))
    bad = [length for length in range(20, len(packed) - 1)
           if (lambda s, o, e: s != 1 or not captures.one_line(e))(
               *captures.run("read", put(packed[:length])))]
    tap.ok(not bad, f"gzip: cut at each of {len(packed)} bytes", str(bad[:20]))
    stops("gzip without its end", packed[:-4], sample * 20, "gzip data is cut short", "40 whole")


def corrupt(sample):
    good = pcap(sample[:2])
    for length in (0xffffffff, 0x10000001):
        stops(f"a packet of {length} bytes", good + struct.pack("<IIII", 0, 0, length, 60),
              sample[:2], "corrupt", f"at byte {len(good)}", str(length))
    stops("a packet of 256 MiB that isn't there", good + struct.pack("<IIII", 0, 0, 1 << 28, 60),
          sample[:2], "cut short", f"at byte {len(good)}")
    most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss >> 10
    tap.ok(most < 128, f"a claimed length costs no memory: at most {most} MiB used")
    good = section() + interface() + b"".join(map(enhanced, sample[:2]))
    at = f"at byte {len(good)}"
    packet = struct.pack("<IIIII", 0, 0, 0, 100, 100)
    for name, fault, word in (
            ("a block of length 0", block(6, packet + bytes(100), length=0), "length of 0"),
            ("a block of length 8", block(6, packet, length=8), "length of 8"),
            ("an odd length", block(6, packet + bytes(100), length=131), "length of 131"),
            ("a block of 4 GiB", block(6, packet, length=0xfffffffc), "length of 4294967292"),
            ("two lengths", block(6, packet + bytes(100), last=128), "another length"),
            ("two lengths of an unknown block", block(99, bytes(8), last=24), "another length"),
            ("a packet longer than its block", block(6, packet + bytes(96)), "too short"),
            ("a packet block without room", block(6, bytes(16)), "too few bytes"),
            ("an obsolete block without room", block(2, bytes(16)), "too few bytes"),
            ("a simple block without room", block(3, b""), "too few bytes"),
            ("an interface without room", block(1, bytes(4)), "too few bytes"),
            ("an unknown interface", block(6, b"\1" + packet[1:] + bytes(100)), "not described"),
            ("a section too short", block(0x0a0d0d0a, struct.pack("<II", 0x1a2b3c4d, 1) + bytes(8),
                                          length=24), "length of 24"),
            ("an unknown block that ends early", block(99, bytes(8), length=4000)[:-4], "cut short")):
        stops(f"pcapng: {name}", good + fault, sample[:2], at, word)
    stops("pcapng: a packet before any interface", section() + enhanced(sample[0]), [], "byte 28",
          "not described")
    stops("pcapng: the last section's interfaces are forgotten", good + section() +
          enhanced(sample[0]), sample[:2], "not described")
    stops("pcapng: too many interfaces", good + interface() * 65536, sample[:2],
          "one interface too many")
    wild = interface(options=struct.pack("<HH", 2, 0xffff)) + interface(
        options=struct.pack("<HH", 9, 0)) + interface(options=b"\2\0\3\0abc")
    status, report, err = captures.read_json(put(good + wild + enhanced(sample[2])))
    tap.same((status, captures.report_table(report), err), (0, captures.table(sample[:3]), ""),
             "pcapng: options that end past their block are left")


def mutated(sample):
    """Whatever the bytes are: a report, at most one line, status 0 or 1."""
    generator = random.Random(SEED)
    sources = [pcap(sample), pcapng(sample), gzip.compress(pcapng(sample)),
               pcapng(sample[:3], ">") + pcapng(sample[3:])]
    bad = []
    for i in range(300):
        data = bytearray(generator.choice(sources))
        for _ in range(generator.choice((1, 1, 2, 8))):
            data[generator.randrange(len(data))] = generator.choice((0, 0xff, 0x80, i & 0xff))
        status, _, err = captures.read_json(put(bytes(data)))
        if status not in (0, 1) or (err and not captures.one_line(err)) or bool(err) != status:
            bad.append(f"{bytes(data).hex()}: {status} {err}")
    tap.ok(not bad, f"300 files with wrong bytes (SEED={SEED})", "\n".join(bad[:3]))


def main():
    tap.time_limit(300)
    sample = captures.sample()
    no_captures(sample)
    cut_short()
    corrupt(sample)
    mutated(sample)
    tap.done()


sys.exit(main())
