#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Rows of --by against what tshark's fields say of the same packets: those of paths.txt, and captures of
others where there are any (a folder in CAPTURES, or ../shared/captures), 30 of them, or all with
TEST_ALL=1."""
import collections
import glob
import ipaddress
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

import packets
import place
import tap

COMMAND = os.environ.get("SOCKTALLY", "./socktally")
CAPTURES = os.environ.get("CAPTURES", os.path.join(place.SOURCES, "..", "shared", "captures"))
COMBINATIONS = """
eth.src | eth.dst | eth.src,eth.dst | eth.src/24 | eth.type | eth.type,eth.dst | vlan.id | vlan.id,vlan.priority
vlan.id,ip.dst | inner.vlan.id | mpls.label | mpls.label,mpls.exp,mpls.ttl | arp.opcode
arp.src.proto_ipv4,arp.dst.proto_ipv4 | ip.src | ip.dst/24 | ip.dst/24,tcp.dstport | ip.src,ip.dst | ip.proto
ip.src/8,ip.proto | ip.ttl | ip.ttl/16 | ip.dsfield.dscp,ip.dsfield.ecn | ip.flags,ip.frag_offset | ip.len
inner.ip.src,inner.ip.dst | ipv6.src | ipv6.dst/64 | ipv6.flow | ipv6.src,ipv6.nxt,ipv6.hlim | ipv6.tclass.dscp
icmp.type,icmp.code | icmpv6.type,icmpv6.code | tcp.srcport | tcp.dstport/1024 | tcp.flags | tcp.flags,ip.dst
tcp.window_size_value | tcp.len | udp.srcport,udp.dstport | inner.udp.dstport | udp.length | sctp.srcport,sctp.dstport
dccp.srcport,dccp.dstport | gre.proto | gre.key | gre.key,inner.ip.dst | vxlan.vni | geneve.vni | gtp.teid
frame.len/1 | frame.len | frame.len/64,ip.proto | vxlan.vni,inner.eth.dst
""".replace("\n", "|").split("|")
COMBINATIONS = [text.strip() for text in COMBINATIONS if text.strip()]
TSHARK = ("tshark -n -o ip.defragment:FALSE -o ipv6.defragment:FALSE -o tcp.desegment_tcp_streams:FALSE "
          "-o ip.tso_support:TRUE -T fields -E separator=; -E occurrence=a -E aggregator=, -e frame.protocols").split()
ENOUGH = 0.9995
# Of packets of our own, where tshark differs for a reason (docs/groups.md).
EXPLAINED = {
    "llc/snap(oui=0x80c2": "the first Ethernet header has a length and no type",
    "eth(dst=01:00:0c:00:00:05": "tshark has no fields of an ISL header's addresses",
    "length=0": "tshark works out what an IP length of 0 stands for",
    "ip(length=19)": "tshark reads no further after a length that can't be",
    "/trim(": "what is there of a header that is cut short has its fields, though it is no layer for tshark",
    "eth/cfp": "tshark has no type of an Ethernet header around FabricPath",
    "udplite": "tshark has a udp.length there, which is what the checksum covers",
}


def names():
    with open(os.path.join(place.SOURCES, "include/socktally/protocols.def"), encoding="utf-8") as lines:
        return dict(re.findall(r'SOCKTALLY_PROTOCOL\(\d+, (\w+), "([^"]*)"', lines.read()))


def last_layers():
    """Inside these there is nothing that is read: tshark reads what an ICMP error quotes, for instance."""
    with open(os.path.join(place.SOURCES, "bpf/parse/dispatch.def"), encoding="utf-8") as lines:
        found = re.findall(r"ST_CODE\((.*), (\w+), (\w+), \d+\)", lines.read())
    symbols = names()
    return ({symbols[symbol] for *_, symbol in found} -
            {symbols[symbol] for _, parser, symbol in found if parser != "LAST"})


NAMES, LAST = set(names().values()), last_layers()


def parse(text):
    """(inner, name, prefix or None) of each field."""
    out = []
    for field in text.split(","):
        name, _, prefix = field.removeprefix("inner.").partition("/")
        out.append((field.startswith("inner."), name, int(prefix) if prefix else None))
    return out


FIELDS = sorted({name for text in COMBINATIONS for _, name, _ in parse(text)})


def known(protocols):
    """The layers that are read, as far as they are the same in ours."""
    path = []
    for layer in protocols.split(":"):
        if layer == "ethertype":
            continue
        if layer not in NAMES:
            break
        path.append(layer)
        if layer in LAST:
            break
    return path


def value_of(name, text, prefix):
    if name == "frame.len":
        number = int(text)
        if prefix is None:
            low = 1 << (number.bit_length() - 1) if number else 0
            return f"{low}-{2 * low - 1}" if low > 1 else str(low)
        return f"{number & -prefix}-{(number & -prefix) + prefix - 1}" if prefix > 1 else number
    if ":" in text and not name.startswith("ipv6"):
        if prefix is None:
            return text
        number = int(text.replace(":", ""), 16) >> (48 - prefix) << (48 - prefix)
        return ":".join(f"{number:012x}"[i:i + 2] for i in range(0, 12, 2)) + f"/{prefix}"
    if ":" in text or text.count(".") == 3:
        address = ipaddress.ip_address(text)
        if prefix is None or prefix == address.max_prefixlen:
            return str(address)
        return str(ipaddress.ip_network(f"{text}/{prefix}", strict=False))
    number = int(text, 0)
    if prefix and prefix > 1:
        return f"{number & -prefix}-{(number & -prefix) + prefix - 1}"
    return number


def ours_value(name, value):
    if isinstance(value, str) and value.startswith("0x"):
        return int(value, 16)
    if isinstance(value, str) and name.startswith("ipv6"):
        address, _, prefix = value.partition("/")
        return str(ipaddress.ip_network(value)) if prefix else str(ipaddress.ip_address(address))
    return value


def of_tshark(capture):
    """For each combination how many packets have each key."""
    run = subprocess.run([*TSHARK, *(word for name in FIELDS for word in ("-e", name)), "-r", capture],
                         capture_output=True, text=True, errors="replace", check=False)
    counters = {text: collections.Counter() for text in COMBINATIONS}
    for line in run.stdout.splitlines():
        columns = line.split(";")
        path = known(columns[0])
        texts = dict(zip(FIELDS, columns[1:]))
        for text in COMBINATIONS:
            key = []
            for inner, name, prefix in parse(text):
                layer = name.split(".")[0]
                count = 1 if layer == "frame" else path.count(layer) + (layer == "udp") * path.count("udplite")
                values = [value for value in texts[name].split(",") if value]
                if not count or not values:
                    break
                if layer == "mpls":
                    count = 1
                key.append(value_of(name, values[min(count, len(values)) - 1] if inner else values[0], prefix))
            counters[text][tuple(key) if len(key) == len(parse(text)) else "none"] += 1
    return counters


def of_ours(capture):
    run = subprocess.run([COMMAND, "read", "--format", "json", "--keys", "65536",
                          *(word for text in COMBINATIONS for word in ("--by", text)), capture],
                         capture_output=True, text=True, check=False)
    report = json.loads(run.stdout)
    counters = {}
    for group in report["groups"]:
        kinds = parse(group["name"])
        counter = counters[group["name"]] = collections.Counter()
        total = group["none"]["packets"] + group["other"]["packets"]
        for row in group["rows"]:
            counter[tuple(ours_value(name, value) for (_, name, _), value in zip(kinds, row["key"]))] += row["packets"]
            total += row["packets"]
        if group["none"]["packets"]:
            counter["none"] = group["none"]["packets"]
        if total != report["totals"]["packets"]:
            tap.ok(False, f"{capture}: {group['name']} adds up", f"{total}")
    return counters


def compare(capture):
    """How many of how many keys' packets agree."""
    have, want = of_ours(capture), of_tshark(capture)
    agree = total = 0
    for text in COMBINATIONS:
        total += want[text].total()
        same = (have[text] & want[text]).total()
        agree += same
        if same != want[text].total():
            tap.diag(f"{os.path.basename(capture)} {text}: ours {dict(have[text] - want[text])}, "
                     f"tshark {dict(want[text] - have[text])}"[:400])
    return agree, total


