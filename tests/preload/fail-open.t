#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Whatever is missing, forbidden or broken: the tool does what it does without socktally, and one
line says why it isn't metered."""
import datetime
import json
import os
import re
import signal
import subprocess
import tempfile
import threading
import time

import live
import netns
import place
import shim
import tap

STEPS = ("socket:raw:0 bind:near:0 bind:near:3 filter:reject packets filter:udp get:0 get:4 ready "
         "packets detach name").split()
AT_ONCE = "socket:raw:3 filter:udp get:4 bind:near:3 ready packets".split()
NO_BPF = ["capsh", "--drop=cap_bpf,cap_sys_admin,cap_perfmon", "--", "-c", 'exec "$0" "$@"']

with open(os.path.join(place.SOURCES, "proto/broker.h"), encoding="utf-8") as header:
    VERSION = re.search(r"^#define BROKER_VERSION (\d)$", header.read(), re.M)[1]

# name, the text that says why, a command around everything, the environment
CASES = [
    ("BPF is not permitted", "BPF is not permitted", NO_BPF, {}),
    ("no such command", "/nowhere: no such file", [], {"SOCKTALLY_COMMAND": "/nowhere"}),
    ("a control sequence in its name", "/no??where: no such file", [], {"SOCKTALLY_COMMAND": "/no\u009bwhere"}),
    ("a directory for a command", "/tmp: no such file", [], {"SOCKTALLY_COMMAND": "/tmp"}),
    ("a command that ends", "ended", [], {"SOCKTALLY_COMMAND": "/bin/true"}),
    ("a command that stays", "has ended", [], {"SOCKTALLY_COMMAND": "HANGS"}),
    ("no such shim", "/nowhere", [], {"SOCKTALLY_PRELOAD": "/nowhere"}),
    ("a shim with a space", "space", [], {"SOCKTALLY_PRELOAD": "SPACE"}),
    ("a channel of nobody's", "out of reach", [],
     {"SOCKTALLY_CHANNEL": f"{VERSION}:3:77:0:1:{'0' * 32}:{'1' * 32}:000:0"}),
]


def compare(name, way, plain, metered, reason):
    tap.same(metered.out, plain.out, f"{way}, {name}: the same to the tool")
    tap.same(metered.status, plain.status, f"{way}, {name}: status {plain.status}")
    lines = [line for line in shim.lines_of(metered.err) if "still loading" not in line]
    if reason is None:
        tap.same(lines, [], f"{way}, {name}: nothing is said")
    else:
        tap.ok(len(lines) == 1 and reason in lines[0], f"{way}, {name}: one line says {reason!r}",
               metered.err)


def missing_parts(sender, folder):
    hangs = os.path.join(folder, "hangs")
    with open(hangs, "w", encoding="ascii") as file:
        file.write("#!/bin/sh\nexec sleep 3\n")
    os.chmod(hangs, 0o755)
    space = os.path.join(folder, "a space")
    with open(space, "w", encoding="ascii") as file:
        file.write("")
    for name, reason, wrap, environment in CASES:
        environment = {key: {"HANGS": hangs, "SPACE": space}.get(value, value)
                       for key, value in environment.items()}
        for steps in STEPS, AT_ONCE:
            plain = shim.run("plain", steps, sender, wrap=wrap)
            for way in "run", "preload":
                own = {"SOCKTALLY_PRELOAD": "run", "SOCKTALLY_COMMAND": "preload",
                       "SOCKTALLY_CHANNEL": "preload"}
                if any(own[key] != way for key in environment):
                    continue
                if wrap: # it is to be around the broker, too
                    metered = run_wrapped(way, steps, sender, wrap)
                else:
                    metered = shim.run(way, steps, sender, environment=environment)
                compare(name, way, plain, metered, reason)


def run_wrapped(way, steps, sender, wrap):
    """The wrapper is around the tool and socktally."""
    metered = [live.SOCKTALLY, "run", "--"] if way == "run" else ["env", f"LD_PRELOAD={shim.SHIM}"]
    guest = shim.Guest("plain", [*wrap, *metered, shim.HELPER, *steps])
    while guest.wait_ready():
        netns.send(sender, shim.FRAMES)
        time.sleep(0.02)
        guest.go_on()
        guest.out += b"sent\n"
    return guest.finish()


