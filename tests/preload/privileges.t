#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The broker keeps what loading socket filters takes, and nothing else: no user's files, no other
capability, no way to more. The tool has what it has without us."""
import os
import socket
import tempfile
import time

import live
import netns
import shim
import tap

READ_SEARCH, KILL, PTRACE, SYS_ADMIN, PERFMON, BPF = (1 << number for number in (2, 5, 19, 21, 38, 39))
STEPS = "socket:raw:0 bind:near:3 filter:udp ready packets filter:reject filter:udp ready packets".split()
ALL_CAPS = "CapInh CapPrm CapEff CapAmb".split()


def status(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        lines = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
    return {name: int(lines[name], 16) for name in ALL_CAPS} | {
        name: lines[name].split() for name in ("Uid", "Gid", "Groups", "NoNewPrivs")}


watching, serving = [], []


def children(comm):
    """The brokers' children that look whose a socket is, or that serve the tool."""
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{entry}/comm", encoding="ascii", errors="replace") as file:
                if file.read() == f"{comm}\n":
                    found.append(int(entry))
        except OSError:
            continue
    return found


def metered(way, sender, wrap=()):
    """The broker's status and the tool's while the tool runs, and what came of it."""
    before = set(shim.processes("broker"))
    command = [shim.HELPER, *STEPS]
    if wrap: # around the broker, too
        command = [*wrap, *([live.SOCKTALLY, "run", "--"] if way == "run" else
                            ["env", f"LD_PRELOAD={shim.SHIM}"]), *command]
    guest = shim.Guest("plain" if wrap else way, command)
    seen = []
    while guest.wait_ready():
        watchers, workers = children("socktally-watch"), children("socktally-serve")
        broker = (set(shim.processes("broker")) - before - {*watchers, *workers} or {guest.process.pid}).pop()
        tool, = live.pids(guest.process.pid, "socket_steps")
        seen.append((status(broker), status(tool)))
        ours = shim.processes("broker" if way == "preload" else "run")
        watching.append([status(pid) for pid in ours if pid in watchers])
        serving.append([status(pid) for pid in ours if pid in workers])
        netns.send(sender, shim.FRAMES)
        guest.go_on()
        guest.out += b"sent\n"
    return seen, guest.finish()


def check(way, name, seen, kept, user):
    broker, tool = seen[-1]
    if serving and way != "broker --socket":
        same = {**broker, "CapPrm": kept & ~KILL, "CapEff": kept & ~KILL}
        tap.ok(len(serving[-1]) == 1 and serving[-1][0] == same, f"{way}, {name}: who serves has no more",
               f"{serving[-1]} {same}")
    tap.same((broker["CapPrm"], broker["CapEff"]), (kept, kept), f"{way}, {name}: capabilities")
    tap.same((broker["CapInh"], broker["CapAmb"]), (0, 0), f"{way}, {name}: none to hand on")
    tap.same((broker["Uid"], broker["Gid"], broker["Groups"]),
             ([user] * 4, [user] * 4, [] if user != "0" else broker["Groups"]),
             f"{way}, {name}: user and groups")
    tap.same(broker["NoNewPrivs"], ["1"], f"{way}, {name}: no new privileges")
    return tool


def service():
    """The broker that serves other programs: its socket is in a directory of its user's."""
    with tempfile.TemporaryDirectory(prefix="socktally-test-") as folder:
        path = f"{folder}/socket"
        broker = netns.start([live.SOCKTALLY, "broker", "--socket", path, "--group", "root"])
        client = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for _ in range(500): # the socket is there a moment before privileges are dropped
            if os.path.exists(path) and status(broker.pid)["NoNewPrivs"] == ["1"]:
                break
            time.sleep(0.01)
        client.connect(path)
        check("broker --socket", "root", [(status(broker.pid), None)], BPF | PERFMON, "0")
        broker.terminate()
        tap.same(broker.wait(10), 0, "broker --socket: ends well")
        tap.ok(not os.path.exists(path), "broker --socket: takes its socket away")


def hidden_processes(sender):
    """Where other users' processes can't be seen, the report tells the tool's name all the same."""
    with tempfile.TemporaryDirectory(prefix="socktally-test-") as folder:
        report = f"{folder}/report"
        for way, ours in (("run", [live.SOCKTALLY, "run", "--format", "json", "-o", report, "--"]),
                          ("preload", ["env", f"LD_PRELOAD={shim.SHIM}", "SOCKTALLY_FORMAT=json",
                                       f"SOCKTALLY_OUTPUT={report}"])):
            guest = shim.Guest("plain", [
                "unshare", "--mount", "--pid", "--fork", "sh", "-c",
                'mount -t proc -o hidepid=2 proc /proc && "$@"; exit $?', "sh", *ours, shim.HELPER,
                *STEPS])
            guest.report_file = report
            while guest.wait_ready():
                netns.send(sender, shim.FRAMES)
                guest.go_on()
                guest.out += b"sent\n"
            result = guest.finish()
            source = (result.report or {"source": {}})["source"]
            tap.same((source.get("comm"), shim.packets_of(result.report)), ("socket_steps", 12),
                     f"{way}, hidepid=2: the tool's name")
            os.unlink(report)


def main():
    shim.need("capsh", "unshare")
    tap.time_limit(100)
    net = netns.Net()
    sender = net.sender("far")
    brokers = len(shim.processes("broker"))
    own = status("self")
    for way, signals in ("run", KILL), ("preload", 0):
        seen, result = metered(way, sender)
        tool = check(way, "root", seen, BPF | PERFMON | signals, "65534")
        tap.same(tool, own, f"{way}, root: the tool's are as they were")
        tap.same(shim.packets_of(result.report), 12, f"{way}, root: counted")
        tap.same(shim.lines_of(result.err), [], f"{way}, root: nothing to say")
        # what root has in a container
        wrap = ["capsh", "--drop=cap_bpf,cap_perfmon", "--", "-c", 'exec "$0" "$@"']
        seen, result = metered(way, sender, wrap)
        check(way, "CAP_SYS_ADMIN for BPF", seen, SYS_ADMIN | signals, "65534")
        tap.ok("metered" not in result.err, f"{way}, CAP_SYS_ADMIN for BPF: metered", result.err)
        wrap = ["capsh", "--drop=cap_kill", "--", "-c", 'exec "$0" "$@"']
        seen, result = metered(way, sender, wrap)
        check(way, "no CAP_KILL", seen, BPF | PERFMON, "0")
        tap.ok("metered" not in result.err, f"{way}, no CAP_KILL: metered", result.err)
    allowed = SYS_ADMIN | PTRACE | READ_SEARCH
    tap.ok(all(len(one) == 1 and one[0]["CapPrm"] & ~allowed == one[0]["CapEff"] & ~allowed == 0
               and one[0]["CapInh"] == one[0]["CapAmb"] == 0 and one[0]["NoNewPrivs"] == ["1"]
               for one in watching), "its watcher can see processes and programs, and nothing else", watching)
    hidden_processes(sender)
    service()
    tap.ok(shim.gone(brokers), "no broker is left behind")
    tap.done()


main()
