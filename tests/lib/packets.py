#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""packets.py FILE OUT [pcap|pcapng]: packets written as text, made into bytes.

A packet is a list of layers, outermost first:

    eth(dst=ff:ff:ff:ff:ff:ff)/vlan(id=5)/ip(src=10.0.0.1,options=4)/udp(dport=53)/data(20)

Lengths, checksums and the fields that name the next protocol follow from the layers; every field
can be given, so that wrong packets can be made too. Each layer is a function of packet_layers.py or
packet_tunnels.py, and its parameters are the fields. A first argument without a name is the layer's
first field. A value is a number (7, 0x1f), an address (02:00:00:00:00:01, 10.0.0.1, fe80::1),
bytes (hex:00ff), a list (1+2+3) or a word.

At the end of a packet may stand
    data(20), data(hex:00ff)   bytes that no layer names
    pad(60)                    zeros up to this length
    trim(30)                   the packet ends here
    cut(30)                    the capture ends here, the packet goes on: captured length 30

A file has one packet a line. `#` starts a comment, `5 * eth/...` repeats the packet, and
`packet -> path` says how it is to be classified. The link type follows from the first layer (eth,
sll, sll2, null, loop, ppp, raw); a line `link=NAME` or `link=NUMBER` sets it for those below. A
pcap file has one link type, a pcapng file one interface for each.
OUT may be `-`. The format follows from OUT's ending, pcap where it says nothing.
"""
import collections
import inspect
import ipaddress
import re
import struct
import sys

LINKTYPE = {"null": 0, "eth": 1, "ppp": 9, "ppp_hdlc": 50, "raw": 101, "loop": 108, "sll": 113,
            "ipv4": 228, "ipv6": 229, "sll2": 276}
NOT_IN_PATH = {"data", "pad", "trim", "cut", "snap", "cw", "hdlc"}
ALIAS = {"ipv6.hopopts": "hopopts", "ipv6.routing": "routing", "ipv6.fraghdr": "fraghdr",
         "ipv6.dstopts": "dstopts", "lisp-data": "lisp_data"}
NAME_IN_PATH = {"sll2": "sll", "loop": "null", **{short: name for name, short in ALIAS.items()}}

LAYERS = {}                                   # name: the function that makes it
NUMBERS = collections.defaultdict(dict)       # "ethertype": {"ip": 0x0800, ...}

Packet = collections.namedtuple("Packet", "data length linktype path text")


class Error(ValueError):
    """Something in the text that can't be made into a packet."""


def layer(**numbers):
    """Registers a layer and its number in each number space: @layer(ethertype=0x0800)."""
    def register(function):
        LAYERS[function.__name__] = function
        for space, number in numbers.items():
            NUMBERS[space][function.__name__] = number
        return function
    return register


class Rest:
    """What a layer's function is given of the layers inside (already bytes) and around it."""
    def __init__(self, payload, inside, outside):
        self.payload = payload
        self.name, self.fields = inside[0] if inside else (None, {})
        self.outside = outside

    def number(self, space, default):
        """The next layer's number in this space."""
        return NUMBERS[space].get(self.name, default)

    def addresses(self):
        """Source and destination of the IP header around, for a pseudo header."""
        for name, fields in reversed(self.outside):
            if name in ("ip", "ipv6"):
                return fields["src"], fields["dst"]
        return b"", b""

    def inside_of(self, *names):
        """Whether the layer directly around is one of these."""
        return bool(self.outside) and self.outside[-1][0] in names


def checksum(data):
    """RFC 1071."""
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total > 0xffff:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def patch(data, offset, value, given=None):
    """data with a 16-bit field filled in: with what was given or else with value."""
    value = value if given is None else given
    return data[:offset] + struct.pack("!H", value & 0xffff) + data[offset + 2:]


def filler(length):
    return bytes(i & 0xff for i in range(length))


def padded(value, unit, fill=b"\0"):
    """A field of options: bytes as given, or so many of fill; rounded up to the unit."""
    data = fill * value if isinstance(value, int) else value
    return data + fill * (-len(data) % unit)


def value_of(text):
    """A value by its look."""
    if text.startswith("hex:"):
        return bytes.fromhex(text[4:])
    if "+" in text:
        return [value_of(part) for part in text.split("+") if part]
    if re.fullmatch(r"([0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}", text):
        return bytes.fromhex(text.replace(":", ""))
    if ":" in text or text.count(".") == 3:
        return ipaddress.ip_address(text).packed
    try:
        return int(text, 0)
    except ValueError:
        return text


