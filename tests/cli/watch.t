#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""socktally watch: its own socket counts every packet, with and without a filter, until it is told
to end or its interface is gone."""
import datetime
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time

import live
import netns
import place
import packets
import tap

FOLDER = tempfile.TemporaryDirectory(prefix="socktally-test-")
os.chmod(FOLDER.name, 0o755)


def wait_until(condition, what, seconds=10):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not in {seconds} seconds: {what}")
        time.sleep(0.01)


class Watch:
    """socktally watch, counting by the time this returns."""
    def __init__(self, *arguments, before=(), **options):
        self.out = os.path.join(FOLDER.name, "out")
        self.err = os.path.join(FOLDER.name, "err")
        with open(self.out, "wb") as out, open(self.err, "wb") as err:
            self.process = netns.start([*before, live.SOCKTALLY, "watch", "--format", "json",
                                        *arguments],
                                       **{"stdout": out, "stderr": err, **options})
        wait_until(self.waits, f"watch {arguments}: {self.errors()}")

    def waits(self):
        """It has its signal descriptor once the socket is metered."""
        folder = f"/proc/{self.process.pid}/fd"
        for name in os.listdir(folder):
            try:
                if "signalfd" in os.readlink(f"{folder}/{name}"):
                    return True
            except OSError:
                continue
        if self.process.poll() is not None:
            raise ChildProcessError(self.errors())
        return False

    def errors(self):
        with open(self.err, encoding="utf-8") as file:
            return file.read()

    def end(self, number=signal.SIGINT, settle=0.3):
        """Its status and its reports."""
        time.sleep(settle)
        if number:
            self.process.send_signal(number)
        status = self.process.wait(20)
        with open(self.out, encoding="utf-8") as file:
            return status, [json.loads(line) for line in file]


def added(reports):
    table = {}
    for report in reports:
        for key, counts in live.counts(report).items():
            table[key] = live.Counts(*(a + b for a, b in zip(
                counts, table.get(key, live.Counts(0, 0, 0, 0)))))
    return table


def both_ways(net, name, arguments, expression="", link="eth"):
    """Everything that passes the veth is in its cell."""
    coming = [kind for kind in live.traffic(3) if link == "eth" or len(kind.packet.data) > 20]
    going = [kind for kind in coming if link == "eth" or
             kind.packet.data[12:14] not in live.TAGS and
             kind.packet.path.split(":")[1:2] != ["llc"]]
    going = [live.Kind(kind.packet, 60 - i) for i, kind in enumerate(going)]
    watch = Watch(*arguments)
    netns.send(net.sender("far"), live.frames(coming))
    netns.send(net.sender("near"), live.frames(going))
    status, reports = watch.end()
    want = {**live.expected(coming, "in", expression, link), **live.expected(going, "out", expression,
                                                                            link)}
    tap.same((status, watch.errors()), (0, ""), f"{name}: exit status, and not a word")
    tap.same(added(reports), want, f"{name}: every cell")
    return reports


def counts_all(net):
    report, = both_ways(net, "near", ["-i", "near"])
    want = {"kind": "socket", "interface": "near", "linktype": "eth", "pid": 0, "comm": "",
            "filter": "", "program": ""}
    tap.same(report["source"], want, "near: source")
    report, = both_ways(net, "filter", ["-i", "near", "-f", "udp port 53"], "udp port 53")
    tap.same((report["source"]["filter"], report["source"]["program"][-9:]), ("udp port 53", "4,6 0 0 0"),
             "filter: named in the source, and its program")
    both_ways(net, "filter of nothing", ["-i", "near", "-f", "less 10"], "less 10")
    report, = both_ways(net, "any", ["-i", "any"], link="sll")
    tap.same((report["source"]["interface"], report["source"]["linktype"]), ("any", "sll"),
             "any: source")
    tap.ok("notes" not in report, "any: no note where the other end is in another namespace", report)
    both_ways(net, "any, filter", ["-i", "any", "-f", "ip6 and udp"], "ip6 and udp", link="sll")
    reports = both_ways(net, "-I", ["-i", "near", "-I", "0.05"])
    tap.ok(len(reports) > 3, "-I: several reports", len(reports))
    tap.ok(all(a["end"] == b["start"] for a, b in zip(reports, reports[1:])),
           "-I: each begins where the last one ended")


def ports(net):
    """A tunnel on a port of the user's, and plain packets to the same port from the other side."""
    watch = Watch("-i", "near", "--port", "udp/8473=vxlan")
    netns.send(net.sender("far"), [packets.frame("eth/ip/udp(sport=53,dport=8473)/vxlan/eth/ip/tcp"),
                                   packets.frame("eth/ip/udp(sport=8473,dport=53)/data(20)")] * 20)
    _, reports = watch.end()
    tap.same({path: counts.packets for (path, _), counts in added(reports).items()},
             {"eth:ip:udp:vxlan:eth:ip:tcp": 20, "eth:ip:udp": 20}, "--port: in the kernel")


