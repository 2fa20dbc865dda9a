#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The path of every kind of packet: paths.txt, one line a case."""
import os
import subprocess
import tempfile

import packets
import place
import tap

COMMAND = os.environ.get("SOCKTALLY", "./socktally")


def cases():
    with open(place.data("paths.txt"), encoding="utf-8") as lines:
        return list(packets.read(line.lstrip("!?") for line in lines))


def names():
    with open(os.path.join(place.SOURCES, "include/socktally/protocols.def"), encoding="utf-8") as lines:
        return {line.split('"')[1] for line in lines if line.startswith("SOCKTALLY_PROTOCOL(")}


def main():
    tap.time_limit(60)
    wanted = cases()
    with tempfile.NamedTemporaryFile(prefix="socktally-test-", suffix=".pcapng") as file:
        file.write(packets.pcapng(wanted))
        file.flush()
        run = subprocess.run([COMMAND, "read", "--packets", file.name], capture_output=True,
                             text=True, check=False)
    tap.ok(run.returncode == 0 and not run.stderr, "read --packets", run.stderr)
    lines = [line.split() for line in run.stdout.splitlines()]
    tap.same(len(lines), len(wanted), "one line a packet")
    for (number, length, path), packet in zip(lines, wanted):
        tap.same([int(length), path], [packet.length, packet.path], f"{number}: {packet.text}")
    seen = {name for packet in wanted for name in packet.path.split(":")}
    tap.same(sorted(names() - seen), ["dlt", "number", "type0", "type1", "type2", "type3"],
             "every protocol has a case")
    tap.done()


main()
