#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""socktally read --flows: who talks to whom, in both directions, inside tunnels, and in which VLAN."""
import json
import subprocess
import tempfile

import captures
import tap

FOLDER = tempfile.TemporaryDirectory(prefix="socktally-test-")
# text, as a part of the JSON object; packets of one flow stand one after another
FLOWS = [
    ("eth/ip(src=10.0.0.1,dst=10.0.0.2)/tcp(sport=4000,dport=80)\n"
     "eth/ip(src=10.0.0.2,dst=10.0.0.1)/tcp(sport=80,dport=4000)/data(20)",
     {"protocol": "tcp", "a": "10.0.0.1", "a_port": 4000, "b": "10.0.0.2", "b_port": 80}),
    ("eth/ip(src=10.0.0.1,dst=10.0.0.2)/udp(sport=4000,dport=80)/data(3)",
     {"protocol": "udp", "a": "10.0.0.1", "a_port": 4000, "b": "10.0.0.2", "b_port": 80}),
    ("eth/ip(src=10.0.0.1,dst=10.0.0.2)/tcp(sport=80,dport=4000)",
     {"protocol": "tcp", "a": "10.0.0.1", "a_port": 80, "b": "10.0.0.2", "b_port": 4000}),
    ("eth/ipv6(src=fe80::1,dst=fe80::2)/udp(sport=1,dport=2)/data(3)\n"
     "eth/ipv6(src=fe80::2,dst=fe80::1)/dstopts/udp(sport=2,dport=1)/data(3)",
     {"protocol": "udp", "a": "fe80::1", "a_port": 1, "b": "fe80::2", "b_port": 2}),
    ("eth/vlan(id=5)/ip(src=10.0.0.1,dst=10.0.0.2)/tcp(sport=4000,dport=80)\n"
     "eth/vlan(id=5)/ip(src=10.0.0.2,dst=10.0.0.1,options=8)/tcp(sport=80,dport=4000)",
     {"protocol": "tcp", "a": "10.0.0.1", "a_port": 4000, "b": "10.0.0.2", "b_port": 80, "vlans": [5]}),
    ("eth/vlan(id=6)/vlan(id=5)/ip(src=10.0.0.1,dst=10.0.0.2)/tcp(sport=4000,dport=80)",
     {"protocol": "tcp", "a": "10.0.0.1", "a_port": 4000, "b": "10.0.0.2", "b_port": 80, "vlans": [6, 5]}),
    ("eth/ip(src=1.1.1.1,dst=1.1.1.2)/udp(dport=4789)/vxlan/eth/ip(src=10.0.0.3,dst=10.0.0.2)/tcp(sport=1,dport=2)",
     {"protocol": "tcp", "a": "10.0.0.3", "a_port": 1, "b": "10.0.0.2", "b_port": 2}),
    ("eth/ip(src=10.0.0.3,dst=10.0.0.2)/sctp(sport=1,dport=2)/data(16)",
     {"protocol": "sctp", "a": "10.0.0.3", "a_port": 1, "b": "10.0.0.2", "b_port": 2}),
    ("eth/ip(src=9.9.9.9,dst=9.9.9.9)/udp(sport=7,dport=7)/data(1)",
     {"protocol": "udp", "a": "9.9.9.9", "a_port": 7, "b": "9.9.9.9", "b_port": 7}),
]
# What the transport carries by its port and is no packet: the flow is the transport's.
CARRIED = [
    ("eth/ip(src=10.0.0.5,dst=10.0.0.6)/udp(sport=5,dport=4789)/vxlan/eth/arp", "vxlan"),
    ("eth/ip(src=10.0.0.5,dst=10.0.0.6)/udp(sport=5,dport=2123)/gtp(type=1)", "gtp"),
]
NO_PORTS = "eth/arp/pad(60)\neth/ip/icmp/data(8)\neth/ip(frag=8)/data(64)\n" \
           "eth/ip(src=1.1.1.1,dst=1.1.1.2)/udp(dport=4789)/vxlan/eth/ip/icmp/data(8)"


def read(*arguments):
    return subprocess.run([captures.SOCKTALLY, "read", "--flows", *arguments], capture_output=True, text=True,
                          check=False)


def put(sample):
    path = f"{FOLDER.name}/capture"
    with open(path, "wb") as file:
        file.write(captures.pcap(sample))
    return path


def rows(path):
    ended = read("--format", "json", path)
    tap.ok(ended.returncode == 0 and not ended.stderr, "read without a word", f"{ended.returncode} {ended.stderr}")
    return [json.loads(line) for line in ended.stdout.splitlines()]


def expected(packets_, flow, application=None):
    return {"flow": flow, "application": application, "packets": len(packets_),
            "bytes": sum(packet.length for packet in packets_)}


def flows():
    """Once in order, and once with all flows' packets between each other's."""
    texts = [text for text, _ in FLOWS]
    samples = [captures.sample(text) for text in texts]
    for name, order in (("one after another", [p for s in samples for p in s]),
                        ("between each other", [p for s in samples for p in s[:1]] +
                         [p for s in samples for p in s[1:]])):
        have = rows(put(order))
        times = [(row.pop("start"), row.pop("end")) for row in have]
        tap.same(have, [expected(sample, flow) for sample, (_, flow) in zip(samples, FLOWS)], name)
        tap.ok(all(start <= end for start, end in times), "times are in order", times)


def times():
    sample = captures.sample("3 * " + FLOWS[1][0])
    (row,) = rows(put([sample[1], sample[0], sample[2]]))
    tap.same([row["start"][:19], row["end"][:19]], ["2023-11-14T22:13:20", "2023-11-14T22:13:22"],
             "the earliest and the latest packet's time, whatever the order")


def carried():
    for text, application in CARRIED:
        sample = captures.sample(text)
        (row,) = rows(put(sample))
        tap.same([row["application"], row["flow"]["a_port"]], [application, 5], f"{application} is what is carried")


def no_ports():
    sample = captures.sample(NO_PORTS)
    tap.same(rows(put(sample)), [{"without_ports": {"packets": 4, "bytes": sum(p.length for p in sample)}}],
             "packets without ports are counted")


def text():
    ended = read(put(captures.sample(FLOWS[4][0] + "\n" + FLOWS[3][0] + "\n" + NO_PORTS)))
    lines = [line.split() for line in ended.stdout.splitlines()]
    tap.same(lines[0][:5], ["flow", "a", "b", "application", "packets"], "text: a head")
    tap.same(lines[1][:5] + lines[1][-2:], ["tcp", "10.0.0.1:4000", "10.0.0.2:80", "-", "2", "vlan", "5"], "a flow")
    tap.same(lines[2][:5], ["udp", "[fe80::1]:1", "[fe80::2]:2", "-", "2"], "IPv6 in brackets")
    tap.same(ended.stdout.splitlines()[3:], [f"4 packets, {sum(p.length for p in captures.sample(NO_PORTS))} bytes "
                                             "without ports"], "and the rest")


def broken():
    path = put(captures.sample(FLOWS[0][0]))
    with open(path, "ab") as file:
        file.write(b"1234")
    ended = read("--format", "json", path)
    tap.same([ended.returncode, len(ended.stdout.splitlines()), ended.stderr.count("\n")], [1, 1, 1],
             "a file that is cut short: what was whole, a line on stderr, and status 1")


def main():
    flows()
    times()
    carried()
    no_ports()
    text()
    broken()
    tap.done()


main()