def bridged():
    """The note names a port and its bridge; where no device is on another there is none; one is enough."""
    for setup, want in (("true", None), ("ip link add bridge0 type bridge; ip link add port0 type veth peer name end0; "
                                          "ip link set port0 master bridge0; ip link set end0 master bridge0",
                         "0 is a part of bridge0"),
                        ("ip link add near type veth peer name far", "is tied to")):
        done = subprocess.run(["unshare", "-n", "sh", "-c", f"ip link set lo up; {setup}; exec \"$0\" watch -i any "
                               "-c 0.5 -I 0.2 --format json", live.SOCKTALLY], capture_output=True, check=True,
                              timeout=30, text=True)
        notes = [[note["text"] for note in json.loads(line).get("notes", [])] for line in done.stdout.splitlines()]
        tap.ok(len(notes) > 1 and not any(notes[1:]) and
               (want in "".join(notes[0]) if want else not notes[0]), f"any: {want or 'no stacked device'}", notes)


def tags(net):
    """A filter on a tag that the kernel has taken out of the bytes."""
    watch = Watch("-i", "near", "-f", "vlan 8")
    netns.send(net.sender("far"), [packets.frame("eth/vlan(id=8)/ip/udp"),
                                   packets.frame("eth/vlan(id=9)/ip/udp")] * 20)
    _, (report,) = watch.end()
    cell = live.counts(report)["eth:vlan:ip:udp", "in"]
    tap.same((cell.packets, cell.accepted_packets), (40, 20), "vlan 8: accepted of a received tag")


def raw_ip(net):
    device = net.tun()
    watch = Watch("-i", "tun0", "-f", "udp")
    for text in ("raw/ip/udp/data(9)", "raw/ipv6/tcp"):
        os.write(device, packets.build(text).data)
    status, (report,) = watch.end()
    tap.same((status, report["source"]["linktype"], live.counts(report)),
             (0, "raw", {("raw:ip:udp", "in"): (1, 37, 1, 37), ("raw:ipv6:tcp", "in"): (1, 60, 0, 0)}),
             "tun: counted as raw IP")
    os.close(device)


def seconds(text):
    return datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").timestamp()


def ends(net):
    watch = Watch("-i", "near", "-c", "0.7")
    netns.send(net.sender("far"), [packets.frame("eth/arp")] * 7)
    status, (report,) = watch.end(None)
    took = seconds(report["end"]) - seconds(report["start"])
    tap.ok(status == 0 and report["totals"]["packets"] == 7 and 0.69 < took < 2,
           "-c: ends by itself, and says when", report)
    for number in (signal.SIGTERM, signal.SIGHUP):
        status, reports = Watch("-i", "near").end(number)
        tap.same((status, len(reports)), (0, 1), f"{number.name}: the report")
    watch = Watch("-i", "near", before=["nohup"])
    watch.process.send_signal(signal.SIGHUP)
    time.sleep(0.2)
    tap.ok(watch.process.poll() is None, "an ignored SIGHUP (nohup) doesn't end it")
    tap.same(watch.end()[0], 0, "but SIGINT does")
    background = ["sh", "-c", "trap '' INT; exec \"$@\"", "sh"]
    tap.same(Watch("-i", "near", before=background).end()[0], 0, "also where a script started it with &")


