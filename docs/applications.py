#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""applications.py APPLICATIONS.DEF: writes docs/applications.md to standard output."""
import collections
import re
import sys

STRING = r'"((?:[^"\\]|\\.)*)"'
APPLICATION = re.compile(rf'SOCKTALLY_APPLICATION\(\d+, (\w+), {STRING}, (\w+), {STRING}, (.*), {STRING}, {STRING}\)$')
EVIDENCE = re.compile(rf'SOCKTALLY_EVIDENCE\((\w+), (\w+), {STRING}, (.*), {STRING}\)$')
NAMED = re.compile(rf'SOCKTALLY_NAMED\((\w+), \w+, (\w+), {STRING}, (.*), {STRING}\)$')
HINT = re.compile(rf'SOCKTALLY_HINT\((\w+), (\w+), {STRING}, (.*), [^,]+(?:\([^)]*\))?, {STRING}\)$')
TRANSPORTS = {"TCP": "tcp", "UDP": "udp", "BOTH": "tcp, udp"}

HEAD = """<!-- SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause -->
# Applications

Made by `docs/applications.py` from `include/socktally/applications.def`: change that, not this.

A path ends with the application of the packet's flow, `eth:ip:tcp:tls`, once something that the flow has carried is evidence
of it. The name is Wireshark's. What came before the evidence, and what is never recognised, ends with the transport. A port
alone is never evidence.

## What this can't do
- **A flow that is met in its middle.** The evidence of most protocols is in the first packets of a flow. Of one whose
  beginning isn't there, only what can be told from any of its packets is recognised: TLS by its records, for example, but not SSH.
- **What is behind the first three packets with payload of each side** is not looked at, and of a packet the first 64 bytes.
- **One direction only.** Where one side's words are those of several protocols (`220 ready` is FTP or SMTP, `+OK` is POP or
  Redis) the other side's are needed. These are marked below.
- **What is inside.** Of TLS, QUIC, SSH, WireGuard and other encrypted protocols nothing but that it is they: neither which
  protocol is inside, nor the server's name (which may be encrypted as well: RFC 9849).
- **Segments are not put together.** A TCP payload is looked at as it comes. A message that begins in one segment and has its
  evidence in the next, or that is sent a byte at a time, is not recognised.
- **A second protocol in the same flow**: after STARTTLS, a proxy's header or a SOCKS answer the flow keeps its first name. What STUN
  has opened the way for (DTLS, RTP), and WebSocket, take over if they are among the packets that are looked at.
- **What only looks like it.** Who wants to be taken for something else can be: evidence is what a document says the bytes
  are, and anybody can send them.

## How the evidence is written
`bytes` are the payload's first: `16` this byte, `00-04` and `01|02` one of several, `10&f0` with the mask f0, `.` any byte,
`*8` any eight, `'text'`, `~text~` in upper or lower case, `$` the payload's end. `and` is what has to be true besides:
LENGTH is the payload's length, BE16(3) the number in two bytes at 3, the highest first, LE32 the lowest first, PORT, TO and FROM
are ports, AFTER, AGAIN and REPLY ask for an earlier packet of the flow, of anyone, the same side, the other side. Functions
(`st_...`) are in `bpf/apps/`.

"""


def code(text):
    return "`` " + text.replace("|", "\\|") + " ``" if "`" in text else "`" + text.replace("|", "\\|") + "`"


def row(transport, pattern, condition, source):
    needs = "" if condition == "1" else code(condition)
    return f"| {TRANSPORTS[transport]} | {code(pattern)} | {needs} | {source} |"


def main():
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    names, notes, rows = {}, {}, collections.OrderedDict()
    hints = []
    with open(sys.argv[1], encoding="utf-8") as lines:
        for line in map(str.strip, lines):
            if match := APPLICATION.match(line):
                symbol, names[match[1]], *evidence, notes[match[1]] = match.groups()
                rows.setdefault(symbol, []).append(row(*evidence))
            elif match := EVIDENCE.match(line) or NAMED.match(line):
                rows.setdefault(match[1], []).append(row(*match.groups()[1:]))
            elif match := HINT.match(line):
                hints.append(f"| {match[1]} " + row(*match.groups()[1:]))
            elif line.startswith("SOCKTALLY_"):
                print(f"{sys.argv[1]}: {line}: isn't as the others", file=sys.stderr)
                return 1
    print(HEAD, end="")
    print(f"## The {len(names)} applications")
    for symbol in sorted(rows, key=lambda symbol: names.get(symbol, symbol.lower())):
        print(f"\n### {names.get(symbol, symbol.lower())}")
        if notes.get(symbol):
            print(f"{notes[symbol]}\n")
        print("| over | bytes | and | source |\n| --- | --- | --- | --- |")
        print("\n".join(rows[symbol]))
    print("\n## Words that are no evidence yet\n")
    print("| word | over | bytes | and | source |\n| --- | --- | --- | --- | --- |")
    print("\n".join(hints))
    return 0


sys.exit(main())
