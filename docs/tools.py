#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""tools.py: writes docs/tools.md, made from tests/data/tools.txt, to standard output."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests/lib"))

import tool_table  # noqa: E402 pylint: disable=wrong-import-position

HEAD = """<!-- SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause -->
# Tools

Made by `docs/tools.py` from `tests/data/tools.txt`: change that, not this.

Real tools from Debian 12, each run plain and metered past the same traffic, in network namespaces of
their own. "Unchanged" is: equal capture files and output (but for times, process numbers and the
like), exit status, what is said on standard error, packets that the tool says it saw, promiscuous
mode and packet sockets afterwards, and processes left behind. "Exact" is: for every path and
direction, as many packets and bytes in the tally as were sent past the tool's sockets.

To see it for yourself: `sudo sh tests/run.sh` installs the tools (their services are neither
started nor enabled) and runs all tests; `sudo SOCKTALLY=build/socktally BUILDDIR=build
tests/preload/tools.t tcpdump lldpd` runs these tools' part.

| tool | package, version | way in | result | what to know |
| --- | --- | --- | --- | --- |
"""

TAIL = """
What can't be metered is said in one line, and the tool runs as always: a tool that makes its system calls
itself, one that is setuid or has file capabilities that its caller lacks, a socket that is locked or has
an eBPF filter of the tool's own. `run` meters a tool that is linked statically from outside.

The shim loads into programs of other C libraries, too: musl, and glibc from 2.17 on, as in a chroot of an
older system. A program that was built with gcc's `-fsanitize=address` (or clang's `-shared-libasan`) refuses
to start behind another library; `run`, and the shim for what its process executes, put
`verify_asan_link_order=0` into `ASAN_OPTIONS`, which lets it start. To run such a program itself with
LD_PRELOAD, do so by hand. Where the shim's file isn't there (a chroot), and in a 32-bit program that a script
starts, the loader itself says so in a line on standard error, and the program runs unmetered.
"""


def result(cases):
    exact = [case for case in cases if case.options["tally"] not in ("some", "none")]
    told = "exact" if len(exact) == len(cases) else f"exact in {len(exact)}" if exact else "metered"
    return f"unchanged in {len(cases)} case{'s' * (len(cases) > 1)}, {told}"


def main():
    print(HEAD, end="")
    tools = {}
    for case in tool_table.read():
        tools.setdefault(case.tool, []).append(case)
    for tool, cases in tools.items():
        ways = {way for case in cases for way in case.options["ways"].split(",")}
        way = ", ".join({"run": "`run`", "preload": "LD_PRELOAD"}[way] for way in sorted(ways)[::-1])
        print(f"| {tool.name} | {tool.package} {tool.version} | {way} | {result(cases)} | {tool.note} |")
    print(TAIL, end="")


main()
