#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""docs/protocols.md is what its script makes of protocols.def, and the numbers there are as they
should be."""
import os
import re
import subprocess
import sys

import place
import tap

LIST = os.path.join(place.SOURCES, "include", "socktally", "protocols.def")


def text_of(*path):
    with open(os.path.join(place.SOURCES, *path), encoding="utf-8") as file:
        return file.read()


def main():
    run = subprocess.run([sys.executable, os.path.join(place.SOURCES, "docs", "protocols.py"), LIST],
                         capture_output=True, text=True, check=False)
    tap.same(run.stdout, text_of("docs", "protocols.md"),
             "docs/protocols.md is current (docs/protocols.py makes it)")
    rows = re.findall(r'^SOCKTALLY_PROTOCOL\((\d+), (\w+), "([^"]*)"', text_of(
        "include", "socktally", "protocols.def"), re.M)
    numbers = [int(number) for number, _, _ in rows]
    tap.ok(all(0 < number < 250 for number in numbers), "numbers from 1 to 249", numbers)
    for what, column in (("number", 0), ("symbol", 1), ("name", 2)):
        values = [row[column] for row in rows]
        tap.same(len(set(values)), len(values), f"each {what} once")
    used = set(re.findall(r", ([A-Z0-9_]+), \d+\)", text_of("bpf/parse", "dispatch.def")))
    for name in ("bpf/parse/parse.h", "bpf/parse/walk.h", "plugin/count/envelope.c"):
        used |= set(re.findall(r"\bST_([A-Z0-9_]+)\b", text_of(name)))
    if "TYPE0" in used:  # and those that follow it
        used |= {"TYPE1", "TYPE2", "TYPE3"}
    tap.same(sorted({symbol for _, symbol, _ in rows} - used), [], "the parser knows each")
    tap.done()


main()
