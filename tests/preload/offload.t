#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""With segmentation and receive offload a socket sees few large packets where many small ones were
meant: both numbers are counted, and exactly."""
import collections
import fcntl
import os
import socket
import struct
import subprocess
import threading

import live
import netns
import packets
import tap

UDP_SEGMENT = 103
NEAR, FAR = "10.9.0.1", "10.9.0.2"
ACTIONS = "tx-udp-segmentation", "tso", "gso", "gro", "tx"


def addresses(net):
    """IPv4 on both ends, with no ARP to ask."""
    for interface, own, other, there in (("near", NEAR, FAR, net.far), ("far", FAR, NEAR, net.near)):
        with net.inside(there):
            mac = link_address("far" if interface == "near" else "near")
        with net.inside(net.near if interface == "near" else net.far):
            netns.run("ip", "address", "add", f"{own}/24", "dev", interface)
            netns.run("ip", "neighbour", "add", other, "lladdr", mac, "dev", interface)


def link_address(interface):
    words = subprocess.run(["ip", "link", "show", interface], capture_output=True, text=True,
                           check=True).stdout.split()
    return words[words.index("link/ether") + 1]


def offload(net, state):
    for interface, namespace in (("near", net.near), ("far", net.far)):
        with net.inside(namespace):
            for action in ACTIONS:
                subprocess.run(["ethtool", "-K", interface, action, state], capture_output=True,
                               check=False)


def bulk(net, size=3_000_000):
    """A TCP stream from far to near."""
    listener = socket.create_server((NEAR, 0))
    with net.inside(net.far):
        sender = socket.socket()
    thread = threading.Thread(target=read_all, args=(listener,))
    thread.start()
    sender.connect(listener.getsockname())
    sender.sendall(bytes(size))
    sender.close()
    thread.join()
    listener.close()


def read_all(listener):
    connection, _ = listener.accept()
    while connection.recv(1 << 20):
        pass
    connection.close()


def by_file(capture):
    """What the capture file says: {(path, direction): [packets, segments, bytes]}. A frame's payload
    is so many segments of at most what fits an MTU of 1500."""
    table = collections.defaultdict(lambda: [0, 0, 0])
    for _, _, length, data in live.records(capture):
        header = 20 + (data[46] >> 4) * 4
        payload = struct.unpack_from("!H", data, 16)[0] or length - 14  # a jumbo has 0 there
        payload -= header
        direction = "out" if data[26:30] == socket.inet_aton(NEAR) else "in"
        row = table["eth:ip:tcp", direction]
        row[0] += 1
        row[1] += max(1, -(-payload // (1500 - header)))
        row[2] += length
    return dict(table)


def counted(report):
    return {(row["path"], row["direction"]): [row["packets"], row["segments"], row["bytes"]]
            for row in report["paths"]}


def stream(net, state):
    offload(net, state)
    tool = live.Tool(["tcpdump", "-ni", "near", "-B", "65536", "-w", "file", "tcp"])
    bulk(net)
    live.settle([tool])
    tap.same(tool.stop(), 0, f"TCP, offload {state}: exit status")
    want, have = by_file(tool.read("file")), counted(tool.report())
    tap.same(have, want, f"TCP, offload {state}: packets, segments and bytes as in the capture file")
    packets, segments, size = have.get(("eth:ip:tcp", "in"), [0, 0, 0])
    if state == "on":
        tap.ok(segments > 2 * packets, f"TCP, offload on: {segments} segments in {packets} packets")
    else:
        tap.ok(segments == packets and segments > 3_000_000 / 1460,
               f"TCP, offload off: {segments} segments in {packets} packets")


def datagrams(net, state, count=200):
    """Ten datagrams with one call, each of 1,000 bytes."""
    offload(net, state)
    with net.inside(net.far):
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sender.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, 1000)
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.bind((NEAR, 9999))
    tool = live.Tool(["tcpdump", "-ni", "near", "-w", os.devnull])
    for _ in range(count):
        sender.sendto(bytes(10_000), (NEAR, 9999))
    tap.same(tool.stop(), 0, f"UDP, offload {state}: exit status")
    want = [count, 10 * count, count * 10_042] if state == "on" else [
        10 * count, 10 * count, 10 * count * 1042]
    tap.same(counted(tool.report()), {("eth:ip:udp", "in"): want},
             f"UDP, offload {state}: packets, segments, bytes")
    receiver.close()


IFF_TAP, IFF_NO_PI, IFF_VNET_HDR, TUNSETIFF = 0x0002, 0x1000, 0x4000, 0x400454ca
NEEDS_CSUM, GSO_TCPV4, GSO_TCPV6, GSO_UDP_L4 = 1, 1, 4, 5


def from_device(*options):
    """What a virtual machine sends: GSO packets of which only the size of a segment is said."""
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", b"virtio0", IFF_TAP | IFF_NO_PI | IFF_VNET_HDR))
    netns.run("ip", "link", "set", "virtio0", "up")
    tool = live.Tool(["tcpdump", "-ni", "virtio0", "-w", os.devnull], options=options)
    kinds = [("eth/ip/tcp(options=12)/data(14480)", GSO_TCPV4, 1448, 66, 16, 10),
             ("eth/ip/tcp(options=12)/data(14481)", GSO_TCPV4, 1448, 66, 16, 11),
             ("eth/ipv6/tcp/data(5000)", GSO_TCPV6, 1000, 74, 16, 5),
             ("eth/ip/udp/data(5001)", GSO_UDP_L4, 1000, 42, 6, 6)]
    want = collections.defaultdict(lambda: [0, 0, 0])
    for text, kind, size, headers, checksum, segments in kinds:
        packet = packets.build(text)
        start = 54 if "ipv6" in text else 34
        header = struct.pack("=BBHHHH", NEEDS_CSUM, kind, headers, size, start, checksum)
        for _ in range(5):
            os.write(device, header + packet.data)
        for column, value in enumerate((5, 5 * segments, 5 * packet.length)):
            want[packet.path, "in"][column] += value
    tap.same(tool.stop(), 0, f"from a device {options}: exit status")
    have = {key: row for key, row in counted(tool.report()).items() if key[1] == "in"}
    tap.same(have, dict(want), f"from a device {options}: segments, of packets that come without their number")
    os.close(device)


def allow_longer(interface, size=200_000):
    """What `ip link set IFACE gso_max_size ...` does, which older releases of ip don't know for IPv4. An errno."""
    attributes = b"".join(struct.pack("=HHI", 8, number, size) for number in (41, 58, 63, 64))
    body = struct.pack("=BxHiII", 0, 0, socket.if_nametoindex(interface), 0, 0) + attributes
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as netlink:
        netlink.send(struct.pack("=IHHII", 16 + len(body), 16, 5, 1, 0) + body)  # RTM_NEWLINK, REQUEST | ACK
        return -struct.unpack_from("=i", netlink.recv(8192), 16)[0]


