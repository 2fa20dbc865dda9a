#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""protocols.py PROTOCOLS.DEF: writes docs/protocols.md to standard output."""
import re
import sys

LINE = re.compile(r'SOCKTALLY_PROTOCOL\((\d+), \w+, "([^"]*)", (\w+), "([^"]*)", "([^"]*)"\)')

HEAD = """<!-- SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause -->
# Protocols

Made by `docs/protocols.py` from `include/socktally/protocols.def`: change that, not this.

A path names the layers of a packet, outermost first, as Wireshark's `frame.protocols` does. A layer is
on it if its fixed header is whole; the outermost one always is. A packet has one path of at most
14 layers; the walk takes at most 12 steps after the link layer, of which each label of an MPLS
stack after the first, each part of a GTP extension and each of Teredo's headers takes one too. What goes
deeper ends there. UDP's tunnels are recognised by the destination port; by the source port where the destination
port is neither known nor below 1024. What is not known ends the path
with its number, `eth:0x88b5` or `eth:ip:253`, which takes three of the 14 places (`number`, `type0` to
`type3` and two bytes of 7 bits each with the highest bit set). `dlt` is never printed: a link type that isn't
read is named as libpcap names it.

| name | kind | recognised by | source |
| --- | --- | --- | --- |
"""


def main():
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    with open(sys.argv[1], encoding="utf-8") as lines:
        rows = [LINE.match(line) for line in lines if line.startswith("SOCKTALLY_PROTOCOL(")]
    if not rows or not all(rows):
        print(f"{sys.argv[1]}: a line that isn't as the others", file=sys.stderr)
        return 1
    print(HEAD, end="")
    for row in rows:
        _, name, kind, recognised, source = row.groups()
        print(f"| {name} | {kind.lower()} | {recognised} | {source} |")
    return 0


sys.exit(main())
