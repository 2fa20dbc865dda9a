#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Flows of tests/data/applications.txt are recognised as what they are, and those near them are not; each application of
applications.def has one that is. docs/applications.md is what its script makes of that list."""
import collections
import json
import os
import re
import struct
import subprocess
import sys
import tempfile

import place
import tap

VECTORS = os.path.join(place.SOURCES, "tests/data/applications.txt")
LIST = os.path.join(place.SOURCES, "include/socktally/applications.def")
CLIENT_PORT, PORT = 50000, 40000
TOKEN = re.compile(r"'((?:[^'\\]|\\.)*)'|\*(\d+)|=(\d+)|([0-9a-f]{2})(?= |$)")
ESCAPES = {"n": "\n", "r": "\r"}

Vector = collections.namedtuple("Vector", "name transport port turns text")


def payload(text):
    """Bytes of what one side says in one packet."""
    data, at = b"", 0
    while at < len(text):
        if text[at] == " ":
            at += 1
            continue
        token = TOKEN.match(text, at)
        if not token:
            raise ValueError(f"{text[at:]}: not understood")
        quoted, zeros, length, byte = token.groups()
        if quoted is not None:
            data += re.sub(r"\\(.)", lambda c: ESCAPES.get(c[1], c[1]), quoted).encode()
        elif byte:
            data += bytes([int(byte, 16)])
        else:
            data += bytes(int(zeros) if zeros else int(length) - len(data))
        at = token.end()
    return data


def vectors():
    with open(VECTORS, encoding="utf-8") as lines:
        for line in lines:
            if not line.strip() or line.startswith("#"):
                continue
            name, transport, said = line.strip().split(" ", 2)
            transport, _, port = transport.partition(":")
            turns = re.findall(r"([<>]) ((?:'(?:[^'\\]|\\.)*'|[^<>'])+)", said)
            yield Vector(None if name == "-" else name, transport, int(port or PORT),
                         [(side == ">", payload(text)) for side, text in turns], line.strip())


def packet(number, vector, from_client, data):
    """Each flow has a client of its own."""
    client = struct.pack("!BBH", 10, 1, number)
    ends = [(client, CLIENT_PORT), (bytes([10, 0, 0, 2]), vector.port)]
    (source, sport), (target, dport) = ends if from_client else ends[::-1]
    if vector.transport == "tcp":
        header = struct.pack("!HHIIBBHHH", sport, dport, 1, 1, 0x50, 0x18, 1000, 0, 0)
    else:
        header = struct.pack("!HHHH", sport, dport, 8 + len(data), 0)
    body = header + data
    protocol = 6 if vector.transport == "tcp" else 17
    return (struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(body), 0, 0, 64, protocol, 0, source, target) + body)


def write(path, flows):
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 101))
        for number, vector in enumerate(flows):
            for from_client, data in vector.turns:
                data = packet(number, vector, from_client, data)
                file.write(struct.pack("<IIII", 1_700_000_000, 0, len(data), len(data)) + data)


def recognised(flows):
    """For each of the flows, the application that `read --flows` says."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "flows.pcap")
        write(path, flows)
        run = subprocess.run([os.environ["SOCKTALLY"], "read", "--flows", "--format", "json", path],
                             capture_output=True, text=True, check=True)
    found = {}
    for line in run.stdout.splitlines():
        row = json.loads(line)
        if "flow" in row:
            client = next(row["flow"][end] for end in "ab" if row["flow"][end].startswith("10.1."))
            high, low = client.split(".")[2:]
            found[int(high) << 8 | int(low)] = row["application"]
    return [found.get(number) for number in range(len(flows))]


def main():
    flows = list(vectors())
    for vector, name in zip(flows, recognised(flows)):
        tap.same(name, vector.name, vector.text)
    with open(LIST, encoding="utf-8") as file:
        names = re.findall(r'^SOCKTALLY_APPLICATION\(\d+, \w+, "([^"]+)"', file.read(), re.M)
    tap.ok(len(names) >= 100, "at least 100 applications", len(names))
    tap.same(sorted(set(names) - {vector.name for vector in flows}), [], "each application has a flow here")
    # The first byte is evidence, or its place is: a flow with all bytes moved by one isn't the same any more.
    moved = [vector._replace(turns=[(side, b"\xfe" + data) for side, data in vector.turns]) for vector in flows]
    tap.same([f"{name}: {vector.text}" for vector, name in zip(moved, recognised(moved))
              if name is not None and name == vector.name], [], "nothing is what it was with a byte before it")
    run = subprocess.run([sys.executable, os.path.join(place.SOURCES, "docs/applications.py"), LIST],
                         capture_output=True, text=True, check=False)
    with open(os.path.join(place.SOURCES, "docs/applications.md"), encoding="utf-8") as file:
        tap.same(run.stdout, file.read(), "docs/applications.md is current (docs/applications.py makes it)")
    tap.done()


main()