def small_option_memory(sender):
    """Filters that fit into the option memory alone, but not beside our program; and longer ones."""
    path = "/proc/sys/net/core/optmem_max"
    if not os.path.exists(path):
        tap.skip("optmem_max", "not of a network namespace in this kernel")
        return
    with open(path, encoding="ascii") as file:
        before = file.read()
    with open(path, "w", encoding="ascii") as file:
        file.write("20480")
    for length in 50, 150, 250, 300, 350, 400, 450, 500, 550, 600, 700, 900, 1200, 4096:
        steps = (f"socket:raw:0 bind:near:3 filter:udp filter:{length} get:0 ready packets "
                 f"filter:{length} filter:reject filter:udp ready packets detach").split()
        plain = shim.run("plain", steps, sender)
        for way in "run", "preload":
            metered = shim.run(way, steps, sender)
            tap.same(metered.out, plain.out, f"{way}, optmem_max 20480, {length} instructions")
            lines = shim.lines_of(metered.err)
            tap.ok(not lines or len(lines) == 1 and "optmem_max" in lines[0],
                   "one line at most says optmem_max", metered.err)
    with open(path, "w", encoding="ascii") as file:
        file.write(before)


# the broker's own socket has no memory for a filter; the tool's have
NO_MEMORY = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <sys/socket.h>
int setsockopt(int fd, int level, int name, const void *value, socklen_t length)
{
	int domain = 0;
	socklen_t size = sizeof(domain);
	getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size);
	if (level == SOL_SOCKET && name == SO_ATTACH_FILTER && domain == AF_UNIX) {
		errno = ENOMEM;
		return -1;
	}
	return ((int (*)(int, int, int, const void *, socklen_t))dlsym(RTLD_NEXT, "setsockopt"))(
		fd, level, name, value, length);
}
"""


def no_memory_of_ours(sender, folder):
    """The kernel says what the tool hears, and the socket is metered again."""
    library = f"{folder}/no-memory.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-w", "-o", library, "-x", "c", "-"], input=NO_MEMORY, text=True,
                   check=True)
    steps = "socket:raw:0 bind:near:3 filter:udp get:4 ready packets filter:reject filter:udp get:4 ready packets"
    plain = shim.run("plain", steps.split(), sender)
    metered = shim.run("run", steps.split(), sender, environment={"LD_PRELOAD": library})
    tap.same((metered.out, metered.status), (plain.out, plain.status), "run, no memory of ours: the same to the tool")
    tap.same(shim.packets_of(metered.report), 12, "and its packets are counted")
    tap.same(shim.lines_of(metered.err), [], "nothing to say")


def few_descriptors(sender):
    for limit in 4, 5, 6, 7, 8, 12, 40, 60, 1024, 4096:
        wrap = ["prlimit", f"--nofile={limit}:{limit}"]
        plain = shim.run("plain", STEPS, sender, wrap=wrap)
        metered = shim.run("preload", STEPS, sender, wrap=wrap)
        tap.same(metered.out, plain.out, f"preload, {limit} descriptors: the same to the tool")
        lines = shim.lines_of(metered.err)
        if limit > 12:
            tap.same(shim.packets_of(metered.report), 6, "and counted")
        else:
            tap.ok(len(lines) <= 1, "one line at most", metered.err)
        metered = run_wrapped("run", STEPS, sender, wrap)
        tap.same(metered.out, plain.out, f"run, {limit} descriptors: the same to the tool")
        tap.ok(len(shim.lines_of(metered.err)) <= 1, "one line at most", metered.err)
        soft = ["prlimit", f"--nofile={limit}:4096"]
        metered = shim.run("run", STEPS, sender, wrap=soft)
        tap.same(metered.out, plain.out, f"run, {limit} of 4096 descriptors: the same to the tool")


def closed_streams(sender):
    for closed in "2>&-", "0<&- 2>&-", "2>/dev/full":
        wrap = ["sh", "-c", f'exec "$0" "$@" {closed}']
        steps = ["socket:raw:0", "bind:near:3", "filter:udp", "packets", "get:0"]
        plain = shim.run("plain", steps, sender, wrap=wrap)
        for environment in {}, {"SOCKTALLY_COMMAND": "/nowhere"}, {"SOCKTALLY_COMMAND": "/bin/true"}:
            metered = shim.run("preload", steps, sender, wrap=wrap, environment=environment)
            tap.same(metered.out, plain.out, f"preload {closed} {environment}: the same to the tool")
        metered = shim.run("run", steps, sender, wrap=wrap)
        tap.same(metered.out, plain.out, f"run {closed}: the same to the tool")


def full_pipe(sender):
    """A standard error that nobody reads does not hold the tool up."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    try:
        while True:
            os.write(writer, b"x" * 4096)
    except BlockingIOError:
        os.set_blocking(writer, True)
    wrap = ["sh", "-c", f'exec "$0" "$@" 2>&{writer}']
    steps = ["socket:raw:0", "bind:near:3", "filter:udp", "packets"]
    metered = shim.run("preload", steps, sender, wrap=wrap, pass_fds=[writer],
                       environment={"SOCKTALLY_COMMAND": "/nowhere"})
    plain = shim.run("plain", steps, sender)
    tap.same(metered.out, plain.out, "a full pipe for standard error: the same to the tool")
    os.close(reader)
    metered = shim.run("preload", steps, sender, wrap=wrap, pass_fds=[writer],
                       environment={"SOCKTALLY_COMMAND": "/nowhere"})
    tap.same((metered.out, metered.status), (plain.out, plain.status),
             "a closed pipe for standard error: no SIGPIPE for the tool")
    os.close(writer)


