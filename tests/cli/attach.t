#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""`socktally attach`: captures that are running are counted exactly from the attachment on, capture
what they would have, and get their sockets back bit by bit."""
import json
import os
import signal
import struct
import subprocess
import sys
import time

import attached
import live
import netns
import place
import tap

KINDS = live.traffic()
SOME = KINDS[:12]


def exact(net):
    """Every cell, through attachment, traffic and the end; the capture file is the same."""
    for expression in ("", "udp", "tcp port 80 or icmp"):
        command = ["tcpdump", "-n", "-s", "0", "-i", "near", "-w", "capture", *([expression] if expression else [])]
        tools = [live.Tool(command, metered=False) for _ in range(2)]
        before = attached.filter_of(tools[0].process.pid)
        meter = attached.Attach(tools[0].process.pid)
        netns.send(net.sender("far"), live.frames(KINDS))
        netns.send(net.sender("near"), live.frames(SOME))
        report = meter.stop()
        want = {**live.expected(KINDS, "in", expression), **live.expected(SOME, "out", expression)}
        tap.same(live.counts(report), want, f"tcpdump '{expression}': exact")
        tap.same(attached.filter_of(tools[0].process.pid), before, "its filter is back bit by bit")
        netns.send(net.sender("far"), live.frames(SOME))
        live.settle(tools)
        for tool in tools:
            tool.stop(settle=0)
        files = [[data for *_, data in live.records(tool.read("capture"))] for tool in tools]
        tap.ok(files[0] == files[1] and (files[0] or expression), "its capture file is as without us")


def source():
    """What the report says of whom, by number and by name."""
    program, name = attached.copy("tcpdump")
    command = [program, "-n", "-i", "near", "-w", os.devnull, "arp"]
    tool = live.Tool(command, metered=False)
    for given in (tool.process.pid, name, program):
        meter = attached.Attach(given)
        attached.until(lambda: attached.all_on(tool.process.pid))
        report = meter.stop(settle=0)
        have = report["source"]
        tap.same((have["kind"], have["interface"], have["linktype"], have["pid"], have["comm"]),
                 ("socket", "near", "eth", tool.process.pid, name), "attach by number, name, path: source")
        tap.same(have["filter"], "arp", "its filter as an expression")
        tap.ok(have["program"].endswith("6 0 0 262144,6 0 0 0") and report["start"] < report["end"] and
               "notes" not in report, "its filter and the time", report)
    other = live.Tool(command, metered=False)
    meter = attached.Attach(name, ready=False)
    meter.wait()
    pids = sorted([tool.process.pid, other.process.pid])
    tap.ok(meter.status == 1 and f"{pids[0]}, {pids[1]}" in meter.said() and "--all" in meter.said(),
           "a name that two have: which", meter.said())
    meter = attached.Attach("--all", name, ready=False)
    for one in pids:
        attached.until(lambda: attached.all_on(one))
    report = meter.stop(settle=0)
    tap.same((report["source"]["pid"], report["source"]["comm"]), (0, name), "--all: both")
    tool.stop(settle=0)
    other.stop(settle=0)


def hooks():
    """Each hook is there once: two that sample would leave less than was asked for."""
    tool = live.Tool(["tcpdump", "-n", "-i", "near", "-w", os.devnull], metered=False)
    meter = attached.Attach("--hook", "sizes", "--hook", "drop=*:udp", tool.process.pid)
    report = meter.stop(settle=0)
    tap.same([hook["name"] for hook in report["hooks"]], ["sizes", "drop"], "attach --hook: each once")
    tool.stop(settle=0)


def own_end(net):
    """Each way to end gives the socket back, and the report has what came until then."""
    tool = live.Tool(["tcpdump", "-n", "-i", "near", "-w", os.devnull, "udp port 53"], metered=False)
    pid = tool.process.pid
    before = attached.filter_of(pid)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        meter = attached.Attach(pid)
        netns.send(net.sender("far"), live.frames(SOME))
        report = meter.stop(number=number)
        tap.ok(meter.status == 0 and live.counts(report) == live.expected(SOME, "in", "udp port 53"),
               f"{signal.Signals(number).name}: report and status", meter.said())
        tap.same(attached.filter_of(pid), before, "and the filter is back")
    meter = attached.Attach(pid, "-c", "0.4")
    netns.send(net.sender("far"), live.frames(SOME))
    report = meter.wait()
    tap.ok(meter.status == 0 and live.counts(report) == live.expected(SOME, "in", "udp port 53"),
           "-c: report and status", meter.said())
    tap.same(attached.filter_of(pid), before, "and the filter is back")
    tool.stop(settle=0)


def tools_end(net):
    """When the tool ends so does the attachment."""
    tool = live.Tool(["tcpdump", "-n", "-i", "near", "-w", os.devnull], metered=False)
    meter = attached.Attach(tool.process.pid)
    netns.send(net.sender("far"), live.frames(SOME))
    tool.stop()
    report = meter.wait()
    tap.ok(meter.status == 0 and live.counts(report) == live.expected(SOME, "in"),
           "the tool's end: report and status", meter.said())

    sock = attached.sniffer("near")
    child = os.fork()
    if not child:
        netns.die_with_parent()
        attached.sleep_for_ever()
    os.set_inheritable(sock.fileno(), True)
    attached.set_filter(sock, (0x06, 0, 0, 77))
    meter = attached.Attach(child)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    meter.wait()
    tap.same((meter.status, attached.filter_of_socket(sock)), (0, attached.code((0x06, 0, 0, 77))),
             "the process ends, another one has its socket: given back there")
    sock.close()


def handed_on(net):
    """The socket goes on in another process, and with another number, while the first one stays."""
    sock = attached.sniffer("near")
    attached.set_filter(sock, (0x06, 0, 0, 77))
    child = os.fork()
    if not child:
        netns.die_with_parent()
        os.dup2(sock.fileno(), 99)
        sock.close()
        attached.sleep_for_ever()
    attached.until(lambda: attached.packet_sockets(child) == [99])
    meter = attached.Attach(os.getpid())
    sock.close()
    netns.send(net.sender("far"), live.frames(SOME))
    report = meter.stop(settle=0.4)
    tap.ok(meter.status == 0 and live.counts(report) == live.expected(SOME, "in", snaplen=77),
           "a socket that another process has now: counted on", meter.said())
    tap.same(attached.filter_of(child), attached.code((0x06, 0, 0, 77)), "and given back there")
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def full_disk(net):
    """The report can't be written: said with the totals, and the socket is given back."""
    for arguments in ([], ["-I", "0.1"]):
        sock = attached.sniffer("near")
        meter = attached.Attach(os.getpid(), "-o", "/dev/full", *arguments)
        netns.send(net.sender("far"), live.frames(SOME))
        if arguments:
            meter.wait()
        else:
            meter.stop()
        tap.ok(meter.status == 1 and "No space left" in meter.said() and "packets" in meter.said() and
               meter.said().count("\n") == 1, f"-o /dev/full {' '.join(arguments)}: said", meter.said())
        tap.same(attached.filter_of_socket(sock), b"", "and given back")
        sock.close()


