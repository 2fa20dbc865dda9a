#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""What is none of our business: sockets of other families are never touched, whatever filters they
get; and on a packet socket's way of work, from when it is set up to its end, the tool makes exactly the
system calls that it makes without us."""
import ctypes
import difflib
import os
import re
import struct
import sys
import tempfile

import netns
import shim
import tap

ATTACH_FILTER, GET_FILTER, DETACH_FILTER, LOCK_FILTER = 26, 26, 27, 44
ATTACH_BPF, REUSEPORT, REUSEPORT_CBPF, REUSEPORT_EBPF = 50, 15, 51, 52


def others():
    """Run under strace: all that can be done with filters on sockets that aren't packet sockets."""
    libc = ctypes.CDLL(None, use_errno=True) # the shim's calls, where it is loaded
    insns = ctypes.create_string_buffer(struct.pack("=HBBI", 6, 0, 0, 0x40000), 8)
    program = ctypes.create_string_buffer(struct.pack("HP", 1, ctypes.addressof(insns)))
    number, room = ctypes.c_int(-1), ctypes.create_string_buffer(8)
    size = ctypes.c_uint32(1)
    inet, inet6, unix, netlink = 2, 10, 1, 16
    stream, dgram, raw = 1, 2, 3
    address = {inet: struct.pack("=H", inet) + bytes(14), inet6: struct.pack("=H", inet6) + bytes(26),
               unix: struct.pack("=H", unix), netlink: struct.pack("=H", netlink) + bytes(10)}
    libc.write(-1, b"begin", 5)
    for family, kind, protocol in ((inet, raw, 1), (inet, raw, 255), (inet, dgram, 0),
                                   (inet, stream, 0), (inet6, raw, 58), (inet6, dgram, 0),
                                   (unix, dgram, 0), (unix, stream, 0), (netlink, raw, 0)):
        fd = libc.socket(family, kind, protocol)
        libc.setsockopt(fd, 1, REUSEPORT, ctypes.byref(ctypes.c_int(1)), 4)
        for option, value, length in ((ATTACH_FILTER, program, 16), (ATTACH_BPF, ctypes.byref(number), 4),
                                      (REUSEPORT_CBPF, program, 16),
                                      (REUSEPORT_EBPF, ctypes.byref(number), 4),
                                      (ATTACH_FILTER, program, 3), (DETACH_FILTER, ctypes.byref(number), 4),
                                      (DETACH_FILTER, ctypes.byref(number), 4), (LOCK_FILTER, ctypes.byref(number), 4),
                                      (ATTACH_FILTER, program, 16)):
            libc.setsockopt(fd, 1, option, value, length)
            libc.getsockopt(fd, 1, GET_FILTER, room, ctypes.byref(size))
        libc.bind(fd, address[family], len(address[family]))
        libc.close(fd)
    libc.write(-1, b"end", 3)


def trace(command, preload, follow):
    """The system calls of the program itself, one a line: what stands between two marks."""
    with tempfile.TemporaryDirectory(prefix="socktally-test-") as folder:
        path, report = f"{folder}/trace", f"{folder}/report"
        tracer = ["strace", "-qq", "-X", "raw", "-s", "64", "-e", "signal=none", *follow, "-o", path]
        if preload:
            tracer += ["-E", f"LD_PRELOAD={shim.SHIM}", "-E", f"SOCKTALLY_OUTPUT={report}"]
        guest = shim.Guest("plain", [*tracer, *command])
        while guest.wait_ready():
            netns.send(SENDER, shim.FRAMES * 20)
            guest.go_on()
            guest.out += b"sent\n"
        result = guest.finish()
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(), result, os.path.exists(report) and os.path.getsize(report)


def same_calls(have, want, name):
    differs = list(difflib.unified_diff(want, have, "without us", "with us", lineterm="", n=2))
    tap.ok(have == want, name, "\n".join(differs[:30]))


def between(text, begin, end):
    lines = text.splitlines()
    start = next(i for i, line in enumerate(lines) if begin in line)
    stop = next(i for i, line in enumerate(lines) if end in line)
    return lines[start:stop]


def other_families():
    command = [sys.executable, os.path.abspath(__file__), "others"]
    plain, _, _ = trace(command, False, [])
    metered, result, report = trace(command, True, [])
    tap.same(result.status, 0, "the program ends well")
    calls = [[re.sub(r"0x[0-9a-f]{6,}", "POINTER", line) for line in between(text, '"begin"', '"end"')]
             for text in (plain, metered)]
    # the shim asks for the socket's family only: SOL_SOCKET, SO_DOMAIN
    asked = [line for line in calls[1] if re.match(r"getsockopt\(\d+, 0x1, 0x27,", line)]
    tap.ok(asked, "a filter's socket is looked at")
    same_calls([line for line in calls[1] if line not in asked], calls[0],
               "and nothing else is done to one of another family")
    tap.ok(len(calls[0]) > 150, f"in {len(calls[0])} calls")
    tap.ok(not report, "and nothing is counted")


def packet_socket():
    steps = "socket:raw:0 bind:near:3 filter:udp ready packets name ready packets dup ready packets name"
    command = [shim.HELPER, *steps.split()]
    names = []
    for preload in False, True:
        text, result, _ = trace(command, preload, [])
        begin = 'write(1, "ready' if 'write(1, "ready' in text else 'write(0x1, "ready'
        lines = between(text, begin, "exit_group")
        # the shim's farewell to the broker begins with its own process number
        names.append([line.split("(")[0] for line in lines])
        if preload:
            tap.same(shim.lines_of(result.err), [], "nothing to say")
    cut = names[1].index("getpid") if "getpid" in names[1] else len(names[1])
    polled = len([name for name in names[0] if name == "poll"])
    # how often it finds nothing there depends on the moment
    once = [[name for i, name in enumerate(calls) if name != "poll" or calls[i - 1:i] != ["poll"]]
            for calls in (names[0], names[1][:cut])]
    same_calls(once[1], once[0], "between set-up and end: the same system calls as without us")
    tap.ok(polled > 100, f"among them {polled} that wait for a packet")


def main():
    tap.time_limit(100)
    other_families()
    packet_socket()
    tap.done()


if sys.argv[1:] == ["others"]:
    others()
else:
    shim.need("strace")
    NET = netns.Net()
    SENDER = NET.sender("far")
    main()