def stopped_broker(sender):
    plain = shim.run("plain", STEPS, sender)
    for way, word in ("preload", "broker"), ("run", "run"):
        before = set(shim.processes(word))
        guest = shim.Guest(way, [shim.HELPER, "ready", *STEPS])
        guest.wait_ready()
        while not (stopped := set(shim.processes(word)) - before):
            time.sleep(0.01) # it may not have its name yet
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        started = time.monotonic()
        guest.out = b""
        guest.go_on()
        guest.wait_ready()
        netns.send(sender, shim.FRAMES)
        time.sleep(0.02)
        guest.go_on()
        guest.out += b"sent\n"
        threading.Timer(1, lambda pids=stopped: [os.kill(pid, signal.SIGCONT) for pid in pids]).start()
        metered = guest.finish()
        tap.same(metered.out, plain.out, f"{way}, a stopped broker: the same to the tool")
        tap.ok(time.monotonic() - started < 12, "and it is waited for once")
        tap.ok(len(shim.lines_of(metered.err)) == 1, "one line says so", metered.err)


def no_more_processes():
    """No broker can be started: no descriptor of ours stays in the tool."""
    user = ["setpriv", "--reuid", "65534", "--clear-groups"]
    if subprocess.run([*user, "test", "-r", shim.SHIM], check=False).returncode:
        return # a build where only its owner looks
    plain, metered = (subprocess.run(
        [*user, "prlimit", "--nproc=0", "env", *preload, "ls", "/proc/self/fd"], capture_output=True, text=True,
        check=False) for preload in ([], [f"LD_PRELOAD={shim.SHIM}"]))
    tap.same((metered.stdout, metered.returncode), (plain.stdout, 0), "no more processes: the same descriptors")


def hooks_without_bpf():
    """Where nothing can be metered, hooks and classes are no reason not to start the tool."""
    for way in ("run",), ("run", "--attach"):
        for option in ("--hook", "sizes"), ("--class", "a=tcp"):
            done = subprocess.run([*NO_BPF, live.SOCKTALLY, *way, *option, "--", "sh", "-c", "exit 5"],
                                  capture_output=True, check=False)
            tap.same(done.returncode, 5, f"{' '.join(way)} {option[0]} without BPF: the tool runs")


def no_socket():
    """A tool that opens none has a report for scripts: of the time in which it ran."""
    for way in ("run",), ("run", "--attach"):
        before = time.time()
        done = subprocess.run([live.SOCKTALLY, *way, "--format", "json", "--", "true"], capture_output=True,
                              text=True, check=False)
        report = json.loads(next(line for line in done.stderr.splitlines() if line.startswith("{")))
        start = datetime.datetime.fromisoformat(report["start"].replace("Z", "+00:00")).timestamp()
        tap.ok(before - 1 < start < time.time() and report["start"] < report["end"], f"{' '.join(way)}: its time",
               report)


def main():
    shim.need("capsh", "prlimit", "setpriv")
    tap.time_limit(400)
    net = netns.Net()
    sender = net.sender("far")
    brokers = len(shim.processes("broker"))
    folder = subprocess.run(["mktemp", "-d"], capture_output=True, text=True,
                            check=True).stdout.strip()
    try:
        missing_parts(sender, folder)
    finally:
        subprocess.run(["rm", "-rf", folder], check=True)
    small_option_memory(sender)
    with tempfile.TemporaryDirectory(prefix="socktally-test-") as folder:
        no_memory_of_ours(sender, folder)
    few_descriptors(sender)
    closed_streams(sender)
    full_pipe(sender)
    stopped_broker(sender)
    no_more_processes()
    hooks_without_bpf()
    no_socket()
    tap.ok(shim.gone(brokers), "no broker is left behind")
    tap.done()


main()
