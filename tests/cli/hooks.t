#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Hooks on the command line: what a real tcpdump gets is what the rule says, the report accounts for
the rest, counting hooks count what was sent, and a hook that can't be taken stops nothing else."""
import collections
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import live
import netns
import packets
import place
import tap

CLANG = os.environ.get("CLANG", "clang")
Rule = collections.namedtuple("Rule", "matches takes")


def matching(path):
    """A function that says whether a path is meant: by regular expression, unlike the hook."""
    parts = [".*?" if part == "*" else ":" + re.escape(part) for part in path.split(":")]
    pattern = re.compile("(:[^:]+)*?".join([""] + [part for part in parts if part == ".*?"])
                         if all(part == ".*?" for part in parts) else "".join(parts) + "(:|$)")
    return lambda of: bool(pattern.match(":" + of))


def length_of(kind):
    """What the hook sees of a received frame, and the tag that it doesn't."""
    seen = len(live.as_received(kind.packet.data))
    return seen, len(kind.packet.data) - seen


def captured(tool):
    return [record[2:] for record in live.records(tool.read("out.pcap"))]


def hook_of(report, name):
    return {hook["name"]: hook for hook in report.get("hooks", [])}.get(name, {})


def run(net, hooks, kinds, expression=()):
    """tcpdump with hooks on known traffic: the exit status, what it wrote, the report."""
    options = [word for hook in hooks for word in ("--hook", hook)]
    tool = live.Tool(["tcpdump", "-i", "near", "-n", "-w", "out.pcap", *expression],
                     options=options)
    netns.send(net.sender("far"), live.frames(kinds))
    live.settle([tool])
    status = tool.stop()
    if status:
        tap.diag(tool.read("stderr").decode())
    return status, captured(tool), tool.report()


def words(net):
    """The text tells what the filter accepts from what hooks take of it, and names a hook as it was given."""
    for expression, lines in (
            ((), ["dropped by hooks: 6 packets, 252 B", "left for the tool: 0 packets, 0 B"]),
            (("arp",), ["dropped by hooks: 6 packets, 252 B", "left for the tool: 0 packets, 0 B"]),
            (("udp",), ["accepted by the filter: 0 packets (0.0 %), 0 B"])):
        watch = netns.start([live.SOCKTALLY, "watch", "-i", "near", "-I", "0.2", "-c", "2", "--hook", "drop=*:arp",
                             "--hook", "drop=*:icmp", *(["-f", *expression] if expression else [])],
                            stdout=subprocess.PIPE, text=True)
        watch.stdout.readline()
        netns.send(net.sender("far"), [packets.frame("eth/arp")] * 6)
        text = next((part for part in watch.communicate(timeout=20)[0].split("\n\nnear") if "6 packets" in part), "")
        tap.ok(all(line in text.splitlines() for line in lines) and "hook drop=*:arp (priority" in text and
               "hook drop-2, drop=*:icmp (priority" in text and
               (not expression or expression == ("udp",) or "accepted by" not in text),
               f"drop with the filter {expression}: who took what", text)


def intervals(net):
    """Rows of an interval's report are of the interval, as the tree is; top=1 is of the interval, too."""
    watch = netns.start([live.SOCKTALLY, "watch", "-i", "near", "-I", "60", "--format", "json", "--hook", "talkers,top=1",
                         "--hook", "tcpflags", "--hook", "rate"], stdout=subprocess.PIPE, text=True)
    folder = f"/proc/{watch.pid}/fd"
    while not any("signalfd" in os.readlink(f"{folder}/{name}") for name in os.listdir(folder)):
        time.sleep(0.01)
    reports = []
    for one, other in ((5, 0), (2, 3), (0, 0), (4, 1)):
        netns.send(net.sender("far"), [packets.frame("eth/ip/udp(dport=9)")] * one +
                   [packets.frame("eth/ip/tcp(dport=10)")] * other)
        watch.send_signal(signal.SIGUSR1)
        reports.append(json.loads(watch.stdout.readline()))
    watch.send_signal(signal.SIGINT)
    reports.append(json.loads(watch.stdout.readline()))
    watch.wait()
    table = [[(row["destination_port"], row["packets"]) for row in hook_of(report, "talkers")["rows"]]
             for report in reports]
    tap.same(table, [[(9, 5)], [(10, 3)], [], [(9, 4)], []], "talkers with -I: who sent most in the interval")
    table = [[row["packets"] for row in hook_of(report, "tcpflags")["rows"]] for report in reports]
    tap.same(table, [[], [3], [], [1], []], "an array with -I: what is new")
    rates = [hook_of(report, "rate")["rows"] for report in reports]
    tap.ok([sum(row["packets"] for row in rows) for rows in rates] == [5, 5, 0, 5, 0] and
           abs(rates[1][0]["packets_per_second"] - 5 / reports[1]["seconds"]) <= 1 and
           rates[3][0]["peak_packets_per_second"] >= rates[1][0]["peak_packets_per_second"],
           "rate with -I: packets and their rate are of the interval, the peak is of all", rates)