def closed(net):
    """The tool closes its socket and goes on: over, unless what it opens next is to be followed."""
    for follow in (False, True):
        sock = attached.sniffer("near")
        meter = attached.Attach(os.getpid(), *(["--follow"] if follow else []))
        netns.send(net.sender("far"), live.frames(SOME))
        time.sleep(0.1)
        sock.close()
        if follow:
            sock = attached.sniffer("near")
            attached.await_on(sock)
            netns.send(net.sender("far"), live.frames(SOME))
            report = meter.stop()
            tap.same({note["event"] for note in report.get("notes", [])}, {"opened"}, "which is noted")
            doubled = [kind._replace(copies=2 * kind.copies) for kind in SOME]
            tap.same(live.counts(report), live.expected(doubled, "in"), "--follow: the next socket, too")
            sock.close()
        else:
            report = meter.wait()
            tap.ok(meter.status == 0 and live.counts(report) == live.expected(SOME, "in"),
                   "a socket that is closed ends it", meter.said())


def one_each(net):
    """--each, with sockets that come and go: each has its own reports, from its first to its last."""
    meter = attached.Attach("--follow", "--each", "-I", "0.2", os.getpid(), ready=False)
    for _ in range(3):
        sock = attached.sniffer("near")
        attached.await_on(sock)
        netns.send(net.sender("far"), live.frames(SOME))
        time.sleep(0.5)
        sock.close()
    meter.stop()
    busy = [report for report in meter.reports() if report["totals"]["packets"] and
            report["source"]["interface"] == "near"]
    tap.ok(meter.status == 0 and len({report["start"] for report in busy}) >= 3 and
           attached.add(busy) == live.expected([kind._replace(copies=3 * kind.copies) for kind in SOME], "in"),
           "--follow --each: three sockets, one after the other", meter.said())


