#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Completion in bash, zsh and fish: what each offers is what --help has."""
import os
import re
import shutil
import subprocess
import tempfile

import captures
import place
import tap

FOLDER = tempfile.TemporaryDirectory(prefix="socktally-test-")
COMPLETIONS = os.path.join(place.SOURCES, "completions")


def environment():
    """One in which `socktally` is the command under test."""
    os.symlink(captures.SOCKTALLY, os.path.join(FOLDER.name, "socktally"))
    return {**os.environ, "PATH": f"{FOLDER.name}:{os.environ['PATH']}", "HOME": FOLDER.name, "TERM": "dumb",
            "XDG_CONFIG_HOME": FOLDER.name, "XDG_DATA_HOME": FOLDER.name}


ENVIRONMENT = environment()


def run(*command):
    return subprocess.run(command, env=ENVIRONMENT, cwd=FOLDER.name, capture_output=True, text=True, timeout=60, check=False).stdout


def bash(line):
    words = re.split(r" |(?<==)|(?==)", line)
    quoted = " ".join(f"'{word}'" for word in words)
    out = run("bash", "--norc", "-c", f". {COMPLETIONS}/socktally.bash; COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; "
              "_socktally 2>/dev/null; printf '%s\\n' \"${COMPREPLY[@]}\"")
    return set(out.split())


def fish(line):
    out = run("fish", "--no-config", "-c", f"source {COMPLETIONS}/socktally.fish; complete -C '{line}'")
    return {row.split("\t")[0] for row in out.splitlines()}


def zsh(line):
    """The completion in a terminal of its own: what it would add is written down instead."""
    script = f"""
    fpath=({COMPLETIONS} $fpath)
    autoload -Uz _socktally
    _describe() {{ local -a all; all=(${{(P)argv[-1]}}); print -l -- ${{all%%:*}} }}
    compadd() {{ [[ $1 == -a ]] && print -l -- ${{(P)2}} || print -l -- $@ }}
    compset() {{ true }}
    _files() {{ print -l -- *(N) }}
    words=({' '.join(f"'{word}'" for word in line.split(' '))}); CURRENT=$#words
    _socktally
    """
    return set(run("zsh", "-f", "-c", script).split())


def offered(shell, line):
    """Those that begin with the last word: bash and fish choose by themselves, zsh later."""
    last = re.split("[ =]", line)[-1]
    return {word.split("=")[-1] if "=" in line and word.startswith("--") else word for word in shell(line)
            if word.split("=")[-1].startswith(last) or word.startswith(last)}


def helped(command):
    text = captures.run(command, "--help")[1].decode()
    return set(re.findall(r"^ {2,6}(?:-\w, )?(--[a-z-]+)", text, re.M))


def main():
    tap.time_limit(400)
    open(os.path.join(FOLDER.name, "capture.pcap"), "wb").close()
    commands = set(re.findall(r"^  socktally ([a-z]+) ", captures.run("--help")[1].decode(), re.M))
    tap.ok({"run", "watch", "read", "attach", "list"} <= commands, "there are commands")
    for name, shell in (("bash", bash), ("zsh", zsh), ("fish", fish)):
        if not shutil.which(name):
            tap.skip(name, f"no {name}")
            continue
        tap.same(offered(shell, "socktally "), commands, f"{name}: commands")
        tap.same(offered(shell, "socktally re"), {"read"}, f"{name}: a command that was begun")
        for command in ("read", "watch", "list"):
            have = {word for word in shell(f"socktally {command} --") if word.startswith("--")}
            tap.same(have, helped(command), f"{name}: options of {command}")
        tap.same(offered(shell, "socktally read --format "), {"text", "json", "csv", "html", "phs", "openmetrics", "prometheus"}, f"{name}: formats")
        tap.same(offered(shell, "socktally list --format "), {"text", "json"}, f"{name}: formats of list")
        tap.same(offered(shell, "socktally read --sort "), {"packets", "bytes", "in", "out", "accepted", "lost", "name"}, f"{name}: columns")
        tap.same(offered(shell, "socktally read --units "), {"si", "iec", "exact", "bits", "bytes"}, f"{name}: units")
        tap.ok({"any", "lo"} <= offered(shell, "socktally watch -i "), f"{name}: interfaces")
        tap.ok("capture.pcap" in offered(shell, "socktally read capt"), f"{name}: files", offered(shell, "socktally read capt"))
    tap.done()


main()