def expected_file(kinds, rule):
    """How often each (original length, bytes) is in the file."""
    table = collections.Counter()
    for kind in kinds:
        seen, tag = length_of(kind)
        keep = seen if not rule.matches(kind.packet.path) else rule.takes(seen)
        if keep:
            table[len(kind.packet.data), kind.packet.data[:keep + tag]] += kind.copies
    return table


def verdict(net, hook, rule):
    kinds = live.traffic(2)
    status, got, report = run(net, [hook], kinds)
    name = hook.split("=")[0]
    tap.same(status, 0, f"{hook}: tcpdump's exit status")
    tap.same(collections.Counter(got), expected_file(kinds, rule), f"{hook}: tcpdump's file")
    dropped = cut = dropped_bytes = cut_bytes = 0
    for kind in kinds:
        seen, tag = length_of(kind)
        keep = rule.takes(seen) if rule.matches(kind.packet.path) else seen
        if not keep:
            dropped += kind.copies
            dropped_bytes += kind.copies * (seen + tag)
        elif keep < seen:
            cut += kind.copies
            cut_bytes += kind.copies * (seen - keep)
    of = hook_of(report, name)
    tap.same([of.get(field) for field in
              ("dropped_packets", "dropped_bytes", "cut_packets", "cut_bytes")],
             [dropped, dropped_bytes, cut, cut_bytes], f"{hook}: what it took is counted")
    totals = report["totals"]
    tap.same(totals["packets"], sum(kind.copies for kind in kinds), f"{hook}: all are counted")
    tap.same(totals["accepted_packets"], len(got), f"{hook}: accepted is what tcpdump got")
    tap.same(totals["bytes"] - totals["accepted_bytes"], dropped_bytes + cut_bytes,
             f"{hook}: bytes accepted and taken are all there were")


def numbers(net):
    """A pattern with the number of a layer that is not known."""
    made = list(packets.read(["eth(type=0x88b5)/data(50)", "eth(type=0x88b6)/data(50)", "eth/ip(proto=253)/data(40)",
                              "eth/ip(proto=252)/data(40)", "eth/ip/udp/data(30)"]))
    for path, want in (("eth:0x88b5", 1), ("*:253", 1), ("eth:ip:252", 1), ("eth:0x88b7", 0), ("*", 5)):
        _, got, report = run(net, [f"drop={path}"], [live.Kind(packet, 3) for packet in made])
        tap.same((len(got), hook_of(report, "drop").get("dropped_packets")),
                 (3 * (5 - want), 3 * want), f"drop={path}")


def verdicts(net):
    drop, whole = (lambda seen: 0), (lambda seen: seen)
    for path in ("eth:ip:udp", "*:tcp", "eth:*:ip:*:icmp", "*", "eth:arp", "*:vlan:*:ip", "eth"):
        verdict(net, f"drop={path}", Rule(matching(path), drop))
    for path, size in (("eth:ip", 60), ("*:udp", 30), ("*", 20), ("eth:arp", 5000)):
        verdict(net, f"snap={path}:{size}", Rule(matching(path), lambda seen, size=size: min(seen, size)))
    verdict(net, "snap=eth:ip:0", Rule(matching("eth:ip"), drop))
    verdict(net, "sample=*:udp:1/1", Rule(matching("*:udp"), whole))