def taken_over():
    """The tool sets an eBPF filter of its own: not counted any more, which is said, and not touched."""
    sock = attached.sniffer("near")
    meter = attached.Attach(os.getpid(), "-I", "0.1")
    program = attached.ebpf()
    if program < 0:
        tap.skip("an eBPF filter of the tool's own", "can't load a program here")
    else:
        sock.setsockopt(attached.SOL_SOCKET, attached.SO_ATTACH_BPF, program)
        meter.await_note("refused")
        time.sleep(0.1)
        meter.stop()
        tap.ok("eBPF filter of its own" in meter.said() and attached.is_on(sock),
               "an eBPF filter of the tool's own: said, and left alone", meter.said())
        os.close(program)
    sock.close()


def forged():
    """Saved filters that nobody vouches for, or that contradict each other: nothing is touched, and that is said."""
    forger = os.path.join(place.BUILD, "tests/helpers/saved_filter_forger")
    program = attached.ebpf()
    if program < 0:
        tap.skip("forged saved filters", "can't load a program here")
        return
    sock = attached.sniffer("near")
    sock.setsockopt(attached.SOL_SOCKET, attached.SO_ATTACH_BPF, program)
    cookie, = struct.unpack("Q", sock.getsockopt(attached.SOL_SOCKET, 57, 8))  # SO_COOKIE
    for users, words in (((4711,), "saved for it by user 4711, who did not make the socket"),
                         ((0, 0), "several filters are saved for it")):
        forgers = [subprocess.Popen([forger, str(cookie), str(user)], stdin=subprocess.PIPE,
                                    stdout=subprocess.PIPE) for user in users]
        for one in forgers:
            one.stdout.readline()
        for command in ("attach", "detach"):
            result = subprocess.run([live.SOCKTALLY, command, str(os.getpid())], capture_output=True, text=True,
                                    check=False)
            tap.ok(result.returncode == 1 and words in result.stderr and result.stderr.count("\n") == 1,
                   f"{command}, by {users}: refused", result.stderr)
        out = subprocess.run([live.SOCKTALLY, "list"], capture_output=True, text=True, check=True).stdout
        tap.ok(words in out, f"list, by {users}: why", out)
        tap.ok(attached.is_on(sock), "and the socket has its eBPF filter")
        for one in forgers:
            one.communicate()
    os.close(program)
    sock.close()


def listed():
    """Every packet socket of the host."""
    return json.loads(subprocess.run([live.SOCKTALLY, "list", "--format", "json"], capture_output=True,
                                     check=True).stdout)["sockets"]


