#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Every row of the benchmark runs, and results.json says what it should. No figure is judged."""
import json
import os
import shutil
import subprocess
import sys

import bench_programs
import netns
import place
import tap

# Others' programs that don't run everywhere.
OTHERS = {"sender/xdp-trafficgen", "startup/BCC", "apps"}


def may_be_absent(row):
    """What is said to be missing is missing; and it is not tcpdump, which all tests have."""
    tool, installed, _ = row["absent"].partition(" is not installed")
    return row["name"] in OTHERS or (installed and tool != "tcpdump" and not shutil.which(tool))


def check_row(row):
    name = row["name"]
    if "absent" in row and may_be_absent(row) and not row.get("failed"):
        return tap.skip(name, row["absent"])
    if "absent" in row:
        return tap.ok(False, f"{name}: absent, {row['absent']}")
    figure = "value" not in row or isinstance(row["value"], (int, float)) and len(row["spread"]) == 2
    ratio = "baseline" not in row or isinstance(row["ratio"], (int, float))
    return tap.ok(figure and ratio and isinstance(row["goals"], list), name, json.dumps(row))


def main():
    netns.need("ip")
    tap.time_limit(300)
    bench_programs.build()
    ran = subprocess.run([sys.executable, f"{place.SOURCES}/bench/bench.py"], stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, text=True, check=False,
                         env={**os.environ, "BENCH_QUICK": "1", "SRCDIR": place.SOURCES,
                              "BUILDDIR": place.BUILD})
    tap.ok(ran.returncode == 0, "every row runs", ran.stdout)
    with open(f"{place.BUILD}/bench/results.json", encoding="utf-8") as file:
        results = json.load(file)
    tap.same(results["schema"], "socktally-bench/1", "results.json: its schema")
    for field in ("machine", "kernel", "cpu", "cpus", "date"):
        tap.ok(results.get(field), f"results.json: {field}")
    for row in results["rows"]:
        check_row(row)
    os.unlink(f"{place.BUILD}/bench/results.json")  # not worth keeping
    tap.done()


main()
