#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""A flood past a tcpdump that can't keep up: its ring drops most of it, and still the kernel's count
is the sender's, for each protocol of a mix of twelve."""
import fcntl
import os
import re
import signal
import threading
import time

import live
import netns
import packets
import tap

MIX = [packets.build(text) for text in (
    "eth/arp", "eth/ip/udp(dport=53)/data(60)", "eth/ip/tcp/data(120)", "eth/ip/icmp/data(56)",
    "eth/ip(options=8)/igmp", "eth/ip/sctp/data(40)", "eth/ip/gre/ip/udp/data(10)",
    "eth/ip/esp/data(90)", "eth/ipv6/udp/data(30)", "eth/ipv6/hopopts/icmpv6/data(8)",
    "eth/vlan(id=5)/ipv6/tcp/data(50)", "eth/llc/stp")]
ROUNDS = 25_000  # of the mix: 300,000 packets


def mix():
    """Each kind in its own number, some twice as often as others."""
    return [live.Kind(packet, ROUNDS + 1000 * (i % 6) - 2500 + i) for i, packet in enumerate(MIX)]


def unread_pipe(size=4096):
    """A pipe that soon blocks who writes to it."""
    reader, writer = os.pipe2(os.O_CLOEXEC)
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, size)
    return reader, writer


def drain(descriptor):
    def read():
        while os.read(descriptor, 1 << 16):
            pass
        os.close(descriptor)
    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    return thread


def dropped(tool):
    found = re.search(r"(\d+) packets? dropped by kernel", tool.read("stderr").decode())
    return int(found[1]) if found else 0


def check(name, tool, kinds, direction, expression):
    report = tool.report()
    tap.same(live.counts(report), live.expected(kinds, direction, expression), f"{name}: every cell")
    tap.ok(dropped(tool) > 0, f"{name}: {dropped(tool)} of {sum(k.copies for k in kinds)} packets "
           "dropped by tcpdump's ring")
    received = int(re.search(r"(\d+) packets? received by filter",
                             tool.read("stderr").decode())[1])
    tap.same(report["totals"].get("accepted_packets"), received, f"{name}: tcpdump's own count")


def blocked_output(net, interface, direction, expression):
    """tcpdump prints to a pipe that nobody reads."""
    kinds = mix()
    reader, writer = unread_pipe()
    tool = live.Tool(["tcpdump", "-nl", "-i", "near", "-B", "64", *expression.split()], stdout=writer)
    os.close(writer)
    netns.send(net.sender(interface), live.frames(kinds))
    time.sleep(0.5)
    drain(reader)
    tap.same(tool.stop(), 0, f"blocked, {direction}: exit status")
    check(f"blocked, {direction}", tool, kinds, direction, expression)


def stopped(net):
    """tcpdump doesn't run at all."""
    kinds = mix()
    tool = live.Tool(["tcpdump", "-n", "-i", "near", "-B", "64", "-w", os.devnull])
    pids = live.pids(tool.process.pid, "tcpdump")
    tap.same(len(pids), 1, "stopped: found tcpdump")
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    netns.send(net.sender("far"), live.frames(kinds))
    for pid in pids:
        os.kill(pid, signal.SIGCONT)
    tap.same(tool.stop(), 0, "stopped: exit status")
    check("stopped", tool, kinds, "in", "")


def main():
    live.need("tcpdump")
    tap.time_limit(240)
    net = netns.Net()
    blocked_output(net, "far", "in", "")
    blocked_output(net, "near", "out", "udp or icmp6")
    stopped(net)
    tap.done()


main()
