#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Classes on the command line: on live sockets and files each has what a tcpdump with its expression
gets, and a file of them says where it is wrong."""
import json
import os
import subprocess
import sys
import tempfile

import live
import netns
import packets
import place
import tap

FIELDS = ("packets", "segments", "bytes", "accepted_packets", "accepted_bytes")
KERNEL = ("inbound", "outbound", "ifindex 2")  # what a capture file does not say
# Of these, plain tcpdumps say themselves what they get, live.
TOLD = ["vlan", "vlan 7", "vlan 5", "vlan 7 and ip", "vlan 7 or vlan 8", "not vlan", "ip", "ip6", "arp",
        "tcp", "port 53", "udp port 53 or vlan", "ip proto 47", "ether multicast", "greater 100", *KERNEL]


def expressions():
    with open(place.data("expressions.txt"), encoding="utf-8") as file:
        lines = (line.strip() for line in file)
        return [line for line in lines if line and not line.startswith("#") and line not in KERNEL]


def options(texts):
    return [word for i, text in enumerate(texts) for word in ("--class", f"c{i}={text}")]


def classes(report):
    return {row["name"]: row for row in report.get("classes", [])}


def received(tool):
    """"N packets received by filter", as a tcpdump says at its end."""
    for line in tool.read("stderr").decode().splitlines():
        if line.endswith(" received by filter"):
            return int(line.split()[0])
    return None


def wire(net):
    """All expressions at once, against what tcpdump -r takes of what the filter sees."""
    texts = [text for text in expressions() if "vlan" not in text]
    kinds = live.traffic(2)
    tool = live.Tool(["tcpdump", "-n", "-i", "near", "-s", "80", "udp"], options=options(texts))
    netns.send(net.sender("far"), live.frames(kinds))
    tap.same(tool.stop(), 0, "all expressions: exit status")
    report = tool.report()
    seen = [live.as_received(kind.packet.data) for kind in kinds]
    taken = live.verdicts(seen, "udp")
    want = {}
    for i, text in enumerate(texts):
        row = [0, 0, 0]
        for kind, data, accepted, tool_takes in zip(kinds, seen, live.verdicts(seen, text), taken):
            if accepted:
                row[0] += kind.copies
                row[1] += kind.copies * len(kind.packet.data)
                row[2] += kind.copies * bool(tool_takes)
        want[f"c{i}"] = row
    have = {name: [row["packets"], row["bytes"], row["accepted_packets"]]
            for name, row in classes(report).items()}
    tap.same(have, want, f"{len(texts)} classes on the wire: each has its packets and bytes")
    tap.same([row["expression"] for row in report["classes"]], texts, "in the order given")
    tap.ok("hooks" not in report, "they are not among the hooks")


def told(net, name, interface, send):
    """The same expressions as classes and as tcpdumps beside it."""
    plain = [live.Tool(["tcpdump", "-n", "-i", interface, "-w", "/dev/null", text], metered=False)
             for text in TOLD if interface != "any" or "vlan" not in text and "ether" not in text]
    texts = [tool.process.args[-1] for tool in plain]
    tool = live.Tool(["tcpdump", "-n", "-i", interface, "-w", "/dev/null"], options=options(texts))
    send(net)
    tap.same(tool.stop(), 0, f"{name}: exit status")
    table = classes(tool.report())
    for i, (text, other) in enumerate(zip(texts, plain)):
        other.stop(settle=0)
        tap.same(table[f"c{i}"]["packets"], received(other), f"{name}: {text}")


def both_ways(net):
    netns.send(net.sender("far"), live.frames(live.traffic(2)))
    netns.send(net.sender("near"), live.frames(live.traffic(3)))


def first(net):
    """With --first and -I, classes and "none" add up to all."""
    texts = ["tcp port 80", "tcp", "vlan", "ip6 and udp", "port 53", "ip"]
    tool = live.Tool(["tcpdump", "-n", "-i", "near", "-w", "/dev/null", "ip"],
                     options=["--first", "-I", "0.2", *options(texts)])
    both_ways(net)
    tap.same(tool.stop(settle=0.7), 0, "--first: exit status")
    reports = tool.reports()
    tap.ok(len(reports) > 2, f"--first: {len(reports)} reports")
    for name, table in (("each report", reports), ("all reports", [reports])):
        wrong = []
        for part in table:
            parts = part if isinstance(part, list) else [part]
            want = {field: sum(one["totals"][field] for one in parts) for field in FIELDS}
            have = {field: sum(row[field] for one in parts for row in one["classes"])
                    for field in FIELDS}
            wrong += [(have, want)] if have != want else []
        tap.same(wrong, [], f"--first: {name}: the classes add up to the totals")
    tap.same([row["name"] for row in reports[0]["classes"]],
             [f"c{i}" for i in range(len(texts))] + ["none"], "--first: and none")


def tun(net):
    device = net.tun()
    tool = live.Tool(["tcpdump", "-n", "-i", "tun0"],
                     options=options(["udp", "ip6", "host 10.0.0.1", "ether host 2:0:0:0:0:1"]))
    for text in ("raw/ip/udp/data(9)", "raw/ipv6/udp/data(55)", "raw/ip/icmp/data(4)"):
        os.write(device, packets.build(text).data)
    tap.same(tool.stop(), 0, "tun: exit status")
    table = classes(tool.report())
    tap.same([table[f"c{i}"]["packets"] for i in (0, 1, 3)], [2, 1, 0],
             "tun: no link layer; what asks for one has no packets")
    os.close(device)


def command(*arguments):
    return subprocess.run([live.SOCKTALLY, *arguments], capture_output=True, text=True, check=False,
                          timeout=60)


def in_file(folder):
    """socktally read against tcpdump -r, all expressions, classes from a file."""
    texts = expressions()
    kinds = live.traffic(2)
    capture, listed = f"{folder}/capture.pcap", f"{folder}/classes"
    with open(capture, "wb") as file:
        file.write(packets.pcap([packets.Packet(data, len(data), 1, "", "")
                                 for data in live.frames(kinds)]))
    with open(listed, "w", encoding="utf-8") as file:
        file.write("# classes\n\n")
        file.writelines(f"  c{i} = {text}  # number {i}\r\n" for i, text in enumerate(texts))
    ran = command("read", "--format", "json", "--classes", listed, capture)
    tap.same((ran.returncode, ran.stderr), (0, ""), "read --classes: works")
    table = classes(json.loads(ran.stdout or "{}"))
    datas = [kind.packet.data for kind in kinds]
    want = {f"c{i}": sum(kind.copies * bool(verdict)
                         for kind, verdict in zip(kinds, live.verdicts(datas, text)))
            for i, text in enumerate(texts)}
    tap.same({name: row["packets"] for name, row in table.items()}, want,
             f"read: {len(texts)} classes have what tcpdump -r takes")
    ran = command("read", "--class", "in=inbound", capture)
    tap.ok(ran.returncode == 1 and "in: asks for what a capture file does not say" in ran.stderr,
           "read: what a file does not say is refused", ran.stderr)
    text = command("read", "--class", "mine=tcp", "--class", "nothing=sctp port 7", capture).stdout
    tap.ok("\nmine " in text and "1 of 2 classes: no packets" in text, "the text report has them", text)
    for first_class in "tcp", "ip or not ip":
        text = command("read", "--first", "--class", f"a={first_class}", "--class", "b=sctp port 7",
                       capture).stdout
        tap.ok("1 of 2 classes: no packets" in text,
               f"--first: the row of packets in no class is not a class ({first_class})", text)


def mistakes(folder):
    for content, place, what in (
            ("a = tcp\nb = tcp and\n", ":2:12: class b: ", "half an expression"),
            ("a = tcp porte 80\n", ":1:9: class a: ", "a word that is none"),
            ("\n\n  a = (tcp or udp\n", ":3:18: class a: ", "an open parenthesis"),
            ("a = port nonsense\n", ":1:10: class a: ", "a port without a number"),
            ("a tcp\n", ":1:1: ", "no name"),
            ("  = tcp\n", ":1:3: ", "an empty name"),
            ("a = tcp\na = udp\n", ":2:5: class a: ", "a name twice"),
            ("none = tcp\n", ":1:8: class none: ", "the name that is taken"),
            ("a = tcp\nb =  # all\n", ":2:4: no expression", "no expression"),
            ("\ufeffa = tcp porte 80\n", ":1:9: class a: ", "a byte order mark, and a word that is none"),
            (f"a = {'tcp or ' * 20000}or\n", ":1:5: class a: ", "a long line that is wrong"),
            ("# nothing\n", ": there is no class", "no class")):
        path = f"{folder}/wrong"
        with open(path, "w", encoding="utf-8") as file:
            file.write(content)
        for arguments in (("read", "--classes", path, "/dev/null"), ("watch", "-i", "near", "--classes",
                                                                     path, "-c", "0.1")):
            if arguments[0] == "read":
                arguments = (*arguments[:3], f"{folder}/capture.pcap")
            ran = command(*arguments)
            tap.ok(ran.returncode == 2 and f"{path}{place}" in ran.stderr and
                   ran.stderr.count("\n") == 1, f"{arguments[0]}: {what}: line and column", ran.stderr)
    with open(f"{folder}/binary", "wb") as file:
        file.write(b"a = tcp\0\n")
    ran = command("read", "--classes", f"{folder}/binary", f"{folder}/capture.pcap")
    tap.ok(ran.returncode == 1 and "is not a text file" in ran.stderr, "read: a NUL", ran.stderr)
    ran = command("read", "--class", "a=", f"{folder}/capture.pcap")
    tap.same(ran.returncode, 2, "--class without expression: wrong usage")
    for way in ("run",), ("run", "--attach"):
        ran = command(*way, "--class", "a=tcp and", "--", "touch", f"{folder}/ran")
        tap.ok(ran.returncode == 2 and not os.path.exists(f"{folder}/ran"),
               f"{' '.join(way)}: the tool does not start", ran.stderr)
    ran = command("read", "--packets", "--class", "a=tcp", f"{folder}/capture.pcap")
    tap.same(ran.returncode, 2, "--class with --packets: wrong usage")
    ran = command("watch", "-i", "near", "--class", "tcp")
    tap.same(ran.returncode, 2, "--class without '=': wrong usage")


def preload(net):
    """Through LD_PRELOAD alone, by environment."""
    with tempfile.TemporaryDirectory() as folder:
        path, out = f"{folder}/classes", f"{folder}/report"
        with open(path, "w", encoding="utf-8") as file:
            file.write("\ufeffdns = port 53\r\nip = ip\n")
        env = {"SOCKTALLY_CLASSES": path, "SOCKTALLY_FIRST": "1", "SOCKTALLY_OUTPUT": out,
               "SOCKTALLY_FORMAT": "json", "LD_PRELOAD": os.environ.get("SHIM", "")}
        tool = live.Tool(["env", *(f"{key}={value}" for key, value in env.items()), "tcpdump", "-n",
                          "-i", "near", "-w", "/dev/null"], metered=False)
        netns.send(net.sender("far"), live.frames(live.traffic(2)))
        tool.stop(settle=0.7)
        with open(out, encoding="utf-8") as file:
            report = json.loads(file.read() or "{}")
        tap.same([row["name"] for row in report.get("classes", [])], ["dns", "ip", "none"],
                 "SOCKTALLY_CLASSES: its classes")
        tap.same(sum(row["packets"] for row in report.get("classes", [])),
                 report.get("totals", {}).get("packets"), "SOCKTALLY_FIRST: they add up")


def main():
    live.need("tcpdump")
    tap.time_limit(240)
    net = netns.Net()
    with tempfile.TemporaryDirectory(prefix="socktally-test-") as folder:
        in_file(folder)
        mistakes(folder)
    wire(net)
    told(net, "Ethernet", "near", both_ways)
    told(net, "any", "any", both_ways)
    first(net)
    tun(net)
    if "SHIM" in os.environ:
        preload(net)
    tap.done()


if __name__ == "__main__":
    sys.exit(main())