def killed_run():
    """`run` gives its sockets back by detach, too: not while it lives, but after it was killed."""
    with open("/proc/sys/kernel/unprivileged_bpf_disabled", encoding="ascii") as file:
        if file.read().strip() == "0":
            tap.skip("detach after run was killed", "everybody may load programs here, and leave a saved filter")
            return
    tool = live.Tool(["tcpdump", "-n", "-i", "near", "-w", os.devnull, "udp"])
    pid, = [one for one in attached.family(tool.process.pid) if attached.packet_sockets(one)]
    result = subprocess.run([live.SOCKTALLY, "detach", str(pid)], capture_output=True, text=True, check=False)
    tap.ok(result.returncode == 1 and "is metering it: end that one" in result.stderr and
           attached.filter_of(pid) is None, "detach: a living meter keeps its socket", result.stderr)
    before = attached.filter_by_list(pid)
    tool.process.kill()
    tool.process.wait()
    attached.until(lambda: "left" in [entry["socktally"] for entry in listed()
                                      if any(holder["pid"] == pid for holder in entry["processes"])])
    result = subprocess.run([live.SOCKTALLY, "detach", str(pid)], capture_output=True, text=True, check=False)
    tap.ok(not result.returncode and "has its own filter again" in result.stdout, "detach after run was killed",
           result.stderr)
    tap.same(attached.filter_of(pid), before, "the socket has its own filter")
    os.kill(pid, signal.SIGTERM)


def changed_filter(net):
    """A filter that the tool sets later is followed, and the gap is told."""
    sock = attached.sniffer("near")
    attached.set_filter(sock, (0x06, 0, 0, 50))
    meter = attached.Attach(os.getpid(), "-I", "0.2")
    netns.send(net.sender("far"), live.frames(SOME))
    time.sleep(0.1)
    for length in (60, 0):
        if length:
            attached.set_filter(sock, (0x06, 0, 0, length))
        else:
            sock.setsockopt(attached.SOL_SOCKET, attached.SO_DETACH_FILTER, 0)
        note = meter.await_note("filter")
        tap.ok("changed its filter on near" in note["text"], "noted", note)
        netns.send(net.sender("far"), live.frames(SOME))
        time.sleep(0.1)
    meter.stop()
    sums = attached.add(meter.reports())
    want = attached.add_tables([live.expected(SOME, "in", snaplen=length) for length in (50, 60, 262144)])
    tap.same(sums, want, "before and after: every cell, in all intervals together")
    tap.same(attached.filter_of_socket(sock), b"", "the socket has no filter, as the tool wanted it last")
    sock.close()


def pieces(net):
    """Several processes and sockets: one report or one each, by interface, by name."""
    netns.run("ip", "link", "set", "lo", "up")
    tools = [live.Tool(["tcpdump", "-n", "-i", "near", "-w", os.devnull], metered=False) for _ in range(2)]
    pids = [tool.process.pid for tool in tools]
    meter = attached.Attach(*pids)
    netns.send(net.sender("far"), live.frames(SOME))
    report = meter.stop()
    doubled = [kind._replace(copies=2 * kind.copies) for kind in SOME]
    tap.same((live.counts(report), report["source"]["pid"], report["source"]["comm"]),
             (live.expected(doubled, "in"), 0, "tcpdump"), "two processes in one report")
    meter = attached.Attach("--each", *pids)
    netns.send(net.sender("far"), live.frames(SOME))
    meter.stop()
    reports = meter.reports()
    tap.same(sorted(one["source"]["pid"] for one in reports), sorted(pids), "--each: one report each")
    tap.ok(all(live.counts(one) == live.expected(SOME, "in") for one in reports), "each is exact")
    for tool in tools:
        tool.stop(settle=0)

    near, local = attached.sniffer("near"), attached.sniffer("lo")
    meter = attached.Attach("-i", "near", os.getpid(), ready=False)
    attached.await_on(near)
    netns.send(net.sender("far"), live.frames(SOME))
    tap.ok(attached.is_on(near) and not attached.is_on(local), "-i: that socket, and the other one not")
    report = meter.stop()
    tap.same((live.counts(report), report["source"]["interface"]), (live.expected(SOME, "in"), "near"),
             "-i: its packets")
    meter = attached.Attach("-i", "eth9", os.getpid(), ready=False)
    meter.wait()
    tap.ok(meter.status == 1 and "lo,near" in meter.said() and meter.said().count("\n") == 1,
           "-i with another name: which there are", meter.said())
    near.close()
    local.close()


