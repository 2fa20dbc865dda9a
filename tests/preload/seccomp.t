#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""A seccomp filter kills a tool for system calls that it doesn't need itself: the shim makes none of them once
the filter is set, in whatever order things are done. What is metered then stays metered, and one line says
that later sockets and filters are not."""
import os
import tempfile

import netns
import shim
import tap

OPEN = "socket:raw:0 bind:near:3 filter:udp"
SEE = "ready packets"

# steps, packets counted, whether a line is said: always when the tool sets a filter itself
CASES = [
    # all is set up before: no call of the shim's comes after, not even at the end
    (f"{OPEN} seccomp=tool {SEE}", 6, True),
    (f"{OPEN} seccomp=+tool {SEE}", 6, True),
    (f"{OPEN} seccomp=tool {SEE} exit", 6, True),
    (f"socket:raw:3 bind:near:3 seccomp=tool {SEE}", 6, True),
    # metered already when it is bound to another interface
    (f"socket:raw:3 filter:udp seccomp=tool bind:near:3 {SEE}", 6, True),
    # a socket or a filter that comes after
    (f"seccomp=tool {OPEN} {SEE}", 0, True),
    (f"seccomp=+tool {OPEN} {SEE}", 0, True),
    (f"seccomp=tool socket:raw:3 filter:udp bind:near:3 {SEE}", 0, True),
    (f"socket:raw:0 seccomp=tool filter:udp bind:near:3 {SEE}", 0, True),
    (f"{OPEN} {SEE} seccomp=tool filter:reject {SEE} detach {SEE}", 6, True),
    (f"{OPEN} {SEE} seccomp=+tool detach {SEE} filter:udp {SEE}", 6, True),
    # the same from a thread, for all of them
    (f"{OPEN} thread seccomp=+tool {SEE}", 6, True),
    (f"thread seccomp=+tool {OPEN} {SEE}", 0, True),
    (f"{OPEN} {SEE} seccomp=tool name", 6, True),
    (f"fork seccomp=tool {OPEN} {SEE}", 0, True),
    # filters that allow the shim's calls are no exception
    (f"seccomp=mild {OPEN} {SEE} detach", 0, True),
    (f"{OPEN} seccomp=mild {SEE} seccomp=+mild seccomp=tool", 6, True),
    (f"seccomp=mild fork exec {OPEN} {SEE}", 0, True),
    # a filter that the kernel refuses; and no filter, which asks whether the kernel has them
    (f"seccomp=invalid {OPEN} {SEE}", 6, True),
    (f"seccomp=none seccomp=+none {OPEN} {SEE}", 6, False),
    # another program under the filter
    (f"{OPEN} seccomp=exec exec {SEE}", 6, True),
    (f"seccomp=exec exec {OPEN} {SEE}", 0, True),
    (f"seccomp=exec exec socket:raw:3 filter:udp bind:near:3 {SEE} exit", 0, True),
    (f"seccomp=mild exec seccomp=exec exec {OPEN} {SEE}", 0, True),
]

# a thread that is asking the broker at that moment may finish
RACE = f"{OPEN} race ready name"
RACES = 10

PRELOAD = ["env", f"LD_PRELOAD={shim.SHIM}", "SOCKTALLY_FORMAT=json", "SOCKTALLY_OUTPUT=REPORT"]


def compare(way, text, plain, metered, packets, said):
    tap.same((metered.out, metered.status), (plain.out, plain.status), f"{way}: {text}")
    lines = shim.lines_of(metered.err)
    tap.ok(len(lines) == said and all("seccomp" in line for line in lines),
           f"{way}: {'one line says why' if said else 'nothing is said'}", metered.err)
    tap.same(shim.packets_of(metered.report) or 0, packets, f"{way}: {packets} packets counted")


def races(sender):
    plain = shim.run("plain", RACE.split(), sender)
    for way in "run", "preload":
        for number in range(RACES):
            metered = shim.run(way, RACE.split(), sender)
            lines = shim.lines_of(metered.err)
            if (metered.out, metered.status) != (plain.out, plain.status) or len(lines) != 1:
                break
        tap.same((metered.out, metered.status), (plain.out, plain.status),
                 f"{way}: another thread was asking, {number + 1} times")
        tap.ok(len(lines) == 1 and "seccomp" in lines[0], f"{way}: and one line says what is not metered",
               metered.err)


def started_under_filter(sender):
    """The filter was set before the shim was loaded, as by a service manager or a container's runtime."""
    steps = f"{OPEN} {SEE}".split()
    plain = shim.run("plain", ["seccomp=mild", *steps], sender)
    shell = ["sh", "-c", '"$@"; exit $?', "sh"]
    cases = [
        ("a filter that forbids, from outside", ["seccomp=exec", "program"], 0),
        ("a filter that forbids, around a shell", ["seccomp=shell", "program", *shell], 0),
        ("a filter that allows, around a shell", ["seccomp=mild", "program", *shell], 6),
    ]
    for name, before, packets in cases:
        report = os.path.join(os.environ["TMPDIR"], "report")
        preload = [word.replace("REPORT", report) for word in PRELOAD]
        guest = shim.Guest("plain", [shim.HELPER, *before, *preload, shim.HELPER, *steps])
        guest.report_file = report
        while guest.wait_ready():
            netns.send(sender, shim.FRAMES)
            guest.go_on()
            guest.out += b"sent\n"
        metered = guest.finish()
        out = "".join(line + "\n" for line in metered.out.splitlines() if "seccomp=" not in line)
        want = "".join(line + "\n" for line in plain.out.splitlines() if "seccomp=" not in line)
        tap.same((out, metered.status), (want, 0), f"{name}: the same to the tool")
        tap.same(shim.packets_of(metered.report) or 0, packets, f"{name}: {packets} packets counted")
        lines = shim.lines_of(metered.err)
        tap.ok(len(lines) == (not packets) and all("seccomp" in line for line in lines),
               f"{name}: said", metered.err)
        if os.path.exists(report):
            os.unlink(report)


def many_filters():
    """A script that starts program after program, each with a filter: one line for all of them."""
    script = f"for i in 1 2 3; do {shim.HELPER} seccomp=mild fork seccomp=mild; done"
    for way in "run", "preload":
        metered = shim.run(way, ["-c", script], helper="sh")
        tap.same((metered.out.count("seccomp=mild: 0"), metered.status), (6, 0), f"{way}: filters in many programs")
        lines = shim.lines_of(metered.err)
        tap.ok(len(lines) == 1 and "seccomp" in lines[0], f"{way}: one line for all of them", metered.err)


def main():
    shim.need("env")
    tap.time_limit(200)
    net = netns.Net()
    sender = net.sender("far")
    brokers = len(shim.processes("broker"))
    for text, packets, said in CASES:
        plain = shim.run("plain", text.split(), sender)
        for way in "run", "preload":
            metered = shim.run(way, text.split(), sender)
            compare(way, text, plain, metered, packets, said)
    races(sender)
    many_filters()
    with tempfile.TemporaryDirectory(prefix="socktally-test-") as folder:
        os.environ["TMPDIR"] = folder
        started_under_filter(sender)
    tap.ok(shim.gone(brokers), "no broker is left behind")
    tap.done()


main()
