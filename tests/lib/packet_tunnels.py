# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The layers of packets.py that carry other packets: labels, PPP and tunnels."""
import struct

from packet_layers import HERE, HERE4, THERE, either, ethertype
from packets import checksum, layer, patch

GPE_NEXT = {"ip": 1, "ipv6": 2, "eth": 3, "nsh": 4, "mpls": 5}


@layer(ethertype=0x8847, ipproto=137, ppp=0x0281, nsh=5, udp=6635)
def mpls(p, label=16, tc=0, bottom=None, ttl=64):
    bottom = either(bottom, 0 if p.name == "mpls" else 1)
    return struct.pack("!I", label << 12 | tc << 9 | bottom << 8 | ttl) + p.payload


@layer()
def cw(p, word=0):
    """The control word of a pseudowire."""
    return struct.pack("!I", word) + p.payload


@layer(ethertype=0x8863)
def pppoed(p, code=9, session=0, length=None):
    body = struct.pack("!HH", 0x0101, 0) + p.payload
    return struct.pack("!BBHH", 0x11, code, session, either(length, len(body))) + body


@layer(ethertype=0x8864)
def pppoes(p, session=1, code=0, length=None):
    return struct.pack("!BBHH", 0x11, code, session, either(length, len(p.payload))) + p.payload


@layer()
def ppp(p, protocol=None, hdlc=0, short=0):
    """hdlc: with address and control bytes before; short: a protocol field of one byte."""
    protocol = either(protocol, p.number("ppp", 0xc021))
    return (b"\xff\x03" if hdlc else b"") + (
        bytes([protocol]) if short else struct.pack("!H", protocol)) + p.payload


@layer(ipproto=47)
def gre(p, type=None, key=None, csum=None, seq=None, version=None, ack=None, routing=0):
    """csum: 1 for a right one. Version 1 (of PPTP) carries PPP."""
    if seq is None and p.name == "erspan" and p.fields["version"] > 1:
        seq = 1
    if either(version, 1 if p.name == "ppp" else 0) == 1:
        return gre_pptp(p, type, either(key, 1), seq, ack)
    flags = (csum is not None) << 15 | routing << 14 | (key is not None) << 13 | (
        seq is not None) << 12 | either(version, 0)
    header = struct.pack("!HH", flags, ethertype(p, type))
    header += bytes(4) if csum is not None or routing else b""
    header += struct.pack("!I", key) if key is not None else b""
    header += struct.pack("!I", seq) if seq is not None else b""
    packet = header + p.payload
    if csum is None:
        return packet
    return patch(packet, 4, checksum(packet), None if csum == 1 else csum)


def gre_pptp(p, type, call, seq, ack):
    flags = 0x2001 | (seq is not None) << 12 | (ack is not None) << 7
    header = struct.pack("!HHHH", flags, either(type, 0x880b), len(p.payload), call)
    header += struct.pack("!I", seq) if seq is not None else b""
    header += struct.pack("!I", ack) if ack is not None else b""
    return header + p.payload


@layer()
def erspan(p, version=2, vlan=1, session=1, platform=0, frame=0):
    """version 1 has no header of its own. platform: version 3 with its 8-byte subheader. frame: the
    type of what version 3 carries, 0 is Ethernet."""
    if version == 1:
        return p.payload
    first = struct.pack("!HH", (version - 1) << 12 | vlan, session)
    if version == 2:
        return first + struct.pack("!I", 1) + p.payload
    word = struct.pack("!IHH", 1, 0, frame << 10 | bool(platform))
    return first + word + (struct.pack("!II", platform << 26, 0) if platform else b"") + p.payload


@layer(udp=4789)
def vxlan(p, vni=1, flags=None, gpe=0, next=None):
    """gpe: the generic extension, which names what is inside; its port is 4790."""
    if gpe:
        next = either(next, GPE_NEXT.get(p.name, 3))
    flags = either(flags, 0x0c if gpe else 0x08)
    return struct.pack("!BHB", flags, 0, either(next, 0)) + struct.pack("!I", vni << 8) + p.payload


