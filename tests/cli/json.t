#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""socktally-json(5) has the members that the commands write: all of them, and no others."""
import json
import os
import re
import signal
import struct
import subprocess
import sys
import tempfile
import time

import attached
import captures
import live
import netns
import packets
import place
import tap

# Members of rows of hooks are those of the hook's maps.
FREE = "hooks[].rows[]."
# Not in the output of this test: a process that nobody can look at, more flows than there is room for.
UNSEEN = {"hidden[]", "without_room.packets", "without_room.bytes", "groups[]", "shortened_paths"}
# These have members, which stand for them.
OBJECTS = {"source.statistics", "a.statistics", "lost", "tool_count"}


def described():
    """{schema: members} of the page."""
    with open(os.path.join(place.SOURCES, "man/socktally-json.5"), encoding="utf-8") as file:
        page = file.read()
    sections = re.split(r"^\.Ss (\S+)\n", page, flags=re.M)
    return {name: set(re.findall(r"^\.It Va (\S+)", text, re.M))
            for name, text in zip(sections[1::2], sections[2::2])}


def members(value, name=""):
    """Paths of what has no members itself, and of arrays and objects that have."""
    if isinstance(value, dict):
        for key, inner in value.items():
            path = f"{name}.{key}" if name else key
            if name == "commands":
                path = "commands.*"
            yield from members(inner, path)
        if name.endswith("*"):
            yield name
    elif isinstance(value, list):
        for inner in value:
            yield f"{name}[]"
            yield from members(inner, f"{name}[]")
    else:
        yield name