def on_demand(net):
    """SIGUSR1: a report now, of everything so far, or with -I of what is new."""
    def send(count):
        netns.send(net.sender("far"), [packets.frame("eth/arp")] * count)

    def lines(path):
        with open(path, encoding="utf-8") as file:
            return file.read().count("\n")
    for name, arguments, want in (("SIGUSR1", [], [3, 5]), ("-I and SIGUSR1", ["-I", "60"], [3, 2])):
        watch = Watch("-i", "near", *arguments)
        send(3)
        watch.process.send_signal(signal.SIGUSR1)
        wait_until(lambda: lines(watch.out) == 1, "a report on demand")
        send(2)
        status, reports = watch.end()
        tap.same((status, [report["totals"]["packets"] for report in reports]), (0, want), name)
    path = os.path.join(FOLDER.name, "appended")
    watch = Watch("-i", "near", "-o", path, "--append", "-I", "60")
    for count in (1, 2):
        send(count)
        watch.process.send_signal(signal.SIGUSR1)
        wait_until(lambda: os.path.exists(path) and lines(path) == 1, "a report in the file")
        os.rename(path, f"{path}.{count}")
        watch.process.send_signal(signal.SIGHUP)
        wait_until(lambda: os.path.exists(path), "the file, opened anew")
    status, _ = watch.end()
    found = []
    for name in (f"{path}.1", f"{path}.2", path):
        with open(name, encoding="utf-8") as file:
            found += [json.loads(line)["totals"]["packets"] for line in file]
    tap.same((status, found), (0, [1, 2, 0]), "--append: SIGHUP goes on in a new file")


def modes(net):
    watch = Watch("-i", "near")
    tap.ok(net.promiscuous("near"), "promiscuous while it watches")
    watch.end()
    tap.ok(not net.promiscuous("near"), "and no more afterwards")
    watch = Watch("-i", "near", "-p")
    tap.ok(not net.promiscuous("near"), "-p: not promiscuous")
    watch.end()
    watch = Watch("-i", "near", "--paths", "3")
    netns.send(net.sender("far"), live.frames(live.traffic(1)))
    _, (report,) = watch.end()
    rows = sum(row["packets"] for row in report["paths"])
    over = sum(row["packets"] for row in report["paths"] if row["path"] == "overflow")
    total = sum(kind.copies for kind in live.traffic(1))
    tap.ok(rows == total == report["totals"]["packets"] and
           over == report["totals"]["overflow_packets"] > 0,
           "--paths 3: the rest is overflow, nothing lost", report["totals"])


def interface_ends(_net):
    def make():
        netns.run("ip", "link", "add", "one", "type", "veth", "peer", "name", "two")
        netns.run("ip", "link", "set", "one", "multicast", "off", "arp", "off", "up")
        netns.run("ip", "link", "set", "two", "multicast", "off", "arp", "off", "up")

    def send(count):
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as sock:
            sock.bind(("two", 0))
            netns.send(sock, [packets.frame("eth/arp")] * count)
    make()
    watch = Watch("-i", "one")
    send(5)
    netns.run("ip", "link", "set", "one", "down")
    wait_until(lambda: "is down" in watch.errors(), "a word about the interface")
    netns.run("ip", "link", "set", "one", "up")
    net_ready = lambda: "LOWER_UP" in subprocess.run(["ip", "link", "show", "one"], check=True,
                                                     capture_output=True, text=True).stdout
    wait_until(net_ready, "carrier")
    send(6)
    status, (report,) = watch.end()
    tap.same((status, report["totals"]["packets"]), (0, 11), "down and up: counted on")
    watch = Watch("-i", "one")
    send(5)
    time.sleep(0.1)
    netns.run("ip", "link", "del", "one")
    status, (report,) = watch.end(None)
    tap.ok(status == 1 and report["totals"]["packets"] == 5 and "one: the interface is gone" in
           watch.errors() and watch.errors().count("\n") <= 2,
           "the interface is deleted: the report, one line, status 1", watch.errors())


def veth(one, two):
    netns.run("ip", "link", "add", one, "type", "veth", "peer", "name", two)
    for name in one, two:
        netns.run("ip", "link", "set", name, "multicast", "off", "arp", "off", "addrgenmode", "none", "up")


