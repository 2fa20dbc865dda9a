#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""A tool does with socktally what it does without: the same files but for the timestamps, the same
stdout, stderr and exit status, and the interface is left as it was."""
import collections
import re
import shutil
import signal
import time

import live
import netns
import tap

# command, the text by which it is ready (None: ends by itself, before any traffic), how it ends
# (None: by itself), whether something of what it says varies from run to run ("-c": only what it received)
Case = collections.namedtuple("Case", "command ready end vague")


def tcpdump(arguments, expression="", ready="listening on", end=signal.SIGINT):
    words = arguments.split()
    return Case(["tcpdump", *words, *([expression] if expression else [])], ready, end,
                "-c" if "-c" in words else False)


MANY_HOSTS = " or ".join(f"host 10.0.{i}.{i}" for i in range(100))

TCPDUMP = [
    tcpdump("-ni near -w file"),
    tcpdump("-ni near -w file", "udp port 53"),
    tcpdump("-ni near -U --immediate-mode -B 8192 -w file", "not tcp"),
    tcpdump("-ni near -s 64 -w file", "ip or ip6"),
    tcpdump("-ni near -c 20 -w file", end=None),
    tcpdump("-ni near -c 7 -w file", "ip6 proto 58", end=None),
    tcpdump("-ni near -w -", "icmp"),
    tcpdump("-ni near -t -e"),
    tcpdump("-ni near -t -XX", "arp"),
    tcpdump("-ni near -t -v -S -K -l", "tcp"),
    tcpdump("-ni near -t -q --number", "ip[8] > 1"),
    tcpdump("-ni near -t -A -p", "greater 100 and less 500"),
    tcpdump("-ni any -w file"),
    tcpdump("-ni any -t", "udp"),
    tcpdump("-ni lo -w file"),
    tcpdump("-ni near -Z root -w file", "ether broadcast or ether multicast"),
    tcpdump("-ni near -B 512 -w file", "vlan"),
    tcpdump("-ni near -t -e", "vlan 8 and tcp"),
    tcpdump("-ni near -Q in -w file"),
    tcpdump("-ni near -Q out -w file", "ip6"),
    tcpdump("-ni near -O -w file", "host 10.0.0.1 and (port 53 or port 443)"),
    tcpdump("-ni near -y EN10MB -w file", "ether[12:2] != 0x0800"),
    tcpdump("-ni near -w file", MANY_HOSTS),
    tcpdump("-ni near --time-stamp-precision nano -w file", "ip proto 47"),
    tcpdump("-ni near -j host -w file", "less 60"),
    tcpdump("-ni near -w file", "ip6 and udp", end=signal.SIGTERM),
    tcpdump("-ni near -d", "port 53", ready=None, end=None),
    tcpdump("-ni near -L", ready=None, end=None),
    tcpdump("-D", ready=None, end=None),
    tcpdump("--version", ready=None, end=None),
    tcpdump("-ni nosuch", ready=None, end=None),
    tcpdump("-ni near", "no such filter", ready=None, end=None),
    tcpdump("-ni near -I", ready=None, end=None),
    tcpdump("-ni near -w /nosuch/file", ready=None, end=None),
    tcpdump("-ni near -y NOSUCH", ready=None, end=None),
]

# netsniff-ng sets promiscuous mode by hand: two at a time would leave it on, so not here.
OTHERS = [
    Case("dumpcap -i near -P -q -w file".split(), "File:", signal.SIGINT, True),
    Case([*"dumpcap -i near -P -q -w file -f".split(), "udp port 53"], "File:", signal.SIGINT, True),
    Case("dumpcap -i near -P -q -s 70 -c 40 -w file".split(), "File:", None, True),
    Case("dumpcap -i nosuch -w file".split(), None, None, False),
    Case("dumpcap -i near -d -f tcp".split(), None, None, False),
    Case("tshark -n -l -i near -T fields -e frame.len -e frame.protocols".split(),
         "Capture started", signal.SIGINT, True),
    Case("tshark -n -l -i near -f arp -T fields -e arp.opcode".split(), "Capture started",
         signal.SIGINT, True),
    Case("netsniff-ng --in near --out file -s -V --no-promisc --ring-size 8MiB -n 300".split(),
         None, signal.SIGINT, True),
    Case([*"netsniff-ng --in near --out file -s -V --no-promisc --ring-size 8MiB -n 30 -f".split(),
          "udp"], None, signal.SIGINT, True),
    Case("ngrep -d near -l -q".split(), None, signal.SIGINT, False),
    Case("ngrep -d near -l -q -x .... udp port 53".split(), None, signal.SIGINT, False),
]


# What socktally says on standard error where it has nothing to say in a report.
OUR_LINES = re.compile(rb"^socktally: [^\n]*: nothing to report\n", re.M)


# Names of temporary files, processes and times; and what had arrived when the last packet was taken.
VARYING = [re.compile(pattern) for pattern in (
    r"_near\w+\.", r"\(tshark:\d+\) [\d:.]+", r"\d+  sec, \d+ usec",
    r"\d+  packets (incoming|passed filter)", r"\(\d+ unread on exit\)",
)]


def clean(content, vague):
    """A file's content without what differs from run to run, and without our own lines."""
    if content[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1"):
        return content[:24], [record[2:] for record in live.records(content)]
    text = OUR_LINES.sub(b"", content).decode(errors="backslashreplace")
    # How many packets had arrived when -c was reached is a matter of time.
    text = re.sub(r"\d+ packets? received", "N packets received", text) if vague == "-c" else text
    # A process id, a time, the name of a temporary file.
    for pattern in VARYING if vague is True else ():
        text = pattern.sub(lambda found: re.sub(r"[\w.]+", "N", found[0]), text)
    return text


def results(tool, case):
    """All that a run has left behind."""
    return {name: clean(tool.read(name), case.vague if name in ("stdout", "stderr") else False)
            for name in tool.files()}


def end(tool, case):
    if case.end is not None and tool.process.poll() is None:
        netns.interrupt(tool.process, case.end)
    return tool.wait()


def run(net, cases):
    """All cases, with and without, past the same traffic."""
    pairs = [[live.Tool(case.command, metered=metered, ready=case.ready) for metered in (False, True)]
             for case in cases]
    kinds = live.traffic(3)
    time.sleep(1)  # for those that don't say when they are ready
    # No faster than all of them together can take it: not one packet is to be dropped.
    netns.send(net.sender("far"), live.frames(kinds), pace=0.001)
    netns.send(net.sender("near"), live.frames(kinds[:20]), pace=0.001)
    live.settle([tool for pair in pairs for tool in pair])
    for case, (plain, metered) in zip(cases, pairs):
        name = " ".join(case.command)[:70]
        tap.same(end(metered, case), end(plain, case), f"{name}: exit status")
        have, want = results(metered, case), results(plain, case)
        tap.same(sorted(have), sorted(want), f"{name}: files")
        for file in sorted(set(have) & set(want)):
            show(have[file], want[file], f"{name}: {file}")
        if case.ready and case.vague is not True and "lo" not in case.command:
            tap.ok(metered.report()["totals"].get("packets"), f"{name}: was metered")


def show(have, want, name):
    """Long contents are compared, not printed."""
    if not tap.ok(have == want, name):
        if isinstance(have, str):
            tap.diag(f"have {have[:1000]}\nwant {want[:1000]}")
        else:
            tap.diag(f"have {len(have[1])} packets, want {len(want[1])}; headers equal: "
                     f"{have[0] == want[0]}")


def promiscuous(net):
    tool = live.Tool(["tcpdump", "-ni", "near", "udp"])
    tap.ok(net.promiscuous("near"), "promiscuous mode is on while tcpdump runs")
    tool.stop(settle=0)
    tap.ok(not net.promiscuous("near"), "and off when it has ended")
    tool = live.Tool(["tcpdump", "-ni", "near", "-p", "udp"])
    tap.ok(not net.promiscuous("near"), "it is not on with -p")
    tool.stop(settle=0)


def main():
    live.need("tcpdump")
    tap.time_limit(240)
    net = netns.Net()
    netns.Net.bring_up("lo")
    cases = [case for case in TCPDUMP + OTHERS if shutil.which(case.command[0])]
    for i in range(0, len(cases), 12):
        run(net, cases[i:i + 12])
    tap.ok(not net.promiscuous("near"), "the interface is as it was")
    promiscuous(net)
    tap.done()


main()
