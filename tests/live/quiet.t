#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The library as a guest: what a program that uses all of it does, as strace sees it."""
import collections
import os
import re
import subprocess
import tempfile

import netns
import place
import tap

HELPER = place.helper("guest")
# All that the library may ask the kernel for while one of its calls runs.
ALLOWED = {
    "open": {"bpf", "openat", "read", "pread64", "close", "mmap", "munmap", "brk", "mremap",
             "sched_getaffinity", "getpid", "geteuid"},
    "attach": {"uname", "getsockopt", "setsockopt", "getsockname", "ioctl", "bpf", "close", "brk", "mmap",
               "munmap", "mremap"},
    "set_interval": {"timerfd_create", "timerfd_settime"},
    "get_filter": {"getsockopt"},
    "sockets": set(),
    "snapshot": set(),
    "fd": set(),
    "threshold_add": {"brk", "mmap"},
    "threshold_remove": set(),
    "close": {"close", "munmap", "brk", "futex"},
}
ALLOWED["poll"] = ALLOWED["attach"] | {"poll", "read", "fcntl"}
ALLOWED["set_filter"] = ALLOWED["detach"] = ALLOWED["attach"]
# Functions that a guest doesn't call. (atexit() it does: its handler only notes that what comes is no dlclose().)
FORBIDDEN = re.compile(
    r"^(v?f?printf|__v?f?printf_chk|puts|fputs|putchar|perror|stdout|stderr|f?write|exit|_exit|abort|"
    r"signal|sigaction|sigprocmask|pthread_create|fork|vfork|clone|exec.*|system|"
    r"popen|posix_spawn.*|set[ug]id|setre[su].*|prctl|setrlimit.*|prlimit.*|setenv|putenv|chdir|"
    r"umask|srand|getenv|syslog|alarm|setitimer)$")


def calls_of(trace):
    """[(library call, [(system call, its line)...])...] from strace's lines."""
    calls, inside = [], None
    for line in trace.splitlines():
        line = re.sub(r"^\d+ +", "", line)
        marker = re.match(r'write\(-1, "(begin|end) (\w+)"', line)
        if marker:
            inside = (marker[2], []) if marker[1] == "begin" else None
            if inside:
                calls.append(inside)
        elif inside:
            name = re.match(r"(\w+)\(", line)
            inside[1].append((name[1] if name else "?", line))
    return calls


def look(calls):
    by_name = collections.defaultdict(list)
    for name, made in calls:
        by_name[name] += made
    tap.same(sorted(by_name), sorted(ALLOWED), "every call was seen")
    for name, made in sorted(by_name.items()):
        other = sorted({line for system, line in made if system not in ALLOWED.get(name, set())})
        tap.ok(not other, f"{name}: asks the kernel for {', '.join(ALLOWED.get(name, ())) or 'nothing'} at most",
               "\n".join(other[:5]))
    opened = [line for _, made in calls for system, line in made
              if system == "openat" and "O_CLOEXEC" not in line]
    tap.same(opened, [], "every file is opened close-on-exec")


def symbols():
    text = subprocess.run(["nm", "-D", "--undefined-only", os.path.join(place.BUILD, "libsocktally.so")],
                          capture_output=True, text=True, check=True).stdout
    names = {line.split()[-1].partition("@")[0] for line in text.splitlines()}
    tap.same(sorted(filter(FORBIDDEN.match, names)), [], "the library can't print, exit, fork, ...")
    own = subprocess.run(["nm", "-D", "--defined-only", os.path.join(place.BUILD, "libsocktally.so")],
                         capture_output=True, text=True, check=True).stdout
    others = [name for name in (line.split()[-1].partition("@")[0] for line in own.splitlines())
              if not re.match(r"socktally_|SOCKTALLY_", name)]
    tap.same(others, [], "and exports only names of its own")


def main():
    netns.need("strace", "nm")
    tap.time_limit(60)
    with tempfile.TemporaryDirectory() as folder:
        trace = os.path.join(folder, "trace")
        run = subprocess.run(["strace", "-f", "-qq", "-o", trace, HELPER], capture_output=True,
                             text=True, check=False)
        with open(trace, encoding="utf-8", errors="replace") as file:
            text = file.read()
    tap.same((run.returncode, run.stderr), (0, ""), "the program's own checks")
    if run.returncode:
        tap.diag(run.stdout)
    look(calls_of(text))
    tap.ok(not re.search(r"\b(clone3?|v?fork)\(", text), "no thread, no process")
    symbols()
    tap.done()


main()
