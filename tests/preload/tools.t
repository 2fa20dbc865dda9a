#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Real tools, unchanged: each case of tools.txt runs plain and metered past the same traffic. What the
tool says and writes, its exit status and how it leaves the interface are equal, and the tally is what
was sent. Arguments: names of tools, or numbers of lines, for a part of the table; with TOOLS_WAYS=plain the tool is
held against itself, which tells what varies by itself."""
import concurrent.futures
import os
import pickle
import shutil
import subprocess
import sys
import tempfile

import live
import netns
import place
import shim
import tap
import tool_compare
import tool_run
import tool_table

RUN = os.path.join(os.path.dirname(os.path.abspath(tool_run.__file__)), "tool_run.py")
APART = "unshare --mount --pid --fork --kill-child=KILL --mount-proc".split()
AT_ONCE = 2 + 2 * len(os.sched_getaffinity(0))
TRIES = 3


def run(case, way):
    """What tool_run.py has to tell of one run; in words if it failed."""
    with tempfile.TemporaryDirectory(prefix="socktally-test-") as folder:
        os.chmod(folder, 0o755)
        done = subprocess.run([*APART, sys.executable, RUN, str(case.number), way, folder],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, errors="replace", check=False)
        try:
            with open(f"{folder}/result", "rb") as file:
                return pickle.load(file)
        except OSError:
            return f"exit status {done.returncode}: {done.stdout}"


def missing(case):
    """Why a case can't be run, or ""."""
    if shutil.which("dpkg-query"):
        status = subprocess.run(["dpkg-query", "-W", "-f", "${db:Status-Status}", case.tool.package],
                                capture_output=True, text=True, check=False).stdout
        there = status == "installed"
    else:
        there = shutil.which(case.tool.name)
    return "" if there else f"{case.tool.package} isn't installed"


def check_page():
    made = subprocess.run([sys.executable, f"{place.SOURCES}/docs/tools.py"], capture_output=True, text=True,
                          check=False)
    with open(f"{place.SOURCES}/docs/tools.md", encoding="utf-8") as file:
        tap.same(file.read(), made.stdout, "docs/tools.md is current (docs/tools.py makes it)")


def compared(case, way, plain, metered):
    """The checks of a case that has been run, as (condition, name, why)."""
    name, checks, real = f"{way}: {' '.join(case.command)[:80]}", [], tap.ok

    def note(condition, what, why=""):
        checks.append((bool(condition), what, why))
        return bool(condition)
    if isinstance(plain, str) or isinstance(metered, str):
        return [(False, f"{name}: runs", f"plain: {plain}\nmetered: {metered}")]
    tap.ok = note
    try:
        tool_compare.compare(case, name, plain, metered)
        if way != "plain":
            tool_compare.tally(case, name, metered)
    finally:
        tap.ok = real
    return checks


def check(case, way, plain, metered):
    """
    Tools have races of their own, which a busy machine brings out: where something differs, both runs
    are made again, and with no others beside them. What counts is what differs each time.
    """
    checks = compared(case, way, plain, metered)
    for _ in range(TRIES - 1):
        if all(condition for condition, _, _ in checks):
            break
        for _, name, why in (row for row in checks if not row[0]):
            tap.diag(f"once more, as this differed: {name}\n{why}")
        plain, metered = run(case, "plain"), run(case, way)
        checks = compared(case, way, plain, metered)
    for row in checks:
        tap.ok(*row)
    if not all(condition for condition, _, _ in checks) and not isinstance(plain, str) and \
            not isinstance(metered, str):
        show("plain", plain)
        show(way, metered)


def show(name, result):
    """All of a run that a case failed with."""
    tap.diag(f"--- {name}")
    for what, value in result.items():
        tap.diag(f"{what}: {tool_compare.shown(value)}")


def main():
    netns.need("ip", "unshare")
    live.need()
    shim.need()
    tap.time_limit(900)
    check_page()
    cases = [case for case in tool_table.read()
             if not sys.argv[1:] or {case.tool.name, str(case.number)} & set(sys.argv[1:])]
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        runs, done = [], []
        for case in cases:
            ways = (os.environ.get("TOOLS_WAYS") or case.options["ways"]).split(",")
            why = missing(case)
            runs.append((case, why, [] if why else [(way, pool.submit(run, case, way))
                                                    for way in ["plain", *ways]]))
        for case, why, futures in runs:
            if why:
                tap.skip(" ".join(case.command)[:80], why)
                continue
            for way, future in futures[1:]:
                done.append((case, way, futures[0][1].result(), future.result()))
    for row in done:
        check(*row)
    tap.done()


main()
