#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Paths against tshark's frame.protocols: the packets of paths.txt, and captures of others where there
are any (a folder in CAPTURES, or ../shared/captures), 60 of them, or all with TEST_ALL=1."""
import glob
import itertools
import os
import re
import shutil
import subprocess
import tempfile

import packets
import place
import tap

COMMAND = os.environ.get("SOCKTALLY", "./socktally")
CAPTURES = os.environ.get("CAPTURES", os.path.join(place.SOURCES, "..", "shared", "captures"))
TSHARK = ("tshark -n -o ip.defragment:FALSE -o ipv6.defragment:FALSE "
          "-o tcp.desegment_tcp_streams:FALSE -T fields -e frame.protocols -r").split()
ENOUGH = 0.999
SILENT = 0.02


def names():
    with open(os.path.join(place.SOURCES, "include/socktally/protocols.def"), encoding="utf-8") as lines:
        kinds = [(line.split('"')[1], line.split(",")[3].strip()) for line in lines
                 if line.startswith("SOCKTALLY_PROTOCOL(")]
    return {name for name, _ in kinds if name != "dlt"}


def dispatch():
    """(code, parser, name) of each line."""
    with open(os.path.join(place.SOURCES, "include/socktally/protocols.def"), encoding="utf-8") as lines:
        symbols = dict(re.findall(r'SOCKTALLY_PROTOCOL\(\d+, (\w+), "([^"]*)"', lines.read()))
    with open(os.path.join(place.SOURCES, "bpf/parse/dispatch.def"), encoding="utf-8") as lines:
        return [(code, parser, symbols[symbol]) for code, parser, symbol
                in re.findall(r"ST_CODE\((.*), (\w+), (\w+), \d+\)", lines.read())]


NAMES = names()
# What is inside these is their own packet's, or it is not ours to see: they have no other parser than LAST.
LAST = {name for *_, name in dispatch()} - {name for _, parser, name in dispatch() if parser != "LAST"}
# tshark knows these on top of UDP too (PTP, ISAKMP).
NOT_ON_UDP = LAST - {name for code, _, name in dispatch() if code.startswith("ST_UDPPORT")}


def known(layers):
    """A path down to the last layer that we have a name for."""
    path = []
    for layer in layers.split(":"):
        if layer == "ethertype":
            continue
        if layer not in NAMES or path[-1:] == ["udp"] and layer in NOT_ON_UDP:
            break
        path.append(layer)
        if layer in LAST:
            break
    return ":".join(path)


def of_tshark(capture):
    """Its paths; None where it has none, as 4.4 has for packets in whose dissection there was an error."""
    run = subprocess.run([*TSHARK, capture], capture_output=True, text=True, errors="replace",
                         check=False)
    return [known(line) if line else None for line in run.stdout.splitlines()]


def of_ours(capture):
    run = subprocess.run([COMMAND, "read", "--packets", capture], capture_output=True, text=True,
                         check=False)
    return [known(line.split()[2]) for line in run.stdout.splitlines()]


def capture_of(wanted):
    file = tempfile.NamedTemporaryFile(prefix="socktally-test-", suffix=".pcapng")
    file.write(packets.pcapng(wanted))
    file.flush()
    return file


def same_release(ours, names_ip):
    """Ours as this release would say it: from 4.4 on there is no IP between MPLS and what is in it."""
    return ours if names_ip else re.sub(r"\bmpls:ip(v6)?\b", "mpls", ours)


def marked(lines, mark):
    return [packet.text for packet in packets.read(
        line[1:] if line.startswith(mark) else "#" for line in lines)]


def own_packets(names_ip):
    with open(place.data("paths.txt"), encoding="utf-8") as file:
        text = list(file)
    differs = marked(text, "!")
    may_differ = marked(text, "?")
    wanted = list(packets.read(line.lstrip("!?") for line in text))
    with capture_of(wanted) as file:
        have, want = of_ours(file.name), of_tshark(file.name)
    tap.same([len(have), len(want)], [len(wanted)] * 2, "each packet, with us and with tshark")
    tap.ok(want.count(None) <= SILENT * len(want), f"{want.count(None)} on which tshark is silent")
    for ours, theirs, packet in zip(have, want, wanted):
        ours = same_release(ours, names_ip)
        if theirs is None:
            continue
        if packet.text in differs:
            tap.ok(ours != theirs, f"differs on purpose: {packet.text}", theirs)
        elif packet.text in may_differ:
            tap.ok(True, f"{'the same' if ours == theirs else 'differs'} in this release of tshark: {packet.text}")
        else:
            tap.same(ours, theirs, packet.text)


def captures(names_ip):
    files = sorted(glob.glob(os.path.join(CAPTURES, "*", "*.pcap*")))
    if not files:
        tap.skip("captures of others", f"none in {CAPTURES}")
        return
    if not os.environ.get("TEST_ALL"):
        files = files[::max(len(files) // 60, 1)]
    agree = total = silent = 0
    for name in files:
        have, want = of_ours(name), of_tshark(name)
        # what is missing at the end of either does not agree
        for number, (ours, theirs) in enumerate(itertools.zip_longest(have, want, fillvalue=""), 1):
            total += 1
            if theirs is None:
                silent += 1
                continue
            agree += same_release(ours, names_ip) == theirs
            if same_release(ours, names_ip) != theirs:
                tap.diag(f"{name}, packet {number}: {theirs}, ours {ours}")
    tap.ok(total > 1000 and silent <= SILENT * total and agree >= ENOUGH * (total - silent),
           f"{agree} of {total - silent} packets in {len(files)} files agree")


def main():
    if not shutil.which("tshark"):
        tap.skip_all("no tshark")
    tap.time_limit(1200 if os.environ.get("TEST_ALL") else 200)
    with capture_of([packets.build("eth/mpls/ip/tcp")]) as file:
        names_ip = of_tshark(file.name) == ["eth:mpls:ip:tcp"]
    own_packets(names_ip)
    captures(names_ip)
    tap.done()


main()