def output(*arguments):
    done = subprocess.run([live.SOCKTALLY, *arguments, "--format", "json"], capture_output=True, text=True,
                          timeout=60, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def watched(net):
    """A report with everything that `watch` can have in it."""
    process = netns.start([live.SOCKTALLY, "watch", "-i", "near", "-f", "udp", "-c", "2", "-I", "0.5", "--hook",
                           "talkers", "--hook", "drop=*:arp", "--class", "dns=port 53", "--format", "json"],
                          stdout=subprocess.PIPE, text=True)
    process.stdout.readline()
    netns.send(net.sender("far"), [packets.frame("eth/ip/udp"), packets.frame("eth/arp")])
    return [json.loads(line) for line in process.communicate(timeout=20)[0].splitlines()]


def noted():
    """A report with a note: the tool changes its filter."""
    tool = netns.start([sys.executable, "-c", TOOL], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    tool.stdout.readline()
    meter = netns.start([live.SOCKTALLY, "attach", "--each", "--format", "json", str(tool.pid)], stdout=subprocess.PIPE,
                        stderr=subprocess.PIPE, text=True)
    attached.until(lambda: attached.all_on(tool.pid))
    lists = output("list")
    tool.stdin.write(b"\n")
    tool.stdin.flush()
    tool.stdout.readline()
    time.sleep(0.3)
    meter.send_signal(signal.SIGINT)
    reports = [json.loads(line) for line in meter.communicate(timeout=20)[0].splitlines()]
    lists += output("list")
    tool.kill()
    tool.wait()
    return reports, lists


TOOL = """
import socket, struct, ctypes
def accept(sock, length):
    insns = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, length))
    sock.setsockopt(1, 26, struct.pack("HxxxxxxP", 1, ctypes.addressof(insns)))
sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
sock.bind(("near", 3))
sock.setsockopt(263, 18, 7)  # PACKET_FANOUT
accept(sock, 96)
ring = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
ring.setsockopt(263, 5, struct.pack("IIII", 4096, 2, 2048, 4))  # PACKET_RX_RING
print(flush=True)
input()
accept(sock, 64)
print(flush=True)
input()
"""


def lost(net, folder):
    """The report of a tool that ended before it had read all."""
    report = os.path.join(folder, "report")
    tool = netns.start([live.SOCKTALLY, "run", "--lost", "--class", "all=greater 0", "--format", "json", "-o", report,
                        "--", "tcpdump", "-i", "near", "-c", "1", "-w", os.path.join(folder, "capture")],
                       stderr=subprocess.PIPE, text=True)
    while "listening" not in tool.stderr.readline():
        pass
    netns.send(net.sender("far"), [packets.frame("eth/ip/udp"), packets.frame("eth/arp")])
    tool.wait(20)
    with open(report, encoding="utf-8") as file:
        return [json.load(file)]


def compared(folder, *files):
    """A diff of reports of these two files."""
    sides = []
    for number, name in enumerate(files):
        sides.append(os.path.join(folder, f"side{number}"))
        with open(sides[-1], "w", encoding="utf-8") as file:
            file.writelines(json.dumps(report) + "\n" for report in output("read", "--class", "all=greater 0", name))
    done = subprocess.run([live.SOCKTALLY, "diff", "--format", "json", *sides], capture_output=True, text=True,
                          timeout=60, check=False)
    return [json.loads(line) for line in done.stdout.splitlines()]


def of_diff(names):
    """Both sides have the same members, and so have all rows."""
    names = {re.sub(r"^b(\.|$)", r"a\1", name) for name in names}
    rows = {f"{table}[].{name}" for table in ("paths", "applications", "classes", "groups")
            for name in ("path", "application", "class", "group", *(name[7:] for name in names if name[:7] == "totals."))}
    return {name for name in names - rows if not name.startswith("a.statistics.")} | {"a"}


def main():
    live.need("tcpdump")
    tap.time_limit(100)
    net = netns.Net()
    reports, lists = noted()
    with tempfile.NamedTemporaryFile() as file, tempfile.NamedTemporaryFile() as many:
        many.write(captures.pcap([packet._replace(length=packet.length + 8 * i) for i in range(100)
                                  for packet in captures.sample()]))
        many.flush()
        sample = captures.sample()
        file.write(captures.pcap(sample))
        file.flush()
        with tempfile.TemporaryDirectory(prefix="socktally-test-") as folder:
            lossy = os.path.join(folder, "lossy")
            with open(lossy, "wb") as other:
                other.write(captures.pcapng(sample) + captures.enhanced(
                    sample[0], options=captures.option(4, struct.pack("<Q", 3)) + captures.option(0, b"")) + captures.statistics(
                    received=9, interface_drops=1, filter_accepted=8, system_drops=2, delivered=6))
            compared_objects = compared(folder, lossy, file.name)
            lossy_reports = output("read", lossy, file.name) + lost(net, folder)
        found = {"socktally/1": [*watched(net), *reports, *output("read", file.name), *lossy_reports,
                              *output("read", "--by", "path", "--by", "frame.len/1,ip.src", "--keys", "64", "-I", "1",
                                      many.name)],
                 "socktally-diff/1": compared_objects, "socktally-list/1": lists, "socktally-features/1": output("features"),
                 "Flows": output("read", "--flows", file.name)}
    pages = described()
    tap.same(sorted(pages), sorted(found), "each schema has a section")
    for schema, objects in found.items():
        tap.ok(objects and all(one.get("schema", "Flows") == schema for one in objects), f"{schema}: it says so")
        have = {name for one in objects for name in members(one)}
        have = of_diff(have) if schema == "socktally-diff/1" else have
        have = {name for name in have if not name.startswith(("lost.paths[].", "lost.classes[]."))}
        have = {name for name in have if not name.startswith(FREE) or name == f"{FREE}map"}
        have = {name for name in have if f"{name}.version" not in pages[schema] and
                f"{name}.group" not in pages[schema]}
        page = {name for name in pages[schema] if f"{name}.version" not in pages[schema] and
                f"{name}.group" not in pages[schema]}
        tap.same(sorted(have - page), [], f"{schema}: the page has each member")
        tap.same(sorted(page - have - UNSEEN - OBJECTS), [], f"{schema}: the page has no other")
    tap.done()


main()
