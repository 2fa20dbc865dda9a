#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""make bench: runs the rows, prints a table, and writes bench/results.json.

BENCH=NAME[,NAME...] runs only these rows; BENCH_QUICK=1 only sees that each runs.
"""
import datetime
import json
import os
import platform
import subprocess
import sys
import time

import lib

ROWS = ("sender", "cost", "apps", "hooks", "classes", "groups", "snapshot", "scrape", "overload", "slowdown", "userspace",
        "startup", "read", "scale")
HERE = os.path.dirname(os.path.abspath(__file__))
WIDTH = 44


def cpu_model():
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
        fields = dict(part.split(":", 1) for part in file.read().split("\n\n")[0].splitlines()
                      if ":" in part)
    return {key.strip(): value.strip() for key, value in fields.items()}.get("model name", "")


def read(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""


def machine():
    """What the figures depend on."""
    folder = "/sys/devices/system/cpu/vulnerabilities"
    mitigations = {name: read(f"{folder}/{name}") for name in sorted(os.listdir(folder))
                   } if os.path.isdir(folder) else {}
    return {"machine": platform.machine(), "cpu": cpu_model(), "cpus": os.cpu_count(),
            "kernel": platform.release(), "os": read("/etc/debian_version"),
            "jit": read("/proc/sys/net/core/bpf_jit_enable"),
            "mitigations": {name: text for name, text in mitigations.items()
                            if text != "Not affected"},
            "load": os.getloadavg(),
            "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")}


def number(value):
    if value is None:
        return ""
    if value and (abs(value) >= 1e6 or abs(value) < 0.01):
        return f"{value:.3g}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def spread(row):
    """Half of the middle half, of the value."""
    if row.get("runs", 0) < 2 or not row["value"]:
        return ""
    return f"±{50 * (row['spread'][1] - row['spread'][0]) / abs(row['value']):.0f}%"


def show(row):
    if "absent" in row:
        print(f"{row['name']:{WIDTH}} absent: {row['absent']}", flush=True)
        return
    baseline = row.get("baseline")
    line = f"{row['name']:{WIDTH}}"
    if "value" in row:
        line += f" {number(row['value']):>9} {row['unit']:6} {spread(row):>5}"
    if baseline:
        line += (f"  {number(baseline['value']):>9} {spread(baseline):>5} "
                 f"{number(row['ratio']):>7}x {baseline['name']}")
    print(line, flush=True)
    for goal in row["goals"]:
        print(f"{'':{WIDTH}} goal {goal['goal']}: {goal['result']}", flush=True)
    if row.get("note"):
        print(f"{'':{WIDTH}} ({row['note']})", flush=True)


def rows_of(name):
    """What a row's script prints, as it comes."""
    with subprocess.Popen([sys.executable, os.path.join(HERE, f"row_{name}.py")],
                          stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True) as process:
        for line in process.stdout:
            if line.startswith("{"):
                yield json.loads(line)
            else:  # a traceback
                print(line, end="", file=sys.stderr)
    if process.returncode:
        yield {"name": name, "absent": f"failed with status {process.returncode}", "failed": True}


def chosen():
    wanted = os.environ.get("BENCH", "").replace(",", " ").split()
    unknown = [name for name in wanted if name not in ROWS]
    if unknown:
        sys.exit(f"BENCH={','.join(unknown)}: no such row; there are {' '.join(ROWS)}")
    return wanted or ROWS


def main():
    names = chosen()
    if os.geteuid() != 0:
        sys.exit("make bench loads BPF programs and makes network namespaces: run it as root")
    rows, about, seconds = [], machine(), {}
    print(f"{about['cpu']}, {about['cpus']} CPUs, Linux {about['kernel']}, load "
          f"{about['load'][0]:.1f}; medians, ± half of the middle half\n"
          f"{'':{WIDTH}} {'ours':>9} {'':6} {'':>5}  {'baseline':>9} {'':>5} {'ratio':>8}", flush=True)
    if about["load"][0] > 0.5 * about["cpus"]:
        print("the machine is busy: of these figures only those in which nothing waits mean much", flush=True)
    for name in names:
        start = time.monotonic()
        for row in rows_of(name):
            show(row)
            rows.append(row)
        seconds[name] = round(time.monotonic() - start, 1)
    about["seconds"] = seconds
    path = os.path.join(lib.BUILDDIR, "bench", "results.json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"schema": "socktally-bench/1", **about, "quick": lib.QUICK, "rows": rows}, file,
                  indent=1)
        file.write("\n")
    results = [goal["result"] for row in rows for goal in row.get("goals", ())]
    print(f"{len(rows)} figures in {sum(seconds.values()):.0f} s "
          f"({', '.join(f'{name} {took:.0f}' for name, took in seconds.items())}): "
          f"{results.count('met')} goals met, "
          f"{results.count('missed')} missed, {results.count('too wide to tell')} too wide to tell; "
          f"{path}")
    sys.exit(any(row.get("failed") for row in rows))


try:
    main()
except KeyboardInterrupt:
    sys.exit("interrupted: bench/results.json is as it was")
