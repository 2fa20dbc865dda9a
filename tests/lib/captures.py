# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Capture files of every kind that there is, right or wrong in one place, and what is in them.

Written from the formats' descriptions, apart from packets.py and from the code under test.
"""
import collections
import json
import os
import struct
import subprocess

import packets

SOCKTALLY = os.path.abspath(os.environ.get("SOCKTALLY", "build/socktally"))

# time: nanoseconds since 1970
Packet = collections.namedtuple("Packet", "time length linktype data path")

TEXT = """
eth/ip/tcp(dport=443)/data(1)
3 * eth/ip/udp(dport=9)/data(1400)/cut(60)
eth/arp/pad(60)
2 * eth/vlan(id=5)/ipv6/udp/data(7)
eth/ip/icmp/data(56)
"""
START = 1_700_000_000_123_456_789


def sample(text=TEXT, step=1_000_001_000):
    """Packets of a text, a bit more than a second apart."""
    return [Packet(START + i * step, packet.length, packet.linktype, packet.data, packet.path)
            for i, packet in enumerate(packets.read(text.splitlines()))]


def pcap(sample_, order="<", magic=0xa1b2c3d4, version=(2, 4), linktype=None, snaplen=262144):
    """order: "<" or ">". Magic a1b23c4d has nanoseconds, a1b2cd34 longer record headers; a12b3c4d is
    Navtel's, 1c0001ac and 1c0001ab are IXIA's."""
    if linktype is None:
        linktype = sample_[0].linktype if sample_ else 1
    nanoseconds = magic in (0xa1b23c4d, 0xa12b3c4d, 0x1c0001ac)
    out = [struct.pack(order + "IHHiIII", magic, *version, 0, 0, snaplen, linktype)]
    if magic in (0x1c0001ab, 0x1c0001ac):  # IXIA's lcap: the size of all records
        out.append(struct.pack(order + "I", sum(16 + len(packet.data) for packet in sample_)))
    for packet in sample_:
        seconds, fraction = divmod(packet.time, 10**9)
        lengths = len(packet.data), packet.length
        if version[0] != 2 or version[1] < 3:
            lengths = lengths[::-1]
        out.append(struct.pack(order + "IIII", seconds,
                               fraction if nanoseconds else fraction // 1000, *lengths))
        if magic == 0xa1b2cd34:
            out.append(struct.pack(order + "IHBB", 7, 0x800, 0, 0))
        out.append(packet.data)
    return b"".join(out)


def pad4(data):
    return data + bytes(-len(data) % 4)


def block(kind, body, order="<", length=None, last=None):
    """A block; length and last stand for wrong ones."""
    body = pad4(body)
    real = len(body) + 12
    return (struct.pack(order + "II", kind, real if length is None else length) + body +
            struct.pack(order + "I", real if last is None else last))


def option(code, data, order="<"):
    return struct.pack(order + "HH", code, len(data)) + pad4(data)


def section(order="<", options=b"", version=(1, 0)):
    return block(0x0a0d0d0a, struct.pack(order + "IHHq", 0x1a2b3c4d, *version, -1) + options, order)


def interface(linktype=1, order="<", snaplen=0, options=b""):
    return block(1, struct.pack(order + "HHI", linktype, 0, snaplen) + options, order)


def enhanced(packet, number=0, order="<", units=10**6, offset=0, options=b""):
    ticks = (packet.time - offset * 10**9) * units // 10**9
    return block(6, struct.pack(order + "IIIII", number, ticks >> 32, ticks & 0xffffffff,
                                len(packet.data), packet.length) + pad4(packet.data) + options,
                 order)


def obsolete(packet, number=0, order="<"):
    ticks = packet.time // 1000
    return block(2, struct.pack(order + "HHIIII", number, 0xffff, ticks >> 32, ticks & 0xffffffff,
                                len(packet.data), packet.length) + packet.data, order)


def simple(packet, order="<"):
    return block(3, struct.pack(order + "I", packet.length) + packet.data, order)


def statistics(number=0, order="<", **counts):
    """A block of interface statistics: received, interface_drops, filter_accepted, system_drops, delivered."""
    codes = {"received": 4, "interface_drops": 5, "filter_accepted": 6, "system_drops": 7, "delivered": 8}
    options = b"".join(option(codes[name], struct.pack(order + "Q", count), order)
                       for name, count in counts.items())
    return block(5, struct.pack(order + "III", number, 0, 0) + options + option(0, b"", order), order)


def pcapng(sample_, order="<"):
    """One interface for each link type."""
    linktypes = sorted({packet.linktype for packet in sample_})
    return section(order) + b"".join(
        [interface(linktype, order) for linktype in linktypes] +
        [enhanced(packet, linktypes.index(packet.linktype), order) for packet in sample_])


def table(sample_):
    """{path: [packets, bytes, captured bytes]}"""
    cells = collections.defaultdict(lambda: [0, 0, 0])
    for packet in sample_:
        cell = cells[packet.path]
        cell[0] += 1
        cell[1] += packet.length
        cell[2] += len(packet.data)
    return dict(cells)


def report_table(report):
    return {row["path"]: [row["packets"], row["bytes"], row["accepted_bytes"]]
            for row in report["paths"]}


def run(*arguments, **options):
    """socktally ARGUMENTS: status, stdout, stderr."""
    options.setdefault("stdin", subprocess.DEVNULL if "input" not in options else None)
    if options["stdin"] is None:
        del options["stdin"]
    options.setdefault("stdout", subprocess.PIPE)
    done = subprocess.run([SOCKTALLY, *arguments], stderr=subprocess.PIPE, timeout=60, check=False,
                          **options)
    return done.returncode, done.stdout, done.stderr.decode(errors="replace")


def one_line(text):
    return text.startswith("socktally: ") and text.endswith("\n") and text.count("\n") == 1


def read_json(path, *arguments, **options):
    status, out, err = run("read", "--format", "json", *arguments, path, **options)
    try:
        return status, json.loads(out), err
    except ValueError:
        return status, {"paths": [], "totals": {}, "source": {}, "raw": out}, err
