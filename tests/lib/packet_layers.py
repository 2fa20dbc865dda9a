# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The layers of packets.py: link, network, transport, routing protocols. One function a layer; its
parameters are the fields, None where the value follows from the other layers."""
import struct

from packets import checksum, filler, layer, padded, patch

HERE, THERE = bytes.fromhex("020000000001"), bytes.fromhex("020000000002")
HERE4, THERE4 = bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2])
HERE6 = bytes.fromhex("fd000000000000000000000000000001")
THERE6 = bytes.fromhex("fd000000000000000000000000000002")
ETH_P_802_2 = 4  # the cooked header's word for "a length stood here"
TCP_FLAGS = "FSRPAUEC"


def either(given, otherwise):
    return otherwise if given is None else given


# What ends a packet

@layer()
def data(p, n=0):
    return (filler(n) if isinstance(n, int) else n) + p.payload


@layer()
def pad(p, n=60):
    return p.payload


@layer()
def trim(p, n=0):
    return p.payload


@layer()
def cut(p, n=0):
    return p.payload


# Link layer

def ethertype(p, given):
    """What stands in a type field; before LLC, the length."""
    if given is not None:
        return given
    if p.name == "llc":
        return len(p.payload)
    if p.name == "erspan":
        return 0x22eb if p.fields["version"] == 3 else 0x88be
    return p.number("ethertype", 0x88b5)  # the local experimental type


@layer(ethertype=0x6558, ipproto=143, nsh=3)
def eth(p, src=HERE, dst=THERE, type=None):
    return dst + src + struct.pack("!H", ethertype(p, type)) + p.payload


@layer()
def sll(p, kind=0, hatype=1, addr=HERE, protocol=None):
    protocol = either(protocol, ETH_P_802_2 if p.name == "llc" else ethertype(p, None))
    return struct.pack("!HHH8sH", kind, hatype, len(addr), addr, protocol) + p.payload


@layer()
def sll2(p, kind=0, hatype=1, ifindex=1, addr=HERE, protocol=None):
    protocol = either(protocol, ETH_P_802_2 if p.name == "llc" else ethertype(p, None))
    return struct.pack("!HHIHBB8s", protocol, 0, ifindex, hatype, kind, len(addr), addr) + p.payload


def family_of(p, family):
    """As BSD numbers them; IPv6 has a number for each of them, this is Darwin's."""
    return either(family, {"ip": 2, "ipv6": 30}.get(p.name, 0))


@layer()
def null(p, family=None, big=0):
    return struct.pack(">I" if big else "<I", family_of(p, family)) + p.payload


@layer()
def loop(p, family=None):
    return struct.pack("!I", family_of(p, family)) + p.payload


@layer()
def raw(p):
    return p.payload


@layer(ethertype=0x8100)
def vlan(p, id=1, pcp=0, dei=0, type=None):
    return struct.pack("!HH", pcp << 13 | dei << 12 | id, ethertype(p, type)) + p.payload


@layer(ethertype=0x88a8)
def ieee8021ad(p, id=1, pcp=0, dei=0, type=None):
    return struct.pack("!HH", pcp << 13 | dei << 12 | id, ethertype(p, type)) + p.payload


@layer()
def llc(p, dsap=None, ssap=None, control=3):
    sap = {"stp": 0x42, "snap": 0xaa, "ip": 0x06}.get(p.name, 0xf0)
    control = bytes([control]) if control < 256 else struct.pack("!H", control)
    return bytes([either(dsap, sap), either(ssap, sap)]) + control + p.payload


@layer()
def snap(p, oui=0, pid=None):
    return oui.to_bytes(3, "big") + struct.pack("!H", ethertype(p, pid)) + p.payload


@layer()
def stp(p, version=0, kind=0):
    bridge = b"\x80\0" + HERE
    return (struct.pack("!HBBB8sI8sHHHHH", 0, version, kind, 0, bridge, 0, bridge, 0x8001, 0,
                        20 << 8, 2 << 8, 15 << 8) + (b"\0" if version >= 2 else b"") + p.payload)


@layer(ethertype=0x88cc)
def lldp(p, ttl=120):
    tlvs = [(1, b"\x04" + HERE), (2, b"\x05eth0"), (3, struct.pack("!H", ttl)), (0, b"")]
    return b"".join(struct.pack("!H", kind << 9 | len(body)) + body
                    for kind, body in tlvs) + p.payload


@layer(ethertype=0x888e)
def eapol(p, version=2, type=1, length=None):
    return struct.pack("!BBH", version, type, either(length, len(p.payload))) + p.payload


@layer(ethertype=0x0806)
def arp(p, op=1, sha=HERE, spa=HERE4, tha=bytes(6), tpa=THERE4, hrd=1, pro=0x0800):
    return (struct.pack("!HHBBH", hrd, pro, len(sha), len(spa), op) + sha + spa + tha + tpa +
            p.payload)