def through_another(net):
    """tshark leaves the capture to a dumpcap that it starts."""
    tool = live.Tool(["tshark", "-n", "-i", "near", "-w", "capture"], metered=False, ready="Capturing on")
    attached.until(lambda: attached.receiving(tool.process.pid))
    live.settle([tool], quiet=0.3)
    meter = attached.Attach(tool.process.pid)
    netns.send(net.sender("far"), live.frames(SOME))
    report = meter.stop()
    tap.same((live.counts(report), report["source"]["comm"]), (live.expected(SOME, "in"), "dumpcap"),
             "tshark: its dumpcap")
    tool.stop(settle=0)


def refused():
    """What can't be metered is said in one line, with status 1, and stays as it is."""
    def says(what, *arguments, name):
        meter = attached.Attach(*arguments, ready=False)
        meter.wait()
        tap.ok(meter.status == 1 and what in meter.said() and meter.said().count("\n") == 1 and
               not meter.reports(), name, f"{meter.status} {meter.said()}")
    says("no such process", 4194305, name="no such process")
    says("no such command", "no-such-command", name="no such command")
    says("no packet socket", os.getpid(), name="no packet socket")
    sock = attached.sniffer("near")
    attached.set_filter(sock, (0x06, 0, 0, 50))
    meter = attached.Attach(os.getpid())
    says(f"(pid {meter.process.pid}) is metering", os.getpid(), name="another one is on it")
    attached.set_filter(sock, (0x06, 0, 0, 50))
    attached.await_on(sock)
    meter.stop(settle=0)
    tap.same(attached.filter_of_socket(sock), attached.code((0x06, 0, 0, 50)), "and it had gone on")
    sock.setsockopt(attached.SOL_SOCKET, attached.SO_LOCK_FILTER, 1)
    says("SO_LOCK_FILTER", os.getpid(), name="locked")
    tap.same(attached.filter_of_socket(sock), attached.code((0x06, 0, 0, 50)), "and it has its filter")
    other = attached.sniffer("near")
    meter = attached.Attach(os.getpid(), ready=False)
    attached.await_on(other)
    report = meter.stop()
    tap.ok(meter.status == 1 and "SO_LOCK_FILTER" in meter.said() and report["source"]["pid"] == os.getpid(),
           "one of two is locked: the other one is metered", meter.said())
    sock.close()
    other.close()
    other = attached.sniffer("near")
    result = subprocess.run([live.SOCKTALLY, "attach", str(os.getpid())], capture_output=True, text=True, check=False,
                            user="nobody", group="nogroup", extra_groups=[], executable=attached.copy(live.SOCKTALLY)[0])
    tap.ok(result.returncode == 1 and "CAP_SYS_PTRACE" in result.stderr and
           result.stderr.count("\n") == 1, "an ordinary user: what is needed", result.stderr)
    other.close()


