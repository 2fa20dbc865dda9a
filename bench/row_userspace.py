#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The same job in user space: processor time for each packet to know the protocols' counts live, and
what is missed, at a rate that most can follow and at full speed.

All ways run at once, each on an interface of its own, and get the same packets in turn. What a packet
costs is the processor time of the way's processes, and what its socket adds to the receive path: the
sender's time above that for an interface where nobody listens, as it is the sender's thread in which
the kernel takes a packet down to the socket. Both are for each packet that the way has counted.
"""
import json
import re
import statistics
import subprocess
import time

import lib
import netns

CALM = 200_000  # packets a second, which most can follow
AWK = r"""/ARP/ {arp++} / IP6? / {ip++} END {print NR " packets: ip " ip ", arp " arp; fflush()}"""
# It leaves our process group, and files behind: so it gets processes and folders of its own.
IPTRAF = """mount -t tmpfs tmpfs /run && mkdir /run/lock && mount -t tmpfs tmpfs /var/lib || exit
trap 'kill -USR2 -1' INT
iptraf-ng -d INTERFACE -B -L /run/log
until grep -qs stopped /run/log; do sleep 0.1; done
cat /run/log"""


def reports_total(text):
    """Each report has what came since the one before."""
    return sum(json.loads(line)["totals"]["packets"] for line in text.splitlines()
               if line.startswith("{"))


def found(pattern):
    return lambda text: int(re.search(pattern, text)[1])


class Way:
    """command: the interface is INTERFACE; count: how many packets it counted, by its output; ready:
    what it says; base: the interface whose receive path it is compared to."""
    def __init__(self, command, count=None, ready=None, package=None, base="nobody"):
        self.command, self.count, self.ready, self.base = command, count, ready, base
        self.package, self.tool = package or (None, None)


SOCKET = [lib.program("sockets"), "1", "INTERFACE"]
WAYS = {
    "ours": Way([lib.SOCKTALLY, "watch", "-i", "INTERFACE", "-I", "1", "--format", "json"], reports_total),
    "a socket": Way(SOCKET, ready="ready"),
    "added to a socket": Way([*SOCKET, "metered"], found(r"packets (\d+)"), "ready", base="a socket"),
    "libpcap loop": Way([lib.program("pcap_loop"), "INTERFACE"], found(r"(\d+) packets"), "ready"),
    "tcpdump piped to awk": Way(
        ["sh", "-c", f"trap '' INT; (trap - INT; exec tcpdump -n -i INTERFACE) | awk '{AWK}'"],
        found(r"(\d+) packets"), "listening", ("tcpdump", "tcpdump")),
    "tshark -q -z io,phs": Way(["tshark", "-n", "-q", "-z", "io,phs", "-i", "INTERFACE"],
                               found(r"frames:(\d+)"), "Capturing on", ("tshark", "tshark")),
    "iptraf-ng -d": Way(["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", IPTRAF],
                        found(r"Total:\s+(\d+) packets"), None, ("iptraf-ng", "iptraf-ng")),
}
PEERS = [name for name, way in WAYS.items() if name == "libpcap loop" or way.package]


class Running:
    """A way at work on its interface."""
    def __init__(self, name, interface, folder):
        self.way, self.interface, self.folder = WAYS[name], interface, folder
        command = [word.replace("INTERFACE", interface) for word in self.way.command]
        with open(folder.path(interface), "wb") as output:
            self.process = lib.Process(command, stdout=output, stderr=output, stdin=subprocess.PIPE)
        self.sent, self.receiving, self.before = 0, 0, 0

    def wait(self):
        if self.way.ready:
            lib.wait_ready(self.folder, self.interface, self.way.ready, self.process)

    def flood(self, send, bases):
        """send(interface) tells how many, and the sender's seconds for each."""
        count, each = send(self.interface)
        self.process.settle()  # or it would work beside the next one
        self.sent += count
        self.receiving += count * (each - bases[self.way.base])
        return each

    def stop(self):
        """ns for each packet that it counted, and what it missed, in percent; None if it doesn't count."""
        cpu = self.process.settle() - self.before
        self.process.process.stdin.close()
        self.process.stop()
        if not self.way.count:
            return None
        counted = self.way.count(self.folder.text(self.interface))
        return (1e9 * (cpu + self.receiving) / max(counted, 1),
                100 * (self.sent - counted) / self.sent)


def listening():
    """How many packet sockets there are in this network."""
    with open("/proc/net/packet", encoding="ascii") as file:
        return len(file.readlines()) - 1


def session(interfaces, folder, send):
    """All ways started, given packets in turn, and stopped: {name: (ns, missed)}"""
    running = {name: Running(name, interface, folder) for name, interface in interfaces.items()}
    for one in running.values():
        one.wait()
    deadline = time.monotonic() + 20
    while listening() < len(running) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.3)
    for one in running.values():
        one.before = one.process.cpu()
    for _ in range(lib.full(3, 1)):
        bases = {"nobody": send("near")[1]}
        for name, one in running.items():
            bases[name] = one.flood(send, bases)
    results = {name: one.stop() for name, one in running.items()}
    return {name: result for name, result in results.items() if result}


def compare(title, interfaces, senders, folder, *options):
    def send(interface):
        said = senders[interface].send(*options)
        return said["sent"], said["cpu"] / said["sent"]

    sessions = [session(interfaces, folder, send) for _ in range(lib.full(5, 1))]
    cost = {name: [results[name][0] for results in sessions] for name in sessions[0]}
    peers = [name for name in PEERS if name in cost]
    best = min(peers, key=lambda name: statistics.median(cost[name]))
    goal = [lib.Goal(">=", 20)]
    for name in peers:
        lib.row(f"userspace/{title}, against {name}", cost["ours"], "ns", (name, cost[name]),
                goal if name == best else [], faster=True)
    lib.row(f"userspace/{title}, added to a socket", cost["added to a socket"], "ns",
            (best, cost[best]), goal, faster=True)
    for name in cost:
        lib.row(f"userspace/{title}, missed, {name}", [results[name][1] for results in sessions], "%",
                goals=[] if name in peers else [lib.Goal("<=", 0, "value")])


def main():
    net = netns.Net()
    folder = lib.Folder()
    names = [name for name, way in WAYS.items()
             if not way.package or lib.have(f"userspace/{name}", way.tool, way.package)]
    interfaces = {name: f"near{i}" for i, name in enumerate(names)}
    for interface in interfaces.values():
        net.add_pair(interface, interface.replace("near", "far"))
    senders = {interface: lib.Sender(lib.paths_of(lib.MIX), interface)
               for interface in ("near", *interfaces.values())}
    compare("calm", interfaces, senders, folder, lib.full(30_000, 6_000), 0, CALM)
    compare("flood", interfaces, senders, folder, lib.full(100_000, 6_000))


main()
