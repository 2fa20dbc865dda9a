#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The examples, all at once on one interface: each says exactly what was sent, and is short enough to be
read."""
import contextlib
import os
import struct
import subprocess
import sys
import tempfile
import time

import netns
import place
import tap

LIBRARY = os.path.join(place.BUILD, "libsocktally.so")
SECONDS = "8"  # as long as all of them need to start on a busy machine
MACS = bytes.fromhex("020000000002" "020000000001")
ARPS, UDPS, TCPS = 11, 2300, 31


def frames():
    arp = MACS + bytes.fromhex("0806") + bytes(28)
    udp = MACS + bytes.fromhex("0800") + struct.pack(
        ">BBHHHBBH4s4s HHHH", 0x45, 0, 32, 1, 0, 64, 17, 0, b"\x0a\0\0\1", b"\x0a\0\0\2",
        40000, 40001, 12, 0) + b"data"
    tcp = MACS + bytes.fromhex("86dd") + struct.pack(
        ">IHBB16s16s HHIIBBHHH", 6 << 28, 20, 6, 64, bytes(15) + b"\1", bytes(15) + b"\2",
        40000, 40001, 1, 0, 0x50, 2, 1000, 0, 0)
    return [arp] * ARPS + [udp] * UDPS + [tcp] * TCPS


TOTAL = len(frames())
LENGTHS = {"eth:arp": 42, "eth:ip:udp": 46, "eth:ipv6:tcp": 74}
PACKETS = {"eth:arp": ARPS, "eth:ip:udp": UDPS, "eth:ipv6:tcp": TCPS}


def with_bytes(direction):
    return {f"{path} {direction}{count} packets {count * LENGTHS[path]} bytes"
            for path, count in PACKETS.items()}


# What each is run with, and the lines it prints, in any order, runs of spaces taken together. Those
# without a ring read what their socket has had room for, which is why one counts in the kernel.
EXAMPLES = {
    "linked": ([], with_bytes("in ") |
               {f"SOME packets read, {TOTAL} seen by the kernel"}),
    "sniffer": ([], {f"{TOTAL} packets read"}),
    "sniffer --plugin": ([], with_bytes("") | {f"{TOTAL} packets read",
                                               f"{TOTAL} seen by the kernel"}),
    "pcap": (["arp"], {f"eth:arp in {ARPS} packets {ARPS} accepted",
                       f"eth:ip:udp in {UDPS} packets 0 accepted",
                       f"eth:ipv6:tcp in {TCPS} packets 0 accepted", f"{ARPS} packets read"}),
    "threads": ([], {f"{path} in {count} packets" for path, count in PACKETS.items()} |
                {"SOME packets read"}),
    "cpp": ([], {f"{path}: {count} packets, {count * LENGTHS[path]} bytes"
                 for path, count in PACKETS.items()}),
    "python": ([LIBRARY], {f"eth: {TOTAL}", f"arp: {ARPS}", f"ip: {UDPS}", f"udp: {UDPS}",
                           f"ipv6: {TCPS}", f"tcp: {TCPS}", "SOME packets read"}),
    "epoll": ([], None),
    "alert": (["*:udp", "100"], None),
}


def command(name):
    arguments = EXAMPLES[name][0]
    if name == "python":
        return [sys.executable, os.path.join(place.SOURCES, "examples/python.py"), "near", SECONDS,
                *arguments]
    program, *options = name.split()
    return [os.path.join(place.BUILD, "examples", program), *options, *([LIBRARY] if options else []),
            "near", SECONDS, *arguments]


def lines_of(text, has_ring):
    lines = [" ".join(line.split()) for line in text.splitlines()]
    for number, line in enumerate(lines):
        read, found, rest = line.partition(" packets read")
        if found and not has_ring and 0 < int(read) <= TOTAL:
            lines[number] = f"SOME packets read{rest}"
    return lines


def look(name, process, out, err):
    status = process.wait(20)
    if not tap.ok(status == 0, f"{name}: ends well"):
        tap.diag(err)
    lines = lines_of(out, name.split()[0] in ("sniffer", "pcap"))
    if name == "epoll":
        tap.same(sum(int(line.split()[0]) for line in lines if line.startswith("+")), TOTAL,
                 "epoll: the intervals add up to what was sent")
        tap.same([line for line in lines if not line.startswith("+")],
                 ["*:udp: above 1000 packets/s", "*:udp: below 1000 packets/s",
                  "SOME packets read"], "epoll: the threshold is crossed, twice")
    elif name == "alert":
        tap.same([line.partition(", ")[2] for line in lines], ["above 100", "no longer above 100"],
                 "alert: says that a bound is crossed, and when it is over")
    else:
        tap.same(set(lines), EXAMPLES[name][1], f"{name}: what was sent, and nothing else")


def run_all(names):
    net = netns.Net()
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as files:
        running = []
        for number, name in enumerate(names):
            paths = [os.path.join(folder, f"{number}.{kind}") for kind in ("out", "err")]
            out, err = (files.enter_context(open(path, "w", encoding="utf-8")) for path in paths)
            running.append((name, netns.start(command(name), stdout=out, stderr=err), paths))
        for name, process, paths in running:
            netns.wait_for(paths[1], "listening", process)
        time.sleep(0.5)  # an interval of each has begun
        netns.send(net.sender(), frames())
        for name, process, paths in running:
            process.wait(60)
            texts = []
            for path in paths:
                with open(path, encoding="utf-8") as file:
                    texts.append(file.read())
            look(name, process, *texts)


def plugin_errors():
    """What a tool with --plugin says when the file is no plugin of the right kind."""
    sniffer = os.path.join(place.BUILD, "examples/sniffer")
    for argument, said in ((f"{place.BUILD}/no-such.so", "No such file"), ("libc.so.6", "socktally_plugin"),
                           (f"{LIBRARY},what=1", "makes no sense: 'what=1'"),
                           (f"{LIBRARY},paths=1k", "makes no sense: 'paths=1k'"), ("", "no file"),
                           (f"{LIBRARY},broker=/nowhere", "no broker answers"),
                           (f"{LIBRARY},paths=99999", "32768")):
        done = subprocess.run([sniffer, "--plugin", argument, "lo", "1"], capture_output=True,
                              text=True, check=False)
        tap.ok(done.returncode == 1 and said in done.stderr, f"--plugin {argument}: {said}",
               done.stderr)


def main():
    netns.need("ip")
    tap.time_limit(300)
    names = [name for name in EXAMPLES
             if name != "cpp" or os.path.exists(os.path.join(place.BUILD, "examples/cpp"))]
    if "cpp" not in names:
        tap.skip("cpp", "configure found no C++ compiler")
    run_all(names)
    plugin_errors()
    for name in sorted(os.listdir(os.path.join(place.SOURCES, "examples"))):
        if name.endswith((".c", ".cc", ".py", ".h")):
            with open(os.path.join(place.SOURCES, "examples", name), encoding="utf-8") as file:
                count = len(file.readlines())
            tap.ok(count < 120, f"{name} has less than 120 lines", str(count))
    tap.done()


main()
