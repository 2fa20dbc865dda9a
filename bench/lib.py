# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""What the rows of the benchmark have in common: runs, their statistics, and rows.

A row is a script row_NAME.py that prints one line of JSON for each figure. What is compared is
measured in turn, ours and then the baseline, so that what disturbs the machine disturbs both; a
figure is the median of the runs, its ratio the median of the pairs' ratios, and the spread is where
the middle half of them lies. A goal is met or missed if the median of any number of such runs would be
at that side of it, with 95 % certainty; if not, the spread is too wide to tell.
"""
import contextlib
import itertools
import json
import math
import mmap
import os
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time

SRCDIR = os.environ.get("SRCDIR") or os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILDDIR = os.environ.get("BUILDDIR") or os.path.join(SRCDIR, "build")
sys.path.insert(0, os.path.join(SRCDIR, "tests/lib"))

import netns    # noqa: E402 pylint: disable=wrong-import-position
import packets  # noqa: E402 pylint: disable=wrong-import-position

SOCKTALLY = os.environ.get("SOCKTALLY") or os.path.join(BUILDDIR, "socktally")
QUICK = bool(os.environ.get("BENCH_QUICK"))
RUNS = 1 if QUICK else 11
MEMORY = "/dev/shm" if os.path.isdir("/dev/shm") else None
# Twelve kinds of packets, as an office's wire has them and some more.
MIX = ("eth/arp", "eth/ip/udp(dport=53)/data(60)", "eth/ip/tcp/data(120)", "eth/ip/icmp/data(56)",
       "eth/ip(options=8)/igmp", "eth/ip/sctp/data(40)", "eth/ip/gre/ip/udp/data(10)",
       "eth/ip/esp/data(90)", "eth/ipv6/udp/data(30)", "eth/ipv6/hopopts/icmpv6/data(8)",
       "eth/vlan(id=5)/ipv6/tcp/data(50)", "eth/llc/stp")


# Of one length, and all read by the same code: so it is the table that makes the difference, not what
# a processor guesses wrong where packets differ. (Tags won't do: two of 802.1ad in a row are one layer.)
HEADERS = ("hopopts", "dstopts", "routing(segments=0)")
ENDS = ("tcp", "icmpv6/data(16)", "sctp/data(8)", "dccp/data(4)", "esp/data(12)")


def full(value, quick):
    """How much of something: in earnest, or only to see that it runs."""
    return quick if QUICK else value


def program(name):
    """One of the programs beside this file, as it was built."""
    return os.path.join(BUILDDIR, "bench", name)


def hex_lines(named):
    """What the programs here read: {name: packet as text}."""
    return "".join(f"{name} {packets.frame(text).hex()}\n" for name, text in named.items())


def paths_of(texts):
    """Packets as text, each under its path."""
    return {packets.build(text).path: text for text in texts}


def many_paths(count):
    """Packets of the same depth, each of another path."""
    texts = ("/".join(("eth/ipv6", *headers, end, "pad(148)")) for headers in itertools.product(
        HEADERS, repeat=7) for end in ENDS)
    return {f"p{i}": text for i, text in enumerate(itertools.islice(texts, count))}


def quartiles(values):
    values = sorted(values)
    if len(values) < 2:
        return values[0], values[0]
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, high


def certain(values):
    """Below and above which the median that many more runs had would not be, either with 95 % certainty,
    however they are spread: how many of them are below it goes by the binomial distribution."""
    values, count = sorted(values), len(values)
    cut, chance = 0, 0.5 ** count
    while chance <= 0.05:
        cut += 1
        chance += math.comb(count, cut) * 0.5 ** count
    cut = max(cut - 1, 0)
    return values[cut], values[-1 - cut]


class Goal:
    """At most or at least so much, for the ratio or for the value itself."""
    def __init__(self, sign, bound, of="ratio"):
        self.sign, self.bound, self.of = sign, bound, of

    def holds(self, value):
        return value <= self.bound if self.sign == "<=" else value >= self.bound

    def judge(self, values):
        low, high = certain(values)
        if self.holds(low) == self.holds(high):
            return "met" if self.holds(low) else "missed"
        return "too wide to tell"

    def __str__(self):
        return f"{self.sign} {self.bound:g}{'x' if self.of == 'ratio' else ''}"


def summary(values):
    low, high = quartiles(values)
    return {"value": statistics.median(values), "spread": [low, high], "runs": len(values)}


def row(name, ours, unit, baseline=None, goals=(), note="", faster=False):
    """Prints a figure. ours: one value a run; baseline: (name, one value a run). The ratio is ours to
    the baseline, or, for how many times faster ours is, the baseline to ours."""
    out = {"name": name, "unit": unit, **summary(ours)}
    judged = {"value": ours}
    if baseline:
        pairs = zip(baseline[1], ours) if faster else zip(ours, baseline[1])
        judged["ratio"] = [a / b if b else float("inf") for a, b in pairs]
        out["baseline"] = {"name": baseline[0], **summary(baseline[1])}
        out["ratio_of"] = "baseline/ours" if faster else "ours/baseline"
        out["ratio"] = statistics.median(judged["ratio"])
        out["ratio_spread"] = list(quartiles(judged["ratio"]))
    out["goals"] = [{"goal": str(goal), "result": goal.judge(judged[goal.of])} for goal in goals]
    if note:
        out["note"] = note
    print(json.dumps(out), flush=True)


def fact(name, holds, text):
    """A row that is true or false."""
    print(json.dumps({"name": name, "goals": [{"goal": text, "result": "met" if holds else "missed"}]}),
          flush=True)


def absent(name, why):
    print(json.dumps({"name": name, "absent": why}), flush=True)


def have(name, tool, package):
    """Whether a tool is there; says what to install if not."""
    if shutil.which(tool):
        return True
    absent(name, f"{tool} is not installed: apt-get install {package}")
    return False


def figures(text):
    """'KEY WORD 1 2 3' lines: {(KEY, WORD): [1.0, 2.0, 3.0]}, with all words but the numbers."""
    table = {}
    for line in text.splitlines():
        words = line.split()
        key = tuple(word for word in words if not word[0].isdigit() and word[0] != "-")
        table[key] = [float(word) for word in words[len(key):]]
    return table


def run(command, stdin="", **options):
    return subprocess.run([str(word) for word in command], input=stdin, text=True, check=True,
                          stdout=subprocess.PIPE, **options).stdout


def pin(cpu, started):
    """For preexec_fn: a process's CPU; without a second one everything runs on the first. The time just
    before exec goes into memory that is shared with it: a fork of this interpreter takes milliseconds."""
    def act():
        netns.die_with_parent()
        os.sched_setaffinity(0, {min(cpu, (os.cpu_count() or 1) - 1)})
        started[:] = struct.pack("d", time.monotonic())
    return act


class Ended:
    """How a program ran, its children that it waited for included."""
    def __init__(self, status, usage, seconds):
        self.status, self.seconds = os.waitstatus_to_exitcode(status), seconds
        self.cpu = usage.ru_utime + usage.ru_stime
        self.memory = usage.ru_maxrss  # KiB


def timed(command, cpu=1, **options):
    """Runs a program to its end."""
    options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL,
               "stderr": subprocess.DEVNULL, **options}
    start = time.monotonic()
    with contextlib.closing(Process(command, cpu, **options)) as process:
        return process.ended(start)


def namespace(process, kind="pid"):
    return os.readlink(f"/proc/{process}/ns/{kind}")


class Process:
    """A program in the background, on a CPU of its own."""
    def __init__(self, command, cpu=1, **options):
        options.setdefault("stdin", subprocess.DEVNULL)
        with mmap.mmap(-1, 8) as started:
            self.process = subprocess.Popen([str(word) for word in command],
                                            preexec_fn=pin(cpu, started), start_new_session=True,
                                            **options)
            self.started, = struct.unpack("d", started[:])
        netns.started.append(self.process)

    def ended(self, start=None):
        """Waits for its end."""
        _, status, usage = os.wait4(self.process.pid, 0)
        self.process.returncode = os.waitstatus_to_exitcode(status)
        return Ended(status, usage, time.monotonic() - (start or self.started))

    def processes(self):
        """The numbers of those of its group, and, if it started processes in a namespace of their own,
        of all in there: whoever leaves the group stays in that."""
        inner = namespace(self.process.pid, "pid_for_children")
        for entry in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                if os.getpgid(int(entry)) == self.process.pid or \
                        namespace(entry) == inner != namespace("self"):
                    yield int(entry)

    def cpu(self):
        """Seconds of processor time that its processes have had so far."""
        total = 0
        for number in self.processes():
            with contextlib.suppress(OSError):
                for task in os.listdir(f"/proc/{number}/task"):
                    with open(f"/proc/{number}/task/{task}/schedstat", encoding="ascii") as file:
                        total += int(file.read().split()[0])
        return total / 1e9

    def settle(self, seconds=30):
        """Until it has dealt with what it got; its processor time."""
        deadline, last, now = time.monotonic() + seconds, -1, self.cpu()
        while now - last > 0.001 and time.monotonic() < deadline:
            time.sleep(0.12)
            last, now = now, self.cpu()
        return now

    def stop(self):
        """Ctrl-C."""
        netns.interrupt(self.process)
        return self.ended()

    def close(self):
        if self.process.returncode is None:
            netns.interrupt(self.process, 9)
            self.process.wait()


class Flood:
    """A sender of these packets on "near", as fast as it can, on the first CPU."""
    def __init__(self, named, *options, interface="near"):
        self.command = [program("flood"), "-c", "0", *map(str, options), interface]
        self.lines = hex_lines(named)
        self.kinds = len(named)

    def send(self):
        """What it says at the end: sent, each, seconds, cpu."""
        return json.loads(run(self.command, self.lines))

    @contextlib.contextmanager
    def sending(self):
        """While it sends; the yielded dict has what it says once that is over."""
        said = {}
        thread = threading.Thread(target=lambda: said.update(self.send()))
        thread.start()
        yield said
        thread.join()


class Sender:
    """A sender of live frames on an interface that stays there: what it needs is set up only once."""
    def __init__(self, named, interface):
        self.process = subprocess.Popen(
            [program("flood"), "-c", "0", "-m", "live", interface], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True, start_new_session=True,
            preexec_fn=netns.die_with_parent)
        netns.started.append(self.process)
        self.process.stdin.write(hex_lines(named) + "\n")

    def send(self, count=0, seconds=0, rate=0):
        """A number of packets, or for so long; what a Flood says, and the sender's processor time for a
        packet in ns."""
        self.process.stdin.write(f"{count} {seconds} {rate}\n")
        self.process.stdin.flush()
        said = json.loads(self.process.stdout.readline())
        return {**said, "ns": 1e9 * said["cpu"] / said["sent"]}

    def close(self):
        self.process.communicate()


class Folder:
    """A temporary folder in memory, so that a disk plays no part."""
    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="socktally-bench-", dir=MEMORY)
        os.chmod(self.folder.name, 0o777)

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def text(self, name):
        with open(self.path(name), encoding="utf-8", errors="replace") as file:
            return file.read()

    def remove(self, name):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path(name))


def free_memory(path):
    """Of a file in memory that is still written to: its size stays, its contents go."""
    subprocess.run(["fallocate", "--punch-hole", "--offset", "0", "--length",
                    str(os.path.getsize(path) or 1), path], check=True)


def metered(command, report):
    """The command line of a tool under socktally."""
    return [SOCKTALLY, "run", "--format", "json", "-o", report, "--", *command]


def wait_ready(folder, name, text, process, seconds=20):
    netns.wait_for(folder.path(name), text, process.process, seconds)
