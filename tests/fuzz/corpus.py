#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""corpus.py TARGET FOLDER: what a fuzz target starts from, made of the packets of tests/data/paths.txt."""
import json
import os
import re
import struct
import sys

import packets
import place

# As in parser.c
LINKTYPES = [1, 1, 1, 1, 0, 9, 50, 51, 100, 101, 108, 113, 204, 228, 229, 248, 276, 127,
             8, 10, 104, 105, 107, 109, 192, 197, 219, 226, 239, 242, 258]


def parser(all_packets):
    """A byte that chooses the link type, and the packet."""
    return [bytes([LINKTYPES.index(packet.linktype)]) + packet.data for packet in all_packets
            if packet.linktype in LINKTYPES]


def capture_file(all_packets):
    """Files of a few packets."""
    of_one_type = [packet for packet in all_packets if packet.linktype == packets.LINKTYPE["eth"]]
    return [packets.pcapng(all_packets[i:i + 3]) for i in range(0, len(all_packets), 10)] + \
        [packets.pcap(of_one_type[i:i + 3]) for i in range(0, len(of_one_type), 10)]


BROKER_MAGIC, BROKER_VERSION = 0x76736b73, 6


def message(data, descriptor=0):
    """A message of a conversation, as broker.c and remote.c read it."""
    return struct.pack("=HB", len(data), descriptor) + data


def broker(_packets):
    """Conversations of requests, as proto/broker.h has them, and the variable in the environment."""
    open_, set_filter, attach, detach, attached, get, forget, finish, seccomp, statistics = range(1, 11)
    accept = struct.pack("=HBBI", 6, 0, 0, 0x40000)
    udp = struct.pack("=HBBI", 0x30, 0, 0, 23) + struct.pack("=HBBI", 0x15, 0, 1, 17) + accept + \
        struct.pack("=HBBI", 6, 0, 0, 0)

    def request(op, filter_=b"", count=None, flags=0, error=0, link=0, kind=3, cookie=77):
        head = struct.pack("=IHHIIQiIIHHiiIIII32s16s64s", BROKER_MAGIC, BROKER_VERSION, op, 1,
                           len(filter_) // 8 if count is None else count, cookie, 1, link, flags, kind, 1, 3, error,
                           640, 0, 0, 0, b"", b"eth0", b"")
        return message(head + filter_)
    return [request(attach) + request(attached), request(attach, udp) + request(attached) + request(get, count=4096),
            request(set_filter, accept) + request(attached, error=12), request(set_filter, udp * 100, link=1),
            request(attach, accept, kind=2) + request(attached) + request(attach, flags=2) + request(detach),
            request(forget, flags=4), request(finish), request(seccomp), request(open_),
            request(attach) + request(attached) + request(statistics),
            f"6:999:4026:0:812:{'0f' * 16}:{'a5' * 16}:003:0".encode()]


def remote(_packets):
    """Replies to the library's request."""
    def reply(answer, error=0, serial=1, descriptor=0):
        return message(struct.pack("=IHHIiIIII320s", BROKER_MAGIC, BROKER_VERSION, answer, serial, error, 0, 1, 4096, 9,
                                   b"why"), descriptor)
    return [reply(1, descriptor=1), reply(3, -22), reply(1, serial=7, descriptor=1) + reply(3, -16), reply(2), reply(1)]


def loader(_packets):
    """The library's hooks: two bytes that choose the program and a variable, and the object file."""
    programs = ["count", "cut", "drop", "icmp", "snap", "rate", "sample", "sample", "sizes", "talkers",
                "talkers", "tcpflags"]
    found = []
    for number, name in enumerate(programs, 1):
        folder = "tests/data" if name in ("count", "cut") else "bpf/hooks"
        name = "steps" if name in ("count", "cut") else name
        with open(os.path.join(os.environ["BUILDDIR"], folder, name + ".bpf.h"),
                  encoding="ascii") as header:
            data = bytes(int(byte, 16) for byte in re.findall("0x[0-9a-f]{2}", header.read()))
        found += [bytes([number, way]) + data for way in (0, 4, 8)]
    return found


def class_file(_packets):
    """Files of the expressions that tests compare with libpcap's filters."""
    with open(place.data("expressions.txt"), encoding="utf-8") as file:
        expressions = [line.strip() for line in file if line.strip() and not line.startswith("#")]
    return [b"\xef\xbb\xbf# three\na = tcp # one\nb b=udp\r\n\tc =  arp or ( ip6 )\n"] + [
        "".join(f"c{at} = {expression}\n" for at, expression in enumerate(expressions[i:i + 3])).encode()
        for i in range(0, len(expressions), 3)]


def report(_packets):
    """Reports with each part that the reader looks at."""
    zeros = {"packets": 0, "segments": 0, "bytes": 0, "accepted_packets": 0, "accepted_bytes": 0}
    one = dict.fromkeys(zeros, 1)
    base = {"schema": "socktally/1", "source": {"kind": "socket", "program": "2,48 0 0 23,6 0 0 96"},
            "totals": {**one, "overflow_packets": 0}, "paths": [{"path": "eth:ip", "direction": "in", **one}]}
    more = {"source": {"kind": "file", "statistics": {"system_drops": 5}},
            "notes": [{"time": "2026-01-01T00:00:00.000000Z", "event": "x", "text": "\u00e4\n"}],
            "classes": [{"name": "a", "expression": "tcp", **zeros}],
            "groups": [{"name": "g", "fields": ["ip.src"], "rows": [{"key": ["10.0.0.1", 7], **zeros}],
                        "other": zeros, "none": zeros}], "new": [True, None, -1.5e3]}
    return [json.dumps(base).encode(), json.dumps({**base, **more}).encode(),
            b"\n".join([json.dumps(base).encode()] * 3)]


def main():
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    make = {"parser": parser, "capture_file": capture_file,
            "broker": broker, "remote": remote, "loader": loader, "class_file": class_file,
            "report": report}.get(os.path.basename(sys.argv[1]))
    with open(place.data("paths.txt"), encoding="utf-8") as lines:
        all_packets = list(packets.read(line.lstrip("!?") for line in lines))
    os.makedirs(sys.argv[2], exist_ok=True)
    for number, data in enumerate(make(all_packets) if make else []):
        with open(os.path.join(sys.argv[2], f"own-{number}"), "wb") as file:
            file.write(data)
    return 0


sys.exit(main())
