#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""`socktally attach`: which processes a name stands for, now and later, and which sockets of theirs."""
import os
import shutil
import subprocess
import sys

import attached
import live
import netns
import tap

SOME = live.traffic()[:12]


def capture(program, interface="near"):
    return live.Tool([program, "-n", "-i", interface, "-w", os.devnull], metered=False)


def meters(net, pid, *arguments, name):
    """The process is found by these arguments, and metered."""
    meter = attached.Attach(*arguments, ready=False)
    try:
        attached.until(lambda: meter.process.poll() is not None or attached.all_on(pid))
        netns.send(net.sender("far"), live.frames(SOME))
    finally:
        report = meter.stop()
    tap.ok(meter.status == 0 and live.counts(report) == live.expected(SOME, "in"), name, meter.said())


def names(net):
    """Longer than the kernel keeps it, and of a file that an upgrade has replaced."""
    short = attached.copy("tcpdump")[0]
    program = short + "-with-a-long-name"
    os.rename(short, program)
    tool = capture(program)
    pid = tool.process.pid
    meters(net, pid, os.path.basename(program), name="a name of more than 15 bytes")
    os.rename(program, short)
    shutil.copy(short, program)
    os.unlink(short)
    meters(net, pid, os.path.basename(short), name="its file is gone")
    meters(net, pid, short, name="by its path")
    tool.stop(settle=0)

    script = os.path.join(attached.folder(), "a-script-with-a-long-name")
    with open(script, "w", encoding="ascii") as file:
        file.write(f"#!{sys.executable}\nimport socket, time\n"
                   "sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)\n"
                   "sock.bind(('near', 3))\nprint(flush=True)\ntime.sleep(60)\n")
    os.chmod(script, 0o755)
    process = netns.start([script], stdout=subprocess.PIPE)
    process.stdout.readline()
    meters(net, process.pid, "a-script-with-a-long-name", name="a script with a long name")
    meter = attached.Attach("a-script-without-one", ready=False)
    meter.wait()
    tap.same((meter.status, "no such command" in meter.said()), (1, True), "another name that is as long")
    process.kill()
    process.wait()
    process.stdout.close()


def by_interface(net):
    """One name on two interfaces: -i decides."""
    netns.run("ip", "link", "set", "lo", "up")
    program, name = attached.copy("tcpdump")
    near, other = capture(program), capture(program, "lo")
    meter = attached.Attach(name, ready=False)
    meter.wait()
    tap.ok(meter.status == 1 and "--all" in meter.said(), "two processes of a name", meter.said())
    meters(net, near.process.pid, "-i", "near", name, name="-i: that on this interface")
    meter = attached.Attach("-i", "any", name, ready=False)
    meter.wait()
    tap.ok(meter.status == 1 and "on any" in meter.said() and meter.said().count("\n") == 1,
           "-i: none is there", meter.said())
    third = capture(program)
    meter = attached.Attach("-i", "near", name, ready=False)
    meter.wait()
    pids = ", ".join(map(str, sorted([near.process.pid, third.process.pid])))
    tap.ok(meter.status == 1 and pids in meter.said() and str(other.process.pid) not in meter.said(),
           "-i: two are there", meter.said())
    for tool in (near, other, third):
        tool.stop(settle=0)


def follow_name(net):
    """--follow NAME: waits where none runs yet, and goes on when the last one has ended."""
    program, name = attached.copy("tcpdump")
    meter = attached.Attach("--follow", name, ready=False)
    for _ in range(2):
        tool = capture(program)
        attached.until(lambda: meter.process.poll() is not None or attached.all_on(tool.process.pid))
        netns.send(net.sender("far"), live.frames(SOME))
        tool.stop()
    both = [capture(program) for _ in range(2)]
    attached.until(lambda: meter.process.poll() is not None or
                   all(attached.all_on(tool.process.pid) for tool in both))
    for tool in both:
        tool.stop()
    tap.same(meter.process.poll(), None, "it goes on without any process")
    report = meter.stop()
    tap.ok(meter.status == 0 and live.counts(report) == attached.add_tables([live.expected(SOME, "in")] * 2),
           "--follow NAME: every process of that name", meter.said())

    tools = [capture(program) for _ in range(2)]
    meter = attached.Attach("--follow", name, ready=False)
    attached.until(lambda: meter.process.poll() is not None or
                   all(attached.all_on(tool.process.pid) for tool in tools))
    meter.stop(settle=0)
    tap.same((meter.status, meter.said()), (0, ""), "--follow NAME: two that run already")
    for tool in tools:
        tool.stop(settle=0)


def lines():
    """A process that opens one socket after the other that can't be metered does not fill a log."""
    meter = attached.Attach("--follow", os.getpid(), ready=False)
    keeper = attached.sniffer("near")
    attached.await_on(keeper)
    for _ in range(40):
        socks = [attached.sniffer("near") for _ in range(10)]
        for sock in socks:
            sock.setsockopt(attached.SOL_SOCKET, attached.SO_LOCK_FILTER, 1)
        said = meter.read(1).count(b"\n")
        if said > 64:
            break
        try:
            attached.until(lambda before=said: meter.read(1).count(b"\n") >= before + 5, 1)
        except TimeoutError:
            pass  # some were metered before they were locked
        for sock in socks:
            sock.close()
    more = [attached.sniffer("near") for _ in range(50)]
    for sock in more:
        sock.setsockopt(attached.SOL_SOCKET, attached.SO_LOCK_FILTER, 1)
    last = attached.sniffer("near")
    attached.await_on(last)
    meter.stop()
    said = meter.said().splitlines()
    tap.ok(len(said) == 65 and "more sockets" in said[-1], "65 lines, and no more", f"{len(said)}: {said[-3:]}")
    for sock in (keeper, last, *more):
        sock.close()


def other_interface():
    """What is composed anew because the owner has bound the socket elsewhere is no change of its filter."""
    netns.run("ip", "tuntap", "add", "dev", "raw0", "mode", "tun")
    netns.run("ip", "link", "set", "raw0", "up")
    sock = attached.sniffer("near")
    meter = attached.Attach(os.getpid(), "-I", "0.1")
    sock.bind(("raw0", netns.ETH_P_ALL))
    attached.until(lambda: "raw0" in str(meter.reports()[-1:]))
    attached.set_filter(sock, (0x06, 0, 0, 50))
    note = meter.await_note("filter")
    report = meter.stop()
    tap.ok("raw0" in note["text"] and len([note for note in meter.notes() if note["event"] == "filter"]) == 1,
           "bound to another interface: only the change of the filter is a gap", meter.notes())
    tap.ok("raw" in report["source"]["linktype"], "and it is metered there", report["source"])
    sock.close()
    netns.run("ip", "link", "del", "raw0")


def main():
    live.need("tcpdump")
    tap.time_limit(150)
    net = netns.Net()
    names(net)
    by_interface(net)
    follow_name(net)
    lines()
    other_interface()
    tap.done()


sys.dont_write_bytecode = True
main()
