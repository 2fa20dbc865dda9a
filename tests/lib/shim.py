# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""socket_steps, a tool that does what it is told, plain and metered in both ways."""
import collections
import json
import os
import subprocess
import tempfile
import time

import live
import netns
import packets
import place
import tap

HELPER = place.helper("socket_steps")
SHIM = os.path.abspath(os.environ.get("SHIM", os.path.join(place.BUILD, "libsocktally-preload.so")))
FRAMES = [packets.frame(text) for text in (
    "eth/ip/udp/data(50)", "eth/ip/udp/data(300)", "eth/arp/pad(60)", "eth/ip/tcp/data(20)",
    "eth/ip/udp/data(1)", "eth/ip/icmp/data(90)")]

Result = collections.namedtuple("Result", "out err status report")


def need(*tools):
    live.need(*tools)
    for path in (HELPER, SHIM):
        if not os.access(path, os.R_OK):
            raise FileNotFoundError(f"{path}: build it first, or set BUILDDIR")


class Guest:
    """A tool, in one of three ways: "plain", "run" or "preload"."""
    def __init__(self, way, command, options=(), environment=None, wrap=(), **popen):
        self.folder = tempfile.TemporaryDirectory(prefix="socktally-test-")
        os.chmod(self.folder.name, 0o777)
        self.way = way
        self.report_file = os.path.join(self.folder.name, "report")
        env = {**os.environ, **(environment or {})}
        command = [*wrap, *command]
        if way == "run":
            command = [live.SOCKTALLY, "run", "--format", "json", "-o", self.report_file, *options,
                       "--", *command]
        elif way == "preload":
            env = {"LD_PRELOAD": SHIM, "SOCKTALLY_FORMAT": "json",
                   "SOCKTALLY_OUTPUT": self.report_file, **env}
            command = ["env", *(f"{name}={env.pop(name)}" for name in list(env)
                                if name.startswith(("LD_PRELOAD", "SOCKTALLY_"))), *command]
        self.err_file = open(os.path.join(self.folder.name, "err"), "w+b")
        self.process = netns.start(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=self.err_file, env=env, cwd=self.folder.name, **popen)
        self.out = b""

    def wait_ready(self, seconds=20):
        """Until the line "ready"."""
        deadline = time.monotonic() + seconds
        while not self.out.endswith(b"ready\n"):
            line = self.process.stdout.readline()
            self.out += line
            if not line or time.monotonic() > deadline:
                return False
        return True

    def go_on(self):
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()

    def finish(self, seconds=30):
        try:
            self.out += self.process.communicate(timeout=seconds)[0]
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.out += b"(hangs)\n" + self.process.communicate()[0]
        report = self.report()
        self.err_file.seek(0)
        err = self.err_file.read().decode(errors="replace")
        self.err_file.close()
        return Result(self.out.decode(errors="replace"), err, self.process.returncode, report)

    def report(self, seconds=5):
        """A broker that outlives its tool may write it, and say its last word, a little later."""
        deadline = time.monotonic() + seconds
        while True:
            left = processes("broker") if self.way != "run" and time.monotonic() < deadline else []
            try:
                with open(self.report_file, encoding="utf-8") as file:
                    return json.loads(file.read())
            except (OSError, ValueError):
                if not left:
                    return None
            time.sleep(0.02)


def run(way, steps, sender=None, frames=None, helper=HELPER, **options):
    """socket_steps with these steps; at each "ready" the frames are sent."""
    guest = Guest(way, [helper, *steps], **options)
    while guest.wait_ready():
        netns.send(sender, FRAMES if frames is None else frames)
        time.sleep(0.02)
        guest.go_on()
        guest.out += b"sent\n"
    return guest.finish()


def packets_of(report):
    return report["totals"]["packets"] if report else None


def lines_of(err):
    """Why something isn't metered."""
    return [line for line in err.splitlines()
            if line.startswith("socktally: ") and not line.endswith("nothing to report")]


def processes(word):
    """Processes in this test's network namespace whose command line has this word."""
    found = []
    namespace = os.readlink("/proc/thread-self/ns/net")
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{entry}/cmdline", "rb") as file:
                if word.encode() in file.read().split(b"\0") and \
                        os.readlink(f"/proc/{entry}/ns/net") == namespace:
                    found.append(int(entry))
        except OSError:
            continue
    return found


def gone(count_before, word="broker", seconds=3):
    deadline = time.monotonic() + seconds
    while len(processes(word)) > count_before:
        if time.monotonic() > deadline:
            return tap.diag(f"still there: {processes(word)}") or False
        time.sleep(0.02)
    return True