def capable(net):
    """The capabilities that the manual names are enough, without root."""
    sock = attached.sniffer("near")
    attached.set_filter(sock, (0x06, 0, 0, 50))
    capabilities = "+sys_ptrace,+dac_read_search,+bpf,+perfmon"
    command = ["setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups", "--inh-caps", capabilities,
               "--ambient-caps", capabilities, attached.copy(live.SOCKTALLY)[0], "attach", "--format", "json",
               str(os.getpid())]
    process = netns.start(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    attached.await_on(sock)
    netns.send(net.sender("far"), live.frames(SOME))
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    tap.ok(process.returncode == 0 and not err, "an ordinary user with capabilities", err)
    tap.same(live.counts(json.loads(out or '{"paths": []}')), live.expected(SOME, "in", snaplen=50), "is exact")
    tap.same(attached.filter_of_socket(sock), attached.code((0x06, 0, 0, 50)), "and gives back")
    sock.close()


def fanout(net):
    """Two sockets that share the packets: together they have each once."""
    both = [attached.sniffer("near") for _ in range(2)]
    for sock in both:
        sock.setsockopt(263, 18, struct.pack("I", os.getpid() & 0xffff | 1 << 16))  # PACKET_FANOUT_LB
    meter = attached.Attach(os.getpid())
    netns.send(net.sender("far"), live.frames(SOME))
    report = meter.stop()
    tap.same(live.counts(report), live.expected(SOME, "in"), "a fanout group: the sum of its sockets")
    for sock in both:
        sock.close()


def two_filters(net):
    """Each socket has its own filter in the report, and a packet that two of them get is in the sums twice."""
    tools = [live.Tool(["tcpdump", "-n", "-i", "near", "-w", os.devnull, expression], metered=False)
             for expression in ("udp port 53", "arp")]
    pids = [tool.process.pid for tool in tools]
    meter = attached.Attach(*pids)
    netns.send(net.sender("far"), live.frames(SOME))
    report = meter.stop()
    tap.same({row["pid"]: (row["comm"], row["interface"], row["linktype"], row["filter"], bool(row["program"]))
              for row in report["sockets"]},
             {pids[0]: ("tcpdump", "near", "eth", "udp port 53", True), pids[1]: ("tcpdump", "near", "eth", "arp", True)},
             "two sockets: which filter is whose")
    tap.same(report["source"]["filter"], "udp port 53; arp", "the filter of both")
    tap.same([note["event"] for note in report["notes"]], ["overlap"], "each packet is counted twice: noted")
    tap.ok("packets" not in report["sockets"][0], "no counts of one of them", report["sockets"])

    meter = attached.Attach("--each", *pids)
    netns.send(net.sender("far"), live.frames(SOME))
    meter.stop()
    rows = [(row["filter"], row["packets"], row["accepted_packets"])
            for report in meter.reports() for row in report["sockets"]]
    want = [(expression, live.total(table).packets, live.total(table).accepted_packets)
            for expression in ("udp port 53", "arp") for table in [live.expected(SOME, "in", expression)]]
    tap.same((sorted(rows), meter.notes()), (sorted(want), []), "--each: the sums of each")

    sock = attached.sniffer("near", 0x0800)
    meter = attached.Attach(*pids, os.getpid())
    report = meter.stop(settle=0)
    tap.same(report["source"]["filter"], "udp port 53; arp; none", "one without a filter is not passed over")
    process = netns.start([live.SOCKTALLY, "attach", *map(str, pids)], stdout=subprocess.PIPE)
    for pid in pids:
        attached.until(lambda one=pid: attached.all_on(one))
    process.send_signal(signal.SIGINT)
    out = process.communicate(timeout=20)[0].decode()
    tap.ok("filter: udp port 53; arp\n" in out and f"  tcpdump (pid {pids[1]}) socket " in out and
           " on near: arp\n" in out and "--each counts them apart" in out, "the same as text", out)
    sock.close()
    for tool in tools:
        tool.stop(settle=0)


def text():
    """The report for people says what has happened."""
    sock = attached.sniffer("near")
    process = netns.start([live.SOCKTALLY, "attach", str(os.getpid())], stdout=subprocess.PIPE)
    attached.await_on(sock)
    attached.set_filter(sock, (0x06, 0, 0, 50))
    attached.await_on(sock)
    process.send_signal(signal.SIGINT)
    out = process.communicate(timeout=20)[0].decode()
    tap.ok(f"(pid {os.getpid()}) on near (eth)\nfilter: accepts everything\n" in out and
           "changed its filter on near: up to " in out, "the report as text", out)
    sock.close()


def main():
    few = "--few" in sys.argv
    live.need("tcpdump", *([] if few else ["tshark", "setpriv"]))
    tap.time_limit(150)
    net = netns.Net()
    exact(net)
    if few:
        tap.done()
    source()
    hooks()
    own_end(net)
    tools_end(net)
    handed_on(net)
    full_disk(net)
    closed(net)
    one_each(net)
    taken_over()
    forged()
    killed_run()
    changed_filter(net)
    pieces(net)
    through_another(net)
    refused()
    capable(net)
    fanout(net)
    two_filters(net)
    text()
    tap.done()


sys.dont_write_bytecode = True
main()
