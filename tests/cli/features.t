#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""`socktally features`: what it says of this machine is what happens when one tries, as root and as
others; and wrong use of it."""
import json
import os
import re
import subprocess
import sys

import live
import tap

NAMES = ("bpf meter perfmon jit direct_reads applications hooks classes functions packet_socket socket_program option_memory "
         "pidfd_getfd packet_diag program_list").split()


def features(*wrap):
    """The report of features, by name, as some kind of user."""
    out = subprocess.run([*wrap, live.SOCKTALLY, "features", "--format", "json"], capture_output=True,
                         text=True, check=True)
    report = json.loads(out.stdout)
    tap.same((out.stdout.count("\n"), out.stderr), (1, ""), "one line, and no other word")
    tap.same([feature["name"] for feature in report["features"]], NAMES, "all of them are there")
    return report, {feature["name"]: feature for feature in report["features"]}


def watch_works(*wrap):
    """Whether counting does work, which is what the user wants to know."""
    done = subprocess.run([*wrap, live.SOCKTALLY, "watch", "-i", "lo", "-c", "0.1"],
                          capture_output=True, text=True, check=False)
    return done.returncode == 0


def consistent(who, *wrap):
    report, have = features(*wrap)
    tap.same(report["schema"], "socktally-features/1", f"{who}: schema")
    tap.same((report["kernel"], report["machine"], report["byte_order"]),
             (os.uname().release, os.uname().machine, sys.byteorder), f"{who}: the machine")
    tap.same(report["commands"]["watch"]["works"], watch_works(*wrap), f"{who}: watch as it says")
    tap.same(report["commands"]["read"], {"works": True, "lacks": None}, f"{who}: read works")
    tap.ok(all(feature["found"] for feature in have.values()), f"{who}: each says what was found")
    lacks = [command["lacks"] for command in report["commands"].values() if not command["works"]]
    tap.ok(all(have[name]["there"] is not True for name in lacks), f"{who}: what lacks isn't there")
    return have


def main():
    live.need()
    report, _ = features()
    consistent("root")
    if subprocess.run(["capsh", "--drop=cap_net_raw", "--", "-c", "true"], check=False,
                      capture_output=True).returncode == 0:
        have = consistent("no CAP_NET_RAW", "capsh", "--drop=cap_net_raw", "--", "-c", 'exec "$0" "$@"')
        tap.same(have["packet_socket"]["there"], False, "no CAP_NET_RAW: no packet socket")
        have = consistent("no BPF", "capsh", "--drop=cap_bpf,cap_perfmon,cap_sys_admin", "--", "-c",
                          'exec "$0" "$@"')
        tap.same((have["bpf"]["there"], have["meter"]["there"], have["direct_reads"]["there"]),
                 (False, False, False), "no BPF: not there")
    else:
        tap.skip("with less than root has", "needs capsh")
    text = subprocess.run([live.SOCKTALLY, "features"], capture_output=True, text=True, check=True).stdout
    tap.ok(all(len(line) < 80 and line == line.rstrip() for line in text.splitlines()),
           "the text has lines of less than 80 columns", text)
    manual = subprocess.run([live.SOCKTALLY, "--help"], capture_output=True, text=True, check=True).stdout
    commands = set(re.findall(r"^  socktally ([a-z]+) ", manual, re.M)) - {"features"}
    tap.same(set(report["commands"]), commands, "JSON has every command")
    tap.same(set(re.findall(r"^socktally (\w+) +(?:yes|no) ", text, re.M)), commands, "so has the text")
    for wrong, word in (("now", "'now'"), ("--format=xml", "xml"), ("-x", "'-x'")):
        done = subprocess.run([live.SOCKTALLY, "features", wrong], capture_output=True, text=True,
                              check=False)
        tap.ok(done.returncode == 2 and word in done.stderr and not done.stdout, f"wrong use: {wrong}",
               done.stderr)
    tap.done()


main()