def follows(_net):
    """--follow: each time the interface is there its packets are counted, and nothing ends it."""
    def send(name, count):
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as sock:
            sock.bind((name, 0))
            netns.send(sock, [packets.frame("eth/arp")] * count)

    def said(text, times=1):
        wait_until(lambda: watch.errors().count(text) == times, f"{text}, {times} times: {watch.errors()}")
    watch = Watch("-i", "one", "--follow", "-f", "arp")
    said("counting begins when it is up")
    veth("one", "two")
    said("from now on")
    send("two", 5)
    time.sleep(0.1)
    netns.run("ip", "link", "del", "one")
    said("is gone")
    veth("one", "two")
    said("from now on", 2)
    send("two", 7)
    for words in ("one", "down"), ("one", "name", "old"), ("old", "up"):
        netns.run("ip", "link", "set", *words)
    said("one: is down")
    send("two", 11)
    time.sleep(0.1)
    veth("one", "three")
    said("from now on", 3)
    send("two", 100)
    send("three", 13)
    status, (report,) = watch.end()
    tap.same((status, report["totals"]["packets"], report["totals"]["accepted_packets"]),
             (0, 36, 36), "--follow: came, went, came, was renamed, and another got its name: every packet")
    tap.same([note["event"] for note in report["notes"]], ["there", "gone", "there", "there"],
             "--follow: notes of the report")
    for name in "one", "old":
        netns.run("ip", "link", "del", name)


def refused(name, *words, arguments=(), status=1, **options):
    done = subprocess.run([live.SOCKTALLY, "watch", "-c", "5", *arguments], capture_output=True,
                          text=True, timeout=20, check=False, stdin=subprocess.DEVNULL, **options)
    tap.ok(done.returncode == status and not done.stdout and done.stderr.count("\n") == 1 and
           done.stderr.startswith("socktally: ") and all(word in done.stderr for word in words),
           f"{name}: one line", f"{done.returncode} {done.stdout!r} {done.stderr!r}")


def refuses(_net):
    refused("no such interface", "nosuch", "no such interface", "near", arguments=["-i", "nosuch"])
    refused("a bad filter", "-f 'udp prot 53'", "syntax", status=2,
            arguments=["-i", "near", "-f", "udp prot 53"])
    refused("a filter, before its interface is there", "-f 'udp prot 5'", status=2,
            arguments=["-i", "nowhere", "--follow", "-f", "udp prot 5"])
    refused("an interface that is down", "lo", "ip link set lo up", arguments=["-i", "lo"])
    refused("a filter that can't be", "-f 'wlan host'", status=2,
            arguments=["-i", "near", "-f", "wlan host"])
    many = " or ".join(f"ether[{i}:4] = {i}" for i in range(2100))
    refused("a filter that is too long", "too long", arguments=["-i", "near", "-f", many], status=2)
    refused("no root", "sudo", arguments=["-i", "near"], preexec_fn=lambda: os.setuid(65534),
            **place.opened(live.SOCKTALLY))
    refused("no BPF", "BPF", "sudo", arguments=["-i", "near"], preexec_fn=lambda: drop(
        "bpf", "sys_admin"))


def drop(*names):
    """Leaves these out of the bounding set, so that exec as root doesn't give them."""
    numbers = {"sys_admin": 21, "bpf": 39}
    for name in names:
        netns.LIBC.prctl(24, numbers[name], 0, 0, 0)


def lost(net):
    with open("/dev/full", "wb") as full:
        watch = Watch("-i", "near", "-I", "0.2", stdout=full)
        netns.send(net.sender("far"), [packets.frame("eth/arp")] * 3)
        status, _ = watch.end(None)
    tap.ok(status == 1 and watch.errors().count("\n") == 1 and "No space left" in watch.errors(),
           "-I to a full disk: ends with one line", watch.errors())
    watch = Watch("-i", "near", "-o", "/dev/full")
    netns.send(net.sender("far"), [packets.frame("eth/arp")] * 3)
    status, _ = watch.end()
    tap.ok(status == 1 and watch.errors().count("\n") == 1 and "3 packets" in watch.errors(),
           "-o to a full disk: one line with the totals", watch.errors())


def main():
    live.need()
    tap.time_limit(120)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    net = netns.Net()
    counts_all(net)
    bridged()
    tags(net)
    ports(net)
    raw_ip(net)
    ends(net)
    on_demand(net)
    modes(net)
    interface_ends(net)
    follows(net)
    refuses(net)
    lost(net)
    tap.done()


sys.exit(main())
