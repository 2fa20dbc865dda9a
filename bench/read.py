#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Packets a second of `socktally read` on a warm file, and of other tools that read it."""
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "tests"))

import packets  # noqa: E402

SOCKTALLY = os.environ.get("SOCKTALLY", "./socktally")
MANY, FEW = 4_000_000, 100_000  # tshark and its like get the few


def write(path, count):
    """Packets of all kinds that the live tests send, in a mix of sizes, the same every time."""
    generator = random.Random(1)
    with open(os.path.join(HERE, "..", "tests", "traffic.txt"), encoding="utf-8") as lines:
        kinds = [packet.data for packet in packets.read(lines)]
    block = []
    for i in range(10_000):
        data = generator.choice(kinds)
        data += bytes(max(0, generator.choice((60, 60, 66, 90, 128, 300, 1514)) - len(data)))
        block.append(struct.pack("<IIII", 1_700_000_000 + i, 0, len(data), len(data)) + data)
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 262144, 1))
        for _ in range(count // len(block)):
            file.writelines(block)


def seconds(command, tries):
    """Of processor time, the least of the tries: others may want the processor too."""
    best = float("inf")
    for _ in range(tries):
        before = os.times()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        after = os.times()
        best = min(best, after.children_user + after.children_system -
                   before.children_user - before.children_system)
    return best


def main():
    with tempfile.TemporaryDirectory(prefix="socktally-bench-") as folder:
        many, few = f"{folder}/many.pcap", f"{folder}/few.pcap"
        write(many, MANY)
        write(few, FEW)
        size = os.path.getsize(many) / 1e6
        print(f"{MANY} packets, {size:.0f} MB, warm (tshark: {FEW}); processor time")
        own = None
        for name, path, count, tries, command in (
                ("socktally read", many, MANY, 5, [SOCKTALLY, "read", "--format", "json", many]),
                ("socktally read --packets", many, MANY, 3, [SOCKTALLY, "read", "--packets", many]),
                ("tcpdump --count -r", many, MANY, 3, ["tcpdump", "--count", "-r", many]),
                ("capinfos -c", many, MANY, 3, ["capinfos", "-c", many]),
                ("tshark -q -z io,phs", few, FEW, 1, ["tshark", "-n", "-q", "-z", "io,phs", "-r", few])):
            if not shutil.which(command[0]):
                print(f"{name:26} not installed")
                continue
            rate = count / seconds(command, tries)
            own = own or rate
            print(f"{name:26} {rate / 1e6:8.3f} million packets/s   socktally read is {own / rate:.4g} times"
                  " as fast")


main()