def sampled(net):
    """One in N of those that tcpdump's filter takes; the others as ever."""
    kinds = live.traffic(2)
    status, got, report = run(net, ["sample=*:udp:1/10"], kinds)
    is_udp = matching("*:udp")
    by_data = {kind.packet.data: kind for kind in kinds}
    udp = sum(kind.copies for kind in kinds if is_udp(kind.packet.path))
    others = sum(kind.copies for kind in kinds if not is_udp(kind.packet.path))
    mine = sum(is_udp(by_data[data].packet.path) for _length, data in got)
    tap.same(status, 0, "sample: tcpdump's exit status")
    # Before Linux 5.12 each CPU counts for itself, and takes the first that it sees.
    own_counts = tuple(int(number) for number in os.uname().release.split(".")[:2]) < (5, 12)
    most = -(-udp // 10) + (os.cpu_count() - 1 if own_counts else 0)
    tap.ok(-(-udp // 10) <= mine <= most, "sample: one in ten of the packets", f"{mine} of {udp}")
    tap.same(len(got) - mine, others, "sample: all of the others")
    tap.same(hook_of(report, "sample").get("dropped_packets"), udp - mine, "sample: the rest is counted")

    flows = list(packets.read([f"eth/ip/udp(sport={1000 + i},dport=7)/data(20)" for i in range(200)]
                              + [f"eth/ip(src=10.0.0.2,dst=10.0.0.1)/udp(sport=7,dport={1000 + i})/data(20)"
                                 for i in range(200)]))
    kinds = [live.Kind(packet, 3) for packet in flows]
    status, got, report = run(net, ["sample=eth:ip:udp:1/4,flow"], kinds)
    passed = collections.Counter(data for _length, data in got)
    ports = {data: max(data[34:36], data[36:38]) for data in (kind.packet.data for kind in kinds)}
    by_flow = collections.Counter(ports[data] for data in passed.elements())
    tap.same(set(by_flow.values()) <= {6}, True, "sample by flow: all packets of a flow, both ways")
    tap.ok(20 <= len(by_flow) <= 80, f"sample by flow: about one in four of 200 flows: {len(by_flow)}")


def sizes(kinds):
    steps = (64, 127, 255, 511, 1023, 1518)
    names = ("to_64", "to_127", "to_255", "to_511", "to_1023", "to_1518", "more")
    table = collections.defaultdict(lambda: dict.fromkeys(names, 0))
    for kind in kinds:
        step = sum(len(kind.packet.data) > limit for limit in steps)
        table[kind.packet.path][names[step]] += kind.copies
    return dict(table)


def counting(net):
    kinds = live.traffic(2)
    _status, _got, report = run(net, ["sizes", "rate", "icmp", "tcpflags", "talkers,top=1000"], kinds)
    rows = {row.pop("path"): row for row in hook_of(report, "sizes")["rows"] if row.pop("map")}
    tap.same(rows, sizes(kinds), "sizes: lengths by path")
    rate, = hook_of(report, "rate")["rows"]
    tap.same([rate["packets"], rate["bytes"]],
             [sum(kind.copies for kind in kinds), sum(kind.copies * len(kind.packet.data) for kind in kinds)],
             "rate: packets and bytes")
    tap.ok(rate["peak_packets_per_second"] >= max(rate["packets_per_second"], 100), "rate: a peak above the mean")

    lines = ["eth/ip/tcp(flags=S)", "eth/ip/tcp(flags=SA)", "eth/ip/tcp(flags=A,window=0)",
             "eth/ip/tcp(flags=FA)", "eth/ipv6/tcp(flags=R,window=0)", "eth/ip/tcp(flags=PA)/data(9)",
             "eth/ip/icmp(type=8)/data(20)", "eth/ip/icmp(type=3,code=1)/data(28)",
             "eth/ipv6/icmpv6(type=135)/data(20)",
             "eth/ip(src=10.9.9.9)/gre/ip(src=10.8.8.8)/udp(sport=5,dport=6)/data(10)"]
    kinds = [live.Kind(packet, 5 + i) for i, packet in enumerate(packets.read(lines))]
    _status, _got, report = run(net, ["icmp", "tcpflags", "talkers", "talkers,inner,host"], kinds)
    flags, = hook_of(report, "tcpflags")["rows"]
    tap.same({name: value for name, value in flags.items() if value},
             {"map": "tcpflags", "key": "in", "packets": 45, "syn": 5, "syn_ack": 6, "zero_window": 7,
              "fin": 8, "rst": 9, "psh": 10}, "tcpflags")
    rows = sorted((row["map"], row["type"], row["code"], row["name"], row["packets"])
                  for row in hook_of(report, "icmp")["rows"])
    tap.same(rows, [("icmp", 3, 1, "unreachable", 12), ("icmp", 8, 0, "echo_request", 11),
                    ("icmpv6", 135, 0, "v6_neighbor_solicitation", 13)], "icmp")
    flows = {(row["source"], row["source_port"], row["destination"], row["destination_port"],
              row["protocol"]): row["packets"] for row in hook_of(report, "talkers")["rows"]}
    tap.same(flows, {("10.0.0.1", 40000, "10.0.0.2", 9, "tcp"): 36, ("fd00::1", 40000, "fd00::2", 9, "tcp"): 9,
                     ("10.0.0.1", 0, "10.0.0.2", 0, "icmp"): 23, ("fd00::1", 0, "fd00::2", 0, "icmpv6"): 13,
                     ("10.9.9.9", 0, "10.0.0.2", 0, "gre"): 14}, "talkers: by the outer header")
    order = [row["bytes"] for row in hook_of(report, "talkers")["rows"]]
    tap.same(order, sorted(order, reverse=True), "talkers: the greatest first")
    pairs = {row["source"]: row["packets"] for row in hook_of(report, "talkers-2")["rows"]}
    tap.same(pairs, {"10.0.0.1": 59, "fd00::1": 22, "10.8.8.8": 14}, "talkers: pairs, by the inner header")


def several_sockets(net):
    """Two tcpdumps are two sockets of one meter, and every packet passes the hooks twice."""
    kinds = live.traffic(1)
    command = "tcpdump -ni near -w one.pcap & tcpdump -ni near -w two.pcap; wait"
    tool = live.Tool(["sh", "-c", command], options=["--hook", "sizes", "--hook", "drop=*:tcp"])
    netns.wait_for(tool.stderr_file, "listening on near", tool.process)
    for _ in range(200):
        if tool.read("stderr").count(b"listening on") == 2:
            break
        netns.time.sleep(0.01)
    netns.send(net.sender("far"), live.frames(kinds))
    live.settle([tool])
    tool.stop()
    report, packets_sent = tool.report(), sum(kind.copies for kind in kinds)
    tap.same(report["totals"]["packets"], 2 * packets_sent, "two sockets: each sees all")
    tap.same(sum(value for row in hook_of(report, "sizes")["rows"]
                 for name, value in row.items() if name not in ("map", "path")), 2 * packets_sent,
             "two sockets: the hooks see each socket's")
    left = sum(kind.copies for kind in kinds if not matching("*:tcp")(kind.packet.path))
    for name in ("one.pcap", "two.pcap"):
        tap.same(len(list(live.records(tool.read(name)))), left, f"two sockets: {name} has what is left")


def own_hooks(net, folder):
    """An object file, and its source: the report has its map and its variables."""
    source = place.data("steps.bpf.c")
    kinds, sent = live.traffic(1), sum(kind.copies for kind in live.traffic(1))
    steps = compiled("steps", folder)
    for file in (steps, source):
        status, got, report = run(net, [f"{file}:count@taken", f"{file}:cut@-5,bytes=77"], kinds)
        tap.same(status, 0, f"{os.path.basename(file)}: tcpdump's exit status")
        tap.same([(hook["name"], hook["priority"]) for hook in report["hooks"]], [("cut", -5), ("count", 300)],
                 "hooks are named by their functions, in their order")
        row, = hook_of(report, "count")["rows"]
        tap.same((row["map"], row["packets"], row["verdicts"]),
                 ("seen", sent, sum(min(77, length_of(kind)[0]) * kind.copies for kind in kinds)),
                 "its map is in the report")
        tap.ok(got and all(len(data) <= 77 + 4 for _length, data in got), "its variable is set")
    env = {**os.environ, "CLANG": "no-such-clang"}
    done = watch(f"{source}:count", env=env)
    tap.same((done.returncode, "there is no clang" in done.stderr, "clang -O2 -g -target bpf" in done.stderr),
             (1, True, True), "without clang: a line says how to build it")
    broken = os.path.join(folder, "broken.bpf.c")
    with open(broken, "w", encoding="ascii") as file:
        file.write("#include <socktally/hook.bpf.h>\nSOCKTALLY_HOOK(x, skb, packet) { return nothing; }\n")
    done = watch(broken)
    tap.same((done.returncode, "broken.bpf.c:2:" in done.stderr), (1, True), "clang's own messages come through")


def compiled(name, folder):
    path = os.path.join(folder, f"{name}.bpf.o")
    subprocess.run([CLANG, "-O2", "-g", "-Wall", "-target", "bpf", "-I", os.path.join(place.SOURCES, "include"), "-c",
                    place.data(f"{name}.bpf.c"), "-o", path], check=True)
    return path


def watch(*hooks, env=None, classes=()):
    options = [word for option, values in (("--hook", hooks), ("--class", classes)) for value in values
               for word in (option, value)]
    return subprocess.run([live.SOCKTALLY, "watch", "-i", "near", "-c", "0.05", "--format", "json", *options],
                          capture_output=True, text=True, check=False, env=env)


def refused(folder):
    """A line that tells the reason, and a tool that is not started without its hook."""
    file = compiled("refused", folder)
    reasons = {
        "endless": r"infinite loop detected|too large|back-edge",
        "past_the_end": r"invalid access|unbounded|outside of the|exceeding|out of range|R\d+ .*access",
        "no_null_check": r"map_value_or_null|NULL",
        "writes_the_packet": r"invalid bpf_context access|dereference of modified ctx",
        "ends_the_way": r"LD_ABS.*use socktally_load",
        "jumps_elsewhere": r"bpf_tail_call",
        "no_hook": r"SOCKTALLY_HOOK",
        "of_another_release": r"another release",
        "nothing": r"has no hook nothing: it has endless",
    }
    for function, reason in reasons.items():
        done = watch(f"{file}:{function}")
        lines = done.stderr.splitlines()
        tap.ok(done.returncode == 1 and len(lines) == 1 and re.search(reason, lines[0]),
               f"{function}: refused with a readable reason")
        tap.diag(done.stderr.strip()[:300])
    done = watch(compiled("greedy", folder))
    tap.ok(done.returncode == 1 and "more than 256 MiB" in done.stderr, "greedy: can't have all memory", done.stderr)
    tap.same(watch(f"{file}:works").returncode, 0, "another hook of the same file is taken")
    done = watch(file)
    tap.same((done.returncode, "several hooks" in done.stderr), (1, True), "which of several must be said")
    done = watch(f"{compiled('steps', folder)}:cut,nosuch=1")
    tap.ok(done.returncode == 1 and "'nosuch=1': has no such global variable: it has bytes" in done.stderr,
           "a variable that is not there: which there are", done.stderr)
    marker = os.path.join(folder, "ran")
    done = subprocess.run([live.SOCKTALLY, "run", "--hook", f"{file}:endless", "--", "touch", marker],
                          capture_output=True, text=True, check=False)
    tap.same((done.returncode, os.path.exists(marker)), (1, False), "run: the tool is not started without its hook")
    for hook in ("nosuch", "drop", "drop@x", "snap=eth", "snap=eth:x:", "sample=eth:2", "sizes=3", "sizes,inner",
                 "icmp@", f"{file}:works,nothing"):
        tap.ok(watch(hook).returncode in (1, 2), f"{hook}: refused")


UNAME = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <string.h>
#include <sys/utsname.h>
int uname(struct utsname *name)
{
	int result = ((int (*)(struct utsname *))dlsym(RTLD_NEXT, "uname"))(name);
	strcpy(name->version, "#1 SMP PREEMPT_RT of a test");
	return result;
}
"""


def preemptible(folder):
    """On a kernel that says so filters may preempt each other: no hooks, and counting as ever."""
    with open(f"{folder}/uname.c", "w", encoding="ascii") as file:
        file.write(UNAME)
    subprocess.run([*shlex.split(os.environ.get("CC", "cc")), "-shared", "-fPIC", "-o", f"{folder}/uname.so",
                    f"{folder}/uname.c"], check=True)
    env = {**os.environ, "LD_PRELOAD": f"{folder}/uname.so"}
    for name, done in (("hook", watch("sizes", env=env)), ("class", watch(env=env, classes=["a=tcp"]))):
        tap.ok(done.returncode == 1 and done.stderr.count("\n") == 1 and "PREEMPT_RT" in done.stderr,
               f"PREEMPT_RT: no {name}", done.stderr)
    done = watch(env=env)
    tap.same((done.returncode, done.stderr), (0, ""), "PREEMPT_RT: counting goes on")


def many(folder):
    file = compiled("steps", folder)
    done = watch(*[f"{file}:pass"] * 28)
    hooks = json.loads(done.stdout)["hooks"] if done.returncode == 0 else done.stderr
    tap.same([len(hooks), hooks[-1]["name"]], [28, "pass-28"], "28 hooks at once")
    done = watch(*[f"{file}:pass"] * 29)
    tap.same((done.returncode, "28 hooks at most" in done.stderr), (1, True), "and not 29")


def preload(net):
    """The same by the environment, with LD_PRELOAD alone."""
    shim = os.environ.get("SHIM", os.path.join(place.BUILD, "libsocktally-preload.so"))
    kinds = live.traffic(1)
    with tempfile.TemporaryDirectory() as folder:
        report = os.path.join(folder, "report")
        env = {"LD_PRELOAD": shim, "SOCKTALLY_FORMAT": "json", "SOCKTALLY_OUTPUT": report,
               "SOCKTALLY_HOOKS": "drop=*:tcp;sizes@500", "PATH": os.environ["PATH"]}
        tool = live.Tool(["env", *(f"{name}={value}" for name, value in env.items()), "tcpdump", "-ni", "near",
                          "-w", "out.pcap"], metered=False)
        netns.send(net.sender("far"), live.frames(kinds))
        live.settle([tool])
        tool.stop()
        with open(report, encoding="utf-8") as file:
            hooks = json.load(file)["hooks"]
    tap.same([(hook["name"], hook["priority"]) for hook in hooks], [("drop", -200), ("sizes", 500)],
             "SOCKTALLY_HOOKS: hooks without `socktally run`")
    tap.same(hooks[0]["dropped_packets"],
             sum(kind.copies for kind in kinds if matching("*:tcp")(kind.packet.path)), "and they take effect")


def tutorial():
    """examples/sockex gives the figures of the program that it was made of."""
    if not shutil.which("ping"):
        tap.skip("sockex", "needs ping")
        return
    netns.run("ip", "link", "set", "lo", "up")
    done = subprocess.run([os.path.join(place.BUILD, "examples/sockex"), os.path.join(place.BUILD, "examples/sockex.bpf.o")], capture_output=True, text=True, check=False)
    tap.same(done.stdout.splitlines(), [f"TCP 0 UDP 0 ICMP {196 * i} bytes" for i in range(5)],
             "the tutorial's figures")


def main():
    live.need("tcpdump")
    net = netns.Net()
    if "--builtin" in sys.argv:
        verdict(net, "drop=*:udp", Rule(matching("*:udp"), lambda seen: 0))
        verdict(net, "snap=eth:ip:60", Rule(matching("eth:ip"), lambda seen: min(seen, 60)))
        sampled(net)
        counting(net)
        tap.done()
    if not shutil.which(CLANG):
        tap.skip_all("needs clang")
    with tempfile.TemporaryDirectory(prefix="socktally-test-") as folder:
        words(net)
        intervals(net)
        verdicts(net)
        numbers(net)
        sampled(net)
        counting(net)
        several_sockets(net)
        own_hooks(net, folder)
        refused(folder)
        preemptible(folder)
        many(folder)
        preload(net)
    tutorial()
    tap.done()


if __name__ == "__main__":
    sys.exit(main())