def big_tcp(net):
    """Packets longer than 64 KiB."""
    offload(net, "on")
    for interface, namespace in (("near", net.near), ("far", net.far)):
        with net.inside(namespace):
            error = allow_longer(interface)
    if error:
        tap.skip("BIG TCP", f"not in this kernel: {os.strerror(error)}")
        return
    tool = live.Tool(["tcpdump", "-ni", "near", "-B", "65536", "-w", "file", "tcp"])
    bulk(net, 20_000_000)
    live.settle([tool])
    tap.same(tool.stop(), 0, "BIG TCP: exit status")
    records = list(live.records(tool.read("file")))
    tap.ok(max(length for _, _, length, _ in records) > 70_000, "BIG TCP: there are longer packets")
    tap.same(counted(tool.report()), by_file(tool.read("file")), "BIG TCP: packets, segments and bytes")


def joined(net, count=200):
    """Datagrams that are received as lists of fragments: as many segments as the other end has sent."""
    offload(net, "off")
    with net.inside(net.near):
        for action in ("gro", "rx-gro-list", "rx-udp-gro-forwarding"):
            subprocess.run(["ethtool", "-K", "near", action, "on"], capture_output=True, check=False)
    with net.inside(net.far):
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.bind((NEAR, 9998))
    tool = live.Tool(["tcpdump", "-ni", "near", "-w", os.devnull, "udp"])
    for _ in range(count * 10):
        sender.sendto(bytes(1000), (NEAR, 9998))
    tap.same(tool.stop(), 0, "UDP, joined by the receiver: exit status")
    _, segments, _ = counted(tool.report()).get(("eth:ip:udp", "in"), [0, 0, 0])
    tap.same(segments, count * 10, "UDP, joined by the receiver: as many segments as were sent")
    receiver.close()


def main():
    live.need("tcpdump", "ethtool")
    tap.time_limit(120)
    net = netns.Net()
    addresses(net)
    for state in ("on", "off"):
        stream(net, state)
        datagrams(net, state)
    big_tcp(net)
    joined(net)
    from_device()
    from_device("--hook", "sizes")
    tap.done()


main()
