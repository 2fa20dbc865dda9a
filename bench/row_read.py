#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Reading a capture file: packets a second, from memory and on one CPU, and how much memory, against
the tools that people use for it. A slow one gets the start of the same traffic."""
import array
import contextlib
import fcntl
import os
import pathlib
import random
import re
import shutil
import struct
import subprocess
import termios
import time

import lib

MANY, FEW = lib.full(5_000_000, 50_000), lib.full(100_000, 10_000)
TOOLS = {  # command, its package, whether it gets the small file
    "tcpdump --count": (["tcpdump", "--count", "-r"], "tcpdump", False),
    "capinfos -c": (["capinfos", "-c"], "wireshark-common", False),
    "tshark -q -z io,phs": (["tshark", "-n", "-q", "-z", "io,phs", "-r"], "tshark", True),
    "ndpiReader": (["ndpiReader", "-q", "-i"], "libndpi-bin", False),
}


def kinds():
    with open(os.path.join(lib.SRCDIR, "tests/data/traffic.txt"), encoding="utf-8") as lines:
        return [packet.data for packet in lib.packets.read(lines)]


def write(path, count):
    """All kinds that the live tests send, in a mix of sizes, the same every time."""
    generator, datas, block = random.Random(1), kinds(), []
    for i in range(10_000):
        data = generator.choice(datas)
        data += bytes(max(0, generator.choice((60, 60, 66, 90, 128, 300)) - len(data)))
        block.append(struct.pack("<IIII", 1_700_000_000 + i, 0, len(data), len(data)) + data)
    block = b"".join(block)
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 262144, 1))
        for _ in range(count // 10_000):
            file.write(block)


def rate(command, path, count):
    """Millions of packets a second of processor time, all threads together."""
    ended = lib.timed([*command, path])
    if ended.status:
        raise ChildProcessError(f"{command[0]}: status {ended.status}")
    return count / ended.cpu / 1e6


def waits(pipe):
    """Bytes in it."""
    count = array.array("i", [0])
    fcntl.ioctl(pipe, termios.FIONREAD, count)
    return count[0]


def memory(command, path):
    """MiB at most. What wait() says of a child has this process in it, as which it began: so the child
    is asked when it has read all of the file but not come to its end, which a pipe's end is."""
    process = lib.Process([*command, "-"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    pipe = process.process.stdin
    with contextlib.closing(process), open(path, "rb") as file:
        shutil.copyfileobj(file, pipe, 1 << 20)
        while waits(pipe):
            time.sleep(0.001)
        status = pathlib.Path(f"/proc/{process.process.pid}/status").read_text(encoding="utf-8")
        pipe.close()
        process.ended()
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024


def main():
    folder = lib.Folder()
    many, few = folder.path("many.pcap"), folder.path("few.pcap")
    write(many, MANY)
    write(few, FEW)
    read = [lib.SOCKTALLY, "read", "--format", "json"]
    for name, (command, package, slow) in TOOLS.items():
        if not lib.have(f"read/against {name}", command[0], package):
            continue
        runs = lib.full(3 if slow else 5, 1)
        pairs = [(rate(read, many, MANY), rate(command, *((few, FEW) if slow else (many, MANY))))
                 for _ in range(runs)]
        lib.row(f"read/against {name}", [ours for ours, _ in pairs], "Mpps",
                (name, [theirs for _, theirs in pairs]), [lib.Goal(">=", 1)],
                note=f"it gets {FEW} packets, we {MANY}" if slow else "")
    most = {path: [memory(read, path) for _ in range(lib.full(5, 1))] for path in (many, few)}
    lib.row(f"read/memory, {MANY} packets", most[many], "MiB",
            (f"{FEW} packets", most[few]), [lib.Goal("<=", 1.05)])


main()