def parse_layer(text):
    """'vlan(id=5)': ('vlan', {all fields, given and default})."""
    match = re.fullmatch(r"([a-z][\w.-]*)(?:\((.*)\))?", text)
    name = match and ALIAS.get(match[1], match[1])
    if name not in LAYERS:
        raise Error(f"{text}: no such layer")
    parameters = list(inspect.signature(LAYERS[name]).parameters.values())[1:]
    fields = {parameter.name: parameter.default for parameter in parameters}
    for position, item in enumerate(filter(None, (match[2] or "").split(","))):
        key, equals, value = item.strip().partition("=")
        if not equals:
            key, value = (parameters[0].name if parameters and position == 0 else None), key
        if key not in fields:
            raise Error(f"{text}: {name} has no field {item!r} (it has {', '.join(fields)})")
        try:
            fields[key] = value_of(value)
        except ValueError as error:
            raise Error(f"{text}: {error}") from error
    return name, fields


def parse(text):
    return [parse_layer(part.strip()) for part in text.split("/")]


def build(text, linktype=None):
    """The packet that the text describes."""
    text, _, path = (part.strip() for part in text.partition("->"))
    layers = parse(text)
    data, length = b"", None
    ends = [item for item in layers if item[0] in ("pad", "trim", "cut")]
    stack = [item for item in layers if item not in ends]
    for i in range(len(stack) - 1, -1, -1):
        name, fields = stack[i]
        data = LAYERS[name](Rest(data, stack[i + 1:], stack[:i]), **fields)
    for name, fields in ends:
        if name == "cut":
            length = len(data)
        data = data.ljust(fields["n"], b"\0") if name == "pad" else data[:fields["n"]]
    if linktype is None:
        linktype = LINKTYPE.get(stack[0][0] if stack else "", LINKTYPE["raw"])
    return Packet(data, len(data) if length is None else length, linktype, path or path_of(stack),
                  text)


def frame(text):
    """Only the bytes."""
    return build(text).data


def path_of(layers):
    """The path as the layers are written."""
    return ":".join(NAME_IN_PATH.get(name, name) for name, _ in layers if name not in NOT_IN_PATH)


def read(lines):
    """The packets of a text file."""
    linktype = None
    for number, line in enumerate(lines, 1):
        line = line.partition("#")[0].strip()
        if not line:
            continue
        if line.startswith("link="):
            name = line[5:].strip()
            linktype = None if name == "auto" else LINKTYPE.get(name)
            if linktype is None and name != "auto":
                linktype = int(name, 0)
            continue
        match = re.match(r"(\d+) *\* *", line)
        try:
            packet = build(line[match.end() if match else 0:], linktype)
        except (Error, struct.error, TypeError) as error:
            raise Error(f"line {number}: {error}") from error
        yield from [packet] * (int(match[1]) if match else 1)


def pcap(packets, start=1_700_000_000):
    """A pcap file, a packet every millisecond."""
    linktypes = {packet.linktype for packet in packets}
    if len(linktypes) > 1:
        raise Error(f"a pcap file has one link type, here are {sorted(linktypes)}: use pcapng")
    linktype = linktypes.pop() if linktypes else LINKTYPE["eth"]
    out = [struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 262144, linktype)]
    for i, packet in enumerate(packets):
        out.append(struct.pack("<IIII", start + i // 1000, i % 1000 * 1000, len(packet.data),
                               packet.length) + packet.data)
    return b"".join(out)


def block(kind, body):
    body += bytes(-len(body) % 4)
    return struct.pack("<II", kind, len(body) + 12) + body + struct.pack("<I", len(body) + 12)


def pcapng(packets, start=1_700_000_000):
    """A pcapng file with an interface for each link type."""
    out = [block(0x0a0d0d0a, struct.pack("<IHHq", 0x1a2b3c4d, 1, 0, -1))]
    interfaces = {}
    for i, packet in enumerate(packets):
        if packet.linktype not in interfaces:
            interfaces[packet.linktype] = len(interfaces)
            out.append(block(1, struct.pack("<HHI", packet.linktype, 0, 262144)))
        stamp = start * 1_000_000 + i * 1000
        out.append(block(6, struct.pack("<IIIII", interfaces[packet.linktype], stamp >> 32,
                                        stamp & 0xffffffff, len(packet.data), packet.length) +
                         packet.data))
    return b"".join(out)


def main(arguments):
    if len(arguments) not in (2, 3) or arguments[0] in ("-h", "--help"):
        print(__doc__, file=sys.stderr)
        return 2
    source, target = arguments[:2]
    kind = arguments[2] if len(arguments) == 3 else "pcapng" if target.endswith("ng") else "pcap"
    try:
        with open(source, encoding="utf-8") if source != "-" else sys.stdin as lines:
            data = {"pcap": pcap, "pcapng": pcapng}[kind](list(read(lines)))
        with open(target, "wb") if target != "-" else sys.stdout.buffer as out:
            out.write(data)
    except (Error, OSError, KeyError) as error:
        print(f"packets.py: {source}: {error}", file=sys.stderr)
        return 1
    return 0


# One module, also when this file is the program: the layers register themselves in it.
sys.modules.setdefault("packets", sys.modules[__name__])
import packet_layers  # noqa: E402,F401 pylint: disable=wrong-import-position,unused-import
import packet_tunnels  # noqa: E402,F401 pylint: disable=wrong-import-position,unused-import

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
