# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Where nothing can be metered: tcpdump captures what it would without us, and one line says why."""
import re

import live
import netns
import packets
import tap

FRAMES = [packets.frame("eth/ip/udp(dport=53)"), packets.frame("eth/ip/tcp")] * 20


def captured(net, metered):
    """tcpdump's exit status, what it captured, and what was said besides its own words."""
    tool = live.Tool(["tcpdump", "-Z", "root", "-i", "near", "-w", "file", "udp"], metered=metered)
    netns.send(net.sender("far"), FRAMES)
    status = tool.stop(settle=2)
    said = tool.read("stderr").decode()
    return (status, [data for *_, data in live.records(tool.read("file"))],
            re.findall(r"^(\d+) packets", said, re.M)), \
        [line for line in said.splitlines() if line.startswith("socktally:")]


def main():
    live.need("tcpdump")
    tap.time_limit(120)
    net = netns.Net()
    plain, _ = captured(net, False)
    tap.same(len(plain[1]), len(FRAMES) // 2, "tcpdump alone: takes what its filter says")
    metered, said = captured(net, True)
    tap.same(metered, plain, "with us: the same")
    tap.same(len(said), 1, "and one line")
    tap.ok(said and re.search("BPF is not permitted.*unmetered|CAP_PERFMON.*unmetered", said[0]),
           "which says why", said)
    tap.done()


main()
