#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Where the size of files is limited (ulimit -f), a write beyond it is SIGXFSZ, which ends the process. No
write of the shim's brings the tool this signal, and `run` ends as the tool does."""
import resource
import tempfile

import netns
import shim
import tap

OPEN = "socket:raw:0 bind:near:3 filter:udp"
SEE = "ready packets get:4"
# steps, environment
CASES = [
    (f"{OPEN} {SEE}", {}),
    (f"{OPEN} {SEE} exit", {}),
    (f"fork {OPEN} {SEE}", {}),
    (f"{OPEN} seccomp=tool {SEE}", {}),
    (f"seccomp=tool {OPEN} {SEE}", {}),
    # there is something to say, on a standard error that is a file
    (f"{OPEN} {SEE}", {"SOCKTALLY_COMMAND": "/nonexistent"}),
]


def limited(way, text, sender, environment):
    """No file may have a byte."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        return shim.run(way, text.split(), sender, environment=environment)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def main():
    shim.need()
    tempfile.gettempdir()  # which it finds by writing a file
    tap.time_limit(120)
    net = netns.Net()
    sender = net.sender("far")
    brokers = len(shim.processes("broker"))
    for text, environment in CASES:
        plain = limited("plain", text, sender, environment)
        for way in ("run", "preload"):
            metered = limited(way, text, sender, environment)
            tap.same(metered.out, plain.out, f"{way}: {text}")
            tap.same(metered.status, plain.status, f"{way}: status {plain.status}")
    tap.ok(shim.gone(brokers), "no broker is left behind")
    tap.done()


main()