def read_as_tshark(wanted):
    """Those of which tshark reads the same layers: tshark.t is about the others. Of some link types it
    takes a header away that is in the file."""
    with tempfile.NamedTemporaryFile(prefix="socktally-test-", suffix=".pcapng") as file:
        file.write(packets.pcapng(wanted))
        file.flush()
        run = subprocess.run([*TSHARK, "-e", "frame.len", "-r", file.name], capture_output=True, text=True,
                             check=False)
        theirs = [line.split(";") for line in run.stdout.splitlines()]
    return [packet for packet, (protocols, length) in zip(wanted, theirs)
            if packet.path == ":".join(known(protocols)) and packet.length == int(length) and
            not any(text in packet.text for text in EXPLAINED)]


def own_packets():
    with open(place.data("paths.txt"), encoding="utf-8") as file:
        wanted = list(packets.read(line for line in file if not line.startswith(("!", "?"))))
    wanted = read_as_tshark(wanted)
    tap.ok(len(wanted) > 200, f"{len(wanted)} packets of our own")
    with tempfile.NamedTemporaryFile(prefix="socktally-test-", suffix=".pcapng") as file:
        file.write(packets.pcapng(wanted))
        file.flush()
        agree, total = compare(file.name)
    tap.same(agree, total, "our own packets: keys agree")


def captures():
    files = sorted(glob.glob(os.path.join(CAPTURES, "*", "*.pcap*")))
    if not files:
        tap.skip("captures of others", f"none in {CAPTURES}")
        return
    if not os.environ.get("TEST_ALL"):
        files = files[::max(len(files) // 30, 1)]
    agree = total = 0
    for name in files:
        one, all_ = compare(name)
        agree, total = agree + one, total + all_
    tap.ok(agree >= ENOUGH * total, f"{agree} of {total} keys in {len(files)} files agree")


def main():
    if not shutil.which("tshark"):
        tap.skip_all("no tshark")
    tap.time_limit(1800 if os.environ.get("TEST_ALL") else 200)
    tap.ok(len(COMBINATIONS) >= 40, f"{len(COMBINATIONS)} combinations of {len(FIELDS)} fields")
    own_packets()
    captures()
    tap.done()


sys.exit(main())