# Network layer

@layer(ethertype=0x0800, ipproto=4, ppp=0x0021, nsh=1)
def ip(p, src=HERE4, dst=THERE4, options=0, tos=0, id=0, frag=0, mf=0, df=0, ttl=64, proto=None,
       version=4, ihl=None, length=None, csum=None):
    """frag: offset in units of 8 bytes."""
    options = padded(options, 4, b"\x01")
    size = 20 + len(options)
    header = struct.pack("!BBHHHBBH", version << 4 | either(ihl, size // 4), tos,
                         either(length, size + len(p.payload)) & 0xffff, id,
                         df << 14 | mf << 13 | frag, ttl, either(proto, p.number("ipproto", 253)),
                         0) + src + dst + options
    return patch(header, 10, checksum(header), csum) + p.payload


@layer(ethertype=0x86dd, ipproto=41, ppp=0x0057, nsh=2)
def ipv6(p, src=HERE6, dst=THERE6, tc=0, flow=0, hlim=64, next=None, version=6, length=None):
    return struct.pack("!IHBB", version << 28 | tc << 20 | flow, either(length, len(p.payload)),
                       either(next, p.number("ipproto", 253)), hlim) + src + dst + p.payload


def extension(p, next, body, length):
    """An extension header: its length in units of 8 bytes beyond the first 8."""
    body += bytes(-(len(body) + 2) % 8)
    return bytes([either(next, p.number("ipproto", 253)),
                  either(length, (len(body) + 2) // 8 - 1)]) + body + p.payload


def pad_options(size):
    """PadN options of so many bytes."""
    out = b""
    while size > 0:
        part = min(size, 257)
        out += b"\0" if part == 1 else bytes([1, part - 2]) + bytes(part - 2)
        size -= part
    return out


@layer(ipproto=0)
def hopopts(p, size=6, next=None, length=None):
    return extension(p, next, pad_options(size), length)


@layer(ipproto=60)
def dstopts(p, size=6, next=None, length=None):
    return extension(p, next, pad_options(size), length)


@layer(ipproto=43)
def routing(p, type=4, left=0, segments=1, next=None, length=None):
    """type 4: a segment routing header."""
    last = max(segments - 1, 0) if type == 4 else 0
    body = struct.pack("!BBBBH", type, left, last, 0, 0) + THERE6 * segments
    return extension(p, next, body, length)


@layer(ipproto=44)
def fraghdr(p, offset=0, more=0, id=1, next=None):
    return struct.pack("!BBHI", either(next, p.number("ipproto", 253)), 0, offset << 3 | more,
                       id) + p.payload


@layer(ipproto=51)
def ah(p, spi=1, seq=1, icv=12, next=None, length=None):
    return struct.pack("!BBHII", either(next, p.number("ipproto", 253)),
                       either(length, (12 + icv) // 4 - 2), 0, spi, seq) + bytes(icv) + p.payload


@layer(ipproto=50)
def esp(p, spi=1, seq=1):
    return struct.pack("!II", spi, seq) + p.payload


@layer(ipproto=108)
def ipcomp(p, next=None, cpi=2):
    return struct.pack("!BBH", either(next, p.number("ipproto", 6)), 0, cpi) + p.payload


# Transport layer

def pseudo(p, protocol, length):
    src, dst = p.addresses()
    if len(src) == 4:
        return src + dst + struct.pack("!HH", protocol, length)
    return src + dst + struct.pack("!II", length, protocol)


@layer(ipproto=1)
def icmp(p, type=8, code=0, rest=1, csum=None):
    message = struct.pack("!BBHI", type, code, 0, rest) + p.payload
    return patch(message, 2, checksum(message), csum)


@layer(ipproto=58)
def icmpv6(p, type=128, code=0, rest=1, csum=None):
    message = struct.pack("!BBHI", type, code, 0, rest) + p.payload
    return patch(message, 2, checksum(pseudo(p, 58, len(message)) + message), csum)


@layer(ipproto=2)
def igmp(p, type=0x16, code=0, group=bytes([239, 1, 1, 1]), csum=None):
    message = struct.pack("!BBH", type, code, 0) + group + p.payload
    return patch(message, 2, checksum(message), csum)


@layer(ipproto=6)
def tcp(p, sport=40000, dport=9, seq=1, ack=1, flags="A", window=1024, urgent=0, options=0,
        doff=None, csum=None):
    if isinstance(flags, str):
        flags = sum(1 << TCP_FLAGS.index(letter) for letter in flags)
    options = padded(options, 4, b"\x01")
    segment = struct.pack("!HHIIBBHHH", sport, dport, seq, ack,
                          either(doff, 5 + len(options) // 4) << 4, flags, window, 0,
                          urgent) + options + p.payload
    return patch(segment, 16, checksum(pseudo(p, 6, len(segment)) + segment), csum)


@layer(ipproto=17)
def udp(p, sport=40000, dport=None, length=None, csum=None):
    datagram = struct.pack("!HHHH", sport, either(dport, p.number("udp", 9)),
                           either(length, 8 + len(p.payload)) & 0xffff, 0) + p.payload
    return patch(datagram, 6, checksum(pseudo(p, 17, len(datagram)) + datagram) or 0xffff, csum)


@layer(ipproto=136)
def udplite(p, sport=40000, dport=9, coverage=8, csum=None):
    datagram = struct.pack("!HHHH", sport, dport, coverage, 0) + p.payload
    covered = datagram[:coverage] if coverage else datagram
    return patch(datagram, 6, checksum(pseudo(p, 136, len(datagram)) + covered) or 0xffff, csum)


def crc32c(data):
    """RFC 9260, appendix A."""
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return ~crc & 0xffffffff


@layer(ipproto=132)
def sctp(p, sport=40000, dport=9, tag=1, kind=0, csum=None):
    """One chunk, DATA unless kind says otherwise, with what follows as its content."""
    body = struct.pack("!IHHI", 1, 0, 0, 0) + p.payload if kind == 0 else p.payload
    chunk = struct.pack("!BBH", kind, 3, 4 + len(body)) + body + bytes(-len(body) % 4)
    head = struct.pack("!HHI", sport, dport, tag)
    return head + struct.pack("<I", either(csum, crc32c(head + bytes(4) + chunk))) + chunk


@layer(ipproto=33)
def dccp(p, sport=40000, dport=9, type=2, seq=1, doff=None, csum=None):
    """DATA with a 48-bit sequence number."""
    packet = struct.pack("!HHBBHBBHI", sport, dport, either(doff, 4), 0, 0, type << 1 | 1, 0, 0,
                         seq) + p.payload
    return patch(packet, 6, checksum(pseudo(p, 33, len(packet)) + packet), csum)


# Routing protocols

@layer(ipproto=89)
def ospf(p, version=None, type=1, length=None, csum=None):
    """A hello."""
    version = either(version, 3 if p.inside_of("ipv6") or len(p.addresses()[0]) == 16 else 2)
    if version == 2:
        hello = struct.pack("!IHBBIII", 0xffffff00, 10, 2, 1, 40, 0, 0)
        tail = bytes(8)
    else:
        hello = struct.pack("!IIHHII", 1, 1 << 24 | 0x13, 10, 40, 0, 0)
        tail = b""
    body = hello + p.payload
    size = 16 + len(tail) + len(body)
    head = struct.pack("!BBHIIHH", version, type, either(length, size), 1, 0, 0, 0)
    if version == 2:
        return patch(head, 12, checksum(head + body), csum) + tail + body
    message = head + body
    return patch(message, 12, checksum(pseudo(p, 89, len(message)) + message), csum)


@layer(ipproto=88)
def eigrp(p, opcode=5, csum=None):
    message = struct.pack("!BBHIIIHH", 2, opcode, 0, 0, 0, 0, 0, 1) + (
        p.payload or bytes.fromhex("0001000c010001000000000f"))
    return patch(message, 2, checksum(message), csum)


@layer(ipproto=103)
def pim(p, type=0, csum=None):
    """A hello; type 1 is a register, which carries a packet."""
    body = struct.pack("!I", 0) if type == 1 else struct.pack("!HHH", 1, 2, 105) if type == 0 else b""
    message = struct.pack("!BBH", 0x20 | type, 0, 0) + body + p.payload
    covered = message[:8] if type == 1 else message
    if len(p.addresses()[0]) == 16:
        covered = pseudo(p, 103, len(message)) + covered
    return patch(message, 2, checksum(covered), csum)


@layer(ipproto=112)
def vrrp(p, version=None, csum=None):
    wide = len(p.addresses()[0]) == 16
    version = either(version, 3 if wide else 2)
    address = HERE6 if wide else HERE4
    message = struct.pack("!BBBBBBH", version << 4 | 1, 1, 100, 1, 0, 1 if version == 2 else 100,
                          0) + address + (bytes(8) if version == 2 else b"") + p.payload
    covered = pseudo(p, 112, len(message)) + message if version == 3 else message
    return patch(message, 6, checksum(covered), csum)


@layer(ipproto=46)
def rsvp(p, type=1, csum=None):
    """A path message with its session object."""
    body = struct.pack("!HBB4sBBH", 12, 1, 1, THERE4, 17, 0, 9) + p.payload
    message = struct.pack("!BBHBBH", 0x10, type, 0, 64, 0, 8 + len(body)) + body
    return patch(message, 2, checksum(message), csum)