@layer(udp=6081)
def geneve(p, vni=1, options=0, type=None, version=0, oam=0):
    """options: so many bytes of them, in multiples of 4."""
    data = b""
    while len(data) < options:
        part = min(options - len(data), 128)
        data += struct.pack("!HBB", 0x0103, 1, part // 4 - 1) + bytes(part - 4)
    return struct.pack("!BBHI", version << 6 | len(data) // 4, oam << 7, ethertype(p, type),
                       vni << 8) + data + p.payload


@layer(udp=2152)
def gtp(p, teid=1, type=255, seq=None, npdu=None, ext=(), length=None, version=1):
    """ext: the types of extension headers, as in ext=0x85+0x40; each is 4 bytes long."""
    kinds = [ext] if isinstance(ext, int) else list(ext)
    flags = version << 5 | 0x10 | bool(kinds) << 2 | (seq is not None) << 1 | (npdu is not None)
    optional = b""
    if flags & 7:
        optional = struct.pack("!HBB", either(seq, 0), either(npdu, 0), kinds[0] if kinds else 0)
        for following in kinds[1:] + [0] if kinds else []:
            optional += bytes([1, 0, 0, following])
    return struct.pack("!BBHI", flags, type, either(length, len(optional) + len(p.payload)),
                       teid) + optional + p.payload


@layer(udp=3544)
def teredo(p, auth=0, origin=0):
    """With the authentication and origin indications of RFC 4380, if wanted."""
    out = struct.pack("!BBBB8sB", 0, 1, 0, 0, bytes(8), 0) if auth else b""
    out += struct.pack("!BBHI", 0, 0, 0xffff - 40000, int.from_bytes(HERE4, "big") ^ 0xffffffff
                       ) if origin else b""
    return out + p.payload


@layer(ethertype=0x894f)
def nsh(p, md=1, next=None, spi=1, si=255, length=None, ttl=63, metadata=16):
    """md 1 has 16 bytes of metadata, md 2 as many as wanted, in multiples of 4."""
    metadata = 16 if md == 1 else metadata
    length = either(length, 2 + metadata // 4)
    next = either(next, 4 if p.name == "nsh" else p.number("nsh", 3))
    return struct.pack("!HBBI", ttl << 6 | length, md, next, spi << 8 | si) + bytes(metadata
                                                                                    ) + p.payload


@layer(udp=1701, ipproto=115)
def l2tp(p, version=None, tunnel=1, session=1, length=1, seq=0, offset=None, control=0, cookie=0):
    """Version 2 over UDP, version 3 directly over IP, where session 0 is a control message."""
    if either(version, 2 if p.inside_of("udp") else 3) == 3:
        return l2tp3(p, session, cookie, control)
    flags = control << 15 | length << 14 | seq << 11 | (offset is not None) << 9 | 2
    tail = struct.pack("!HH", tunnel, session)
    tail += struct.pack("!HH", 1, 0) if seq else b""
    tail += struct.pack("!H", offset) + bytes(offset) if offset is not None else b""
    if length:
        tail = struct.pack("!H", 4 + len(tail) + len(p.payload)) + tail
    return struct.pack("!H", flags) + tail + p.payload


def l2tp3(p, session, cookie, control):
    if p.inside_of("udp"):
        head = struct.pack("!HHI", control << 15 | 3, 0, session)
    else:
        head = struct.pack("!I", session)
    return head + bytes(cookie) + p.payload


# Tags

@layer(ethertype=0x8926)
def vntag(p, tag=1, type=None):
    return struct.pack("!IH", tag, ethertype(p, type)) + p.payload


@layer(ethertype=0x893f)
def etag(p, tag=1, type=None):
    return struct.pack("!IHH", tag, 0, ethertype(p, type)) + p.payload


@layer(ethertype=0x88e7)
def ieee8021ah(p, isid=1, type=None):
    return struct.pack("!I", isid) + THERE + HERE + struct.pack("!H", ethertype(p, type)) + p.payload


@layer(ethertype=0x8909)
def cmd(p, tag=5, type=None):
    return struct.pack("!BBHHH", 1, 1, 1, tag, ethertype(p, type)) + p.payload


@layer(ethertype=0x892f)
def hsr(p, seq=1, type=None):
    return struct.pack("!HHH", len(p.payload) + 6 & 0xfff, seq, ethertype(p, type)) + p.payload


@layer(ethertype=0x88e5)
def macsec(p, encrypted=0, sci=0, type=None):
    inside = p.payload if encrypted else struct.pack("!H", ethertype(p, type)) + p.payload
    head = struct.pack("!BBI", bool(sci) << 5 | (0x0c if encrypted else 0), 0, 1)
    return head + (struct.pack("!Q", sci) if sci else b"") + inside + bytes(16)


@layer(ethertype=0x8903)
def cfp(p, ftag=1, ttl=32):
    return struct.pack("!H", ftag << 6 | ttl) + p.payload


@layer(ethertype=0x22f3)
def trill(p, options=0, hops=63):
    return struct.pack("!HHH", options // 4 << 6 | hops, 1, 2) + bytes(options) + p.payload


# Tunnels

@layer(ipproto=97)
def etherip(p):
    return b"\x30\0" + p.payload


@layer(udp=4341)
def lisp_data(p):
    return struct.pack("!II", 0x80000000, 1) + p.payload


@layer(udp=5072)
def ayiya(p):
    return struct.pack("!BBBBI", 0x44, 0x52, 0x11, p.number("ipproto", 41), 0) + bytes(16 + 20) + p.payload
