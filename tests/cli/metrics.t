#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Metrics, read by the parsers of Prometheus' own client and by promtool: OpenMetrics and the text format.
Their numbers are those of the JSON report, and no counter ever goes backwards."""
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time

import captures
import live
import metrics
import netns
import packets
import place
import tap
from metrics import parsed, paths

FOLDER = tempfile.TemporaryDirectory(prefix="socktally-test-")
COUNTS = ("packets", "segments", "bytes", "accepted_packets", "accepted_bytes")
SAMPLE = "\n".join(f"{n} * {line}" for n, line in enumerate((
    "eth/arp/pad(60)", "eth/ip/udp(dport=53)/data(30)", "eth/ip/icmp/data(56)", "eth/ipv6/icmpv6/data(47)",
    "eth/vlan(id=5)/ip/icmp/data(9)", "eth/ip/gre/ip/icmp/data(11)", "eth/ip/tcp(flags=S,options=20)"), 1))


def read(form, *arguments):
    run = subprocess.run([live.SOCKTALLY, "read", "--format", form, *arguments], capture_output=True, timeout=60,
                         check=False, text=True)
    tap.ok(not run.stderr and run.returncode == 0, f"read --format {form}", f"{run.returncode} {run.stderr}")
    return run.stdout


def put(name, text=SAMPLE):
    path = os.path.join(FOLDER.name, name)
    with open(path, "wb") as file:
        file.write(captures.pcap(captures.sample(text)))
    return path


def as_json():
    """Paths, classes and what is over."""
    path = put("a.pcap")
    extra = ("--class", 'we"b\\=udp', "--class", "rest=not udp")
    report = json.loads(read("json", *extra, path))
    for form in "openmetrics", "prometheus":
        text = read(form, *extra, path)
        found = parsed(text, form)
        for counter in COUNTS:
            tap.same(paths(found, counter), {(row["path"], row["direction"]): row[counter] for row in report["paths"]},
                     f"{form}: {counter} of each path")
        tap.same({dict(labels)["class"]: value for (name, labels), value in found.items()
                  if name == "socktally_class_bytes_total"},
                 {entry["name"]: entry["bytes"] for entry in report["classes"]},
                 f"{form}: classes, one with a quote and a backslash in its name")
        tap.same(text.endswith("# EOF\n"), form == "openmetrics", f"{form}: how it ends")
    few = paths(parsed(read("openmetrics", "--series", "15", path), "openmetrics"))
    tap.same((len(few), sum(few.values())), (4, report["totals"]["packets"]),
             "--series 15: three paths with five counters each, and the others; the sum is the same")
    heavy = sorted(report["paths"], key=lambda row: row["bytes"])[-3:]
    tap.same(set(few), {(row["path"], row["direction"]) for row in heavy} | {("other", "in")},
             "the three with most bytes have their own")
    if not shutil.which("promtool"):
        tap.skip("promtool check metrics", "no promtool")
        return
    done = subprocess.run(["promtool", "check", "metrics"], input=read("prometheus", *extra, path), text=True,
                          capture_output=True, check=False, timeout=60)
    tap.ok(done.returncode == 0 and not done.stdout + done.stderr, "promtool check metrics: nothing to say",
           done.stdout + done.stderr)


def groups():
    """Rows of groups: with what is over they add up, and one that has metrics keeps them."""
    path = put("groups.pcap", "\n".join(f"{n} * eth/ip(src=10.0.{n}.1,dst=10.9.9.9)/udp(dport={n})/data({n})"
                                        for n in range(1, 21)))
    by = ("--by", "who=ip.src/24,udp.dstport@30", "--by", "what=tcp.dstport")
    report = json.loads(read("json", *by, path))
    for series, most in ("1000", 20), ("15", 3):
        found = parsed(read("openmetrics", "--series", series, *by, path), "openmetrics")
        rows = {name: value for (metric, name), value in found.items() if metric == "socktally_group_bytes_total"}
        who = {tuple(dict(name).get(key) for key in ("key_ip_src_24", "key_udp_dstport", "rows")): value
               for name, value in rows.items() if dict(name)["group"] == "who"}
        own = {key: value for key, value in who.items() if key[0]}
        want = {(row["key"][0], str(row["key"][1]), None): row["bytes"] for row in report["groups"][0]["rows"]}
        tap.same(own, dict(sorted(want.items(), key=lambda row: -row[1])[:most]), f"--series {series}: the largest rows")
        tap.same(sum(who.values()), report["totals"]["bytes"], f"--series {series}: all add up")
        tap.same([value for name, value in rows.items() if dict(name)["group"] == "what"],
                 [0, report["totals"]["bytes"]], "packets without the field are in rows=none")


def hooks():
    found = parsed(read("openmetrics", put("a.pcap")), "openmetrics")
    tap.ok(not any(name.startswith("socktally_hook") for name, _ in found), "no hooks, no metrics of them")


def refuses():
    for arguments, word in ((("--append", "-o", os.path.join(FOLDER.name, "x")), "--append"),
                            (("--series", "0"), "--series"), (("--series", "5x"), "--series")):
        done = subprocess.run([live.SOCKTALLY, "read", "--format", "openmetrics", *arguments, put("a.pcap")],
                              capture_output=True, text=True, check=False, timeout=60)
        tap.ok(done.returncode == 2 and word in done.stderr and done.stderr.count("\n") == 1,
               f"{' '.join(arguments)[:12]}: refused", done.stderr)


def over_time(net):
    """A file that is read while it is replaced, again and again."""
    path = os.path.join(FOLDER.name, "live.prom")
    with netns.start([live.SOCKTALLY, "watch", "-i", "near", "-I", "0.05", "--format", "openmetrics", "--series", "5",
                      "--hook", "talkers", "-o", path]) as watch:
        sender = net.sender("far")
        last, whole, backwards, reads = {}, True, [], 0

        def look():
            nonlocal last, whole, reads
            with open(path, encoding="utf-8") as file:
                text = file.read()
            whole = whole and text.endswith("# EOF\n")
            found = paths(parsed(text, "openmetrics"))
            backwards.extend(key for key in last if found.get(key, -1) < last[key])
            last, reads = found, reads + 1
        while not os.path.exists(path) or not os.path.getsize(path):
            time.sleep(0.01)
        for kind, count in ("eth/arp", 1), ("eth/ip/udp/data(1000)", 100), ("eth/ip(src=1.2.3.4)/icmp", 10), ("eth/ipv6/udp", 9):
            netns.send(sender, [packets.frame(kind)] * count)
            for _ in range(20):
                look()
                time.sleep(0.01)
        watch.send_signal(signal.SIGINT)
        tap.same(watch.wait(20), 0, "watch -o: status")
        look()
    tap.ok(whole, "each read of the file has a whole report")
    tap.same(backwards, [], f"no counter goes backwards or vanishes in {reads} reads")
    tap.same(last, {("eth:arp", "in"): 1, ("other", "in"): 119},
             "the first path keeps its metrics, though later ones have more bytes; counts are since the beginning")
    with open(path, encoding="utf-8") as file:
        found = parsed(file.read(), "openmetrics")
    rows = {dict(labels).get("rows", dict(labels).get("key_source")): value for (name, labels), value in found.items()
            if name == "socktally_hook_value" and dict(labels)["field"] == "packets"}
    tap.ok(rows.get("other") and sum(rows.values()) == 119, "the rows of a hook, and a sum of those that are over", rows)


def shipped():
    """The rules and the dashboard: promtool's tests, and only metrics that there are."""
    folder = os.path.join(place.SOURCES, "examples")
    with open(os.path.join(folder, "grafana-dashboard.json"), encoding="utf-8") as file:
        dashboard = json.load(file)
    with open(os.path.join(folder, "prometheus-rules.yml"), encoding="utf-8") as file:
        texts = [line for line in file if not line.strip().startswith("#")]
    texts += [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    used = {name for text in texts for name in re.findall(r"\bsocktally_[a-z_]+", text)}
    with open(os.path.join(place.SOURCES, "tools/formats/openmetrics.c"), encoding="utf-8") as file:
        source = file.read()
    names = re.findall(r'\{\s*"([a-z_]+)",\s*"[A-Z]', source)
    have = ({f"socktally_{prefix}{name}_total" for name in names for prefix in ("", "class_", "hook_")} |
            {f"socktally_{name}" for name in re.findall(r'begin_gauge\(writer, "([a-z_]+)"', source)})
    tap.ok(len(used) > 6 and used <= have, "rules and dashboard ask for metrics that there are", used - have)
    if not shutil.which("promtool"):
        tap.skip("promtool test rules", "no promtool")
        return
    done = subprocess.run(["promtool", "test", "rules", "prometheus-rules-test.yml"], cwd=folder, capture_output=True,
                          text=True, check=False, timeout=60)
    tap.same((done.returncode, "FAILED" in done.stdout), (0, False), "promtool test rules")
    done = subprocess.run(["promtool", "check", "rules", "prometheus-rules.yml"], cwd=folder, capture_output=True,
                          text=True, check=False, timeout=60)
    tap.same(done.returncode, 0, "promtool check rules")


def main():
    tap.time_limit(120)
    metrics.need()
    as_json()
    groups()
    hooks()
    refuses()
    shipped()
    live.need()
    over_time(netns.Net())
    tap.done()


main()
