#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""A raw socket that is bound to no interface: packets are read by what their interface is, whenever that was
made, whatever its number, and however many there are."""
import collections
import fcntl
import os
import socket
import struct
import subprocess
import sys

import live
import netns
import packets
import place
import tap

TUNSETIFF, TUNSETLINK, TUNSETIFINDEX, IFF_TUN, IFF_NO_PI = 0x400454ca, 0x400454cd, 0x400454da, 1, 0x1000
ETH_P_802_2 = 4  # what mac80211 says of a monitor interface's packets
MONITORS = {"wlan": 801, "radiotap": 803}  # ARPHRD_IEEE80211, ARPHRD_IEEE80211_RADIOTAP
SNIFFER = """
import signal, socket, sys
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
sniffer = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
if len(sys.argv) > 1:
    sniffer.bind((sys.argv[1], 3))
print("listening on every interface", file=sys.stderr, flush=True)
signal.sigwait({signal.SIGINT})
"""
# Awkward ones: addresses that look like an IP version, lengths in place of a type, short ones.
FRAMES = ["eth/ip/tcp", "eth/ipv6/udp", "eth/arp", "eth/llc/stp", "eth/vlan/ip/udp", "eth/lldp",
          "eth(dst=44:00:00:00:00:01)/ip/udp/data(40)", "eth(dst=44:00:00:00:00:01)/ip/tcp/data(1400)",
          "eth(dst=60:00:00:00:00:01)/ipv6/tcp", "eth(dst=44:00:00:00:00:01)/ipv6/tcp",
          "eth(dst=44:00:00:00:00:01)/llc/stp", "eth(dst=44:00:00:00:00:01)/ip/icmp",
          "eth(dst=60:00:00:00:00:01)/vlan/ipv6/tcp"]
RAW = ["raw/ip/udp", "raw/ip/tcp/data(1300)", "raw/ipv6/tcp", "raw/ip(src=8.0.69.0)/udp/data(8)",
       "raw/ip(src=8.0.0.1)/tcp/data(20)"]


class Tun:
    def __init__(self, name, index=None):
        self.device = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
        if index:
            fcntl.ioctl(self.device, TUNSETIFINDEX, struct.pack("I", index))
        fcntl.ioctl(self.device, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
        netns.run("ip", "link", "set", name, "multicast", "off", "up")

    def send(self, text):
        os.write(self.device, packets.frame(text))


class Monitor:
    """An interface of a wireless type: what it "receives" starts with what such a driver puts there."""
    def __init__(self, name, hardware):
        self.name = name
        self.device = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
        fcntl.ioctl(self.device, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN))
        fcntl.ioctl(self.device, TUNSETLINK, hardware)
        netns.run("ip", "link", "set", name, "up")

    def send(self, text):
        os.write(self.device, struct.pack("!HH", 0, ETH_P_802_2) + packets.frame(text))


def sniff(*options, interface=()):
    return live.Tool([sys.executable, "-c", SNIFFER, *interface], options=options)


def counted(tool):
    table = collections.Counter()
    for row in tool.report()["paths"]:
        table[row["path"]] += row["packets"]
    return dict(table)


def want(*texts):
    return dict(collections.Counter(packets.build(text).path for text in texts))


def later():
    tool = sniff()
    tuns = [Tun("later"), Tun("high", 40000)]
    for tun in tuns:
        for text in RAW:
            tun.send(text)
    tap.same(tool.stop(), 0, "interfaces that come later: exit status")
    tap.same(counted(tool), want(*RAW, *RAW), "a tun made after the socket, and one with a high number")


def many(count=70):
    tuns = [Tun(f"tun{i}") for i in range(count)]
    tool = sniff("--hook", "sizes")
    for tun in tuns:
        tun.send("raw/ip/udp")
    tap.same(tool.stop(), 0, "many interfaces: exit status")
    tap.same(counted(tool), {"raw:ip:udp": count}, f"{count} interfaces without link header, with a hook")


def ethernet(net):
    """Both ways; sent by a packet socket, so that the network header is where that puts it."""
    tool = sniff()
    netns.send(net.sender("far"), [packets.frame(text) for text in FRAMES])
    netns.send(net.sender("near"), [packets.frame(text) for text in FRAMES])
    tap.same(tool.stop(), 0, "Ethernet: exit status")
    tap.same(counted(tool), want(*FRAMES, *FRAMES), "Ethernet beside them")


def stack():
    """What the host itself sends: TCP through the loopback device, in packets with pages behind them."""
    tool = sniff()
    netns.run("ip", "link", "set", "lo", "up")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        with socket.create_connection(listener.getsockname()) as sender, listener.accept()[0] as receiver:
            sender.sendall(bytes(200_000))
            sender.shutdown(socket.SHUT_WR)
            while receiver.recv(1 << 20):
                pass
    tap.same(tool.stop(), 0, "loopback: exit status")
    tap.same(set(counted(tool)), {"eth:ip:tcp"}, "loopback: large packets of the host's own")


def classes():
    tool = sniff("--class", "udp=udp")
    tun = Tun("classy")
    tun.send("raw/ip/udp")
    tun.send("raw/ip/tcp")
    tap.same(tool.stop(), 0, "classes: exit status")
    rows = {row["name"]: row["packets"] for row in tool.report()["classes"]}
    tap.same(rows["udp"], 1, "classes: asked as what the packet is")


def monitors():
    """802.11 goes down to LLC as in files; a socket of one interface and one of all see the same."""
    with open(place.data("paths.txt"), encoding="utf-8") as lines:
        cases = list(packets.read(line.lstrip("!?") for line in lines))
    for name, hardware in MONITORS.items():
        monitor = Monitor("mon" + name, hardware)
        frames = [packet for packet in cases if packet.path.partition(":")[0] == name]
        if name == "wlan":  # a frame control of 0 looks like the start of radiotap
            frames = [packet for packet in frames if packet.data[0]]
        tools = [sniff(), sniff(interface=[monitor.name])]
        for packet in frames:
            monitor.send(packet.text.partition("->")[0])
        monitor.send(f"data(hex:{'0100' if name == 'wlan' else '0000'})")  # cut short
        expected = collections.Counter(packet.path for packet in frames) + collections.Counter([name])
        for tool, what in zip(tools, ("every interface", "one interface")):
            tap.same(tool.stop(), 0, f"{name}, {what}: exit status")
            tap.same(counted(tool), dict(expected), f"{name} of a monitor interface, {what}")


def other():
    """CAN: named by its ethertype."""
    done = subprocess.run(["ip", "link", "add", "can0", "type", "vcan"], capture_output=True, check=False)
    if done.returncode:
        tap.skip("CAN", "no vcan")
        return
    netns.run("ip", "link", "set", "can0", "up")
    tool = sniff()
    with socket.socket(socket.AF_CAN, socket.SOCK_RAW, socket.CAN_RAW) as sender:
        sender.bind(("can0",))
        sender.send(struct.pack("=IB3x8s", 0x123, 8, bytes(8)))
    tap.same(tool.stop(), 0, "CAN: exit status")
    tap.same(set(counted(tool)), {"CAN_SOCKETCAN"}, "CAN: by its name")


def main():
    live.need()
    tap.time_limit(120)
    net = netns.Net()
    later()
    many()
    ethernet(net)
    stack()
    classes()
    monitors()
    other()
    tap.done()


main()
