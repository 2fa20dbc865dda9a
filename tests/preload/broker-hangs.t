#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The process that serves the tool is stopped at each of its system calls, the broker at any time, the start takes
twenty seconds, reports have much to do: the tool's calls end soon, its filter is the one that it set last, nothing
happens late, and what can be counted is."""
import os
import signal
import subprocess
import sys
import tempfile
import time

import live
import netns
import shim
import tap

# the worker is to be stopped at the first "ready", and goes on at the second
STEPS = "socket:raw:0 bind:near:3 filter:reject ready filter:udp filter:snap get:0 ready packets detach ready packets"
CALLS = 32 # more than one request takes
SLOW_SECONDS = 20

MANY = r"""
import ctypes, random, socket, struct, time
near, sockets, longest = socket.if_nametoindex("near"), [], 0
for number in range(200):
    sockets.append(socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0))
    sockets[-1].bind(("near", 3))
def set_filter(one, number): # no expression has such a filter
    insns = b"".join(struct.pack("=HBBI", *insn) for insn in [
        (0x20, 0, 0, number % 200), (0x54, 0, 0, 0x0f0f0f00 + number), (0x44, 0, 0, number * 3), (0x15, 0, 1, 77),
        (6, 0, 0, 0), (6, 0, 0, 0xffff)])
    buffer = ctypes.create_string_buffer(insns)
    one.setsockopt(socket.SOL_SOCKET, 26, struct.pack("HxxxxxxP", len(insns) // 8, ctypes.addressof(buffer)))
for number, one in enumerate(sockets):
    set_filter(one, number)
end = time.monotonic() + 5
while time.monotonic() < end:
    before = time.monotonic()
    set_filter(sockets[0], 0)
    longest = max(longest, time.monotonic() - before)
    time.sleep(0.01)
print(longest)
"""


def worker_of(guest):
    """The process that serves the tool."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        for pid in live.pids(guest.process.pid, "socktally-serve"):
            return pid
        time.sleep(0.01)
    raise TimeoutError("no worker")


def stop_at(pid, number):
    """strace, which stops the process at its system call of that number from now on."""
    tracer = subprocess.Popen(
        ["strace", "-o", "/dev/null", "-e", "trace=all", "-e", f"inject=all:signal=SIGSTOP:when={number}", "-p",
         str(pid)], stderr=subprocess.PIPE)
    tracer.stderr.readline() # "attached"
    return tracer


def is_stopped(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
        return file.read().rsplit(")", 1)[1].split()[0] in "tT"


def one_round(number, sender):
    """What the tool prints, in how many seconds it was through, whether the worker was stopped, and messages."""
    guest = shim.Guest("run" if number is not None else "plain", [shim.HELPER, *STEPS.split()])
    stopped, tracer, seconds = False, None, 0
    for at in range(3):
        guest.wait_ready()
        if number is not None and at == 0:
            pid = worker_of(guest)
            tracer = stop_at(pid, number)
        if number is not None and at == 1:
            seconds = time.monotonic() - began
            stopped = is_stopped(pid)
            tracer.kill()
            tracer.wait()
            os.kill(pid, signal.SIGCONT)
            time.sleep(0.3) # for what might come late
        netns.send(sender, shim.FRAMES)
        time.sleep(0.05)
        began = time.monotonic()
        guest.go_on()
        guest.out += b"sent\n"
    result = guest.finish()
    return result, seconds, stopped


def at_each_call(net):
    """One after the other: they share the wire."""
    sender = net.sender("far")
    plain, *_ = one_round(None, sender)
    wrong, said, longest, stops = [], [], 0, 0
    for number in range(1, CALLS + 1):
        result, seconds, stopped = one_round(number, sender)
        stops += stopped
        longest = max(longest, seconds)
        lines = shim.lines_of(result.err)
        if result.out != plain.out or result.status != plain.status:
            wrong.append(f"{number}: {result.out}")
        if len(lines) > 1 or any("no answer" not in line for line in lines):
            said.append(f"{number}: {result.err}")
    tap.same(wrong, [], f"stopped at each of {stops} system calls: the tool finds the same")
    tap.ok(stops > 10, "and it was stopped", stops)
    tap.ok(longest < 3 * tap.PATIENCE, f"its calls took {longest:.2f} s at most", longest)
    tap.same(said, [], "and one line says so")


def signals():
    """The tool hears signals a second later at most, as it is not deaf for longer."""
    guest = shim.Guest("run", [shim.HELPER, *"socket:raw:0 bind:near:3 ready filter:udp filter:snap wait".split()])
    guest.wait_ready()
    os.kill(worker_of(guest), signal.SIGSTOP)
    tool, = live.pids(guest.process.pid, "socket_steps")
    guest.go_on()
    time.sleep(0.3)
    began = time.monotonic()
    os.kill(tool, signal.SIGTERM)
    result = guest.finish()
    seconds = time.monotonic() - began
    tap.ok(seconds < 5 * tap.PATIENCE and result.status == -signal.SIGTERM, f"SIGTERM took {seconds:.2f} s", result)


def broker_stops(sender):
    """Only the broker that writes reports: the tool is served all the same."""
    steps = "socket:raw:0 bind:near:3 ready filter:reject filter:udp get:0 ready packets"
    plain = shim.run("plain", steps.split(), sender)
    guest = shim.Guest("run", [shim.HELPER, *steps.split()])
    while guest.wait_ready():
        os.kill(guest.process.pid, signal.SIGSTOP)
        netns.send(sender, shim.FRAMES)
        time.sleep(0.05)
        guest.go_on()
        guest.out += b"sent\n"
        if guest.out.count(b"ready") == 2:
            time.sleep(0.3)
            os.kill(guest.process.pid, signal.SIGCONT)
    result = guest.finish()
    tap.same(result.out, plain.out, "the broker itself is stopped: the same to the tool")
    tap.same((shim.packets_of(result.report), shim.lines_of(result.err)), (12, []), "and all is counted")


def many_filters():
    guest = shim.Guest("run", [sys.executable, "-c", MANY], options=["-I", "1"])
    result = guest.finish(60)
    tap.same(shim.lines_of(result.err), [], "200 filters without a name, and a report each second: all are metered")
    longest = float(result.out or "inf")
    tap.ok(longest < 0.9 * tap.PATIENCE, f"and a call of the tool's took {longest:.3f} s at most")


def slow_start(way, folder):
    """A broker that is kept for so long where it reads a file, just before it loads its programs."""
    tracer = ["strace", "-o", "/dev/null", "-P", "/sys/devices/system/cpu/possible", "-e", "trace=openat", "-e",
              f"inject=openat:delay_enter={SLOW_SECONDS * 1000000}:when=1"]
    report = f"{folder}/{way}"
    command = [shim.HELPER, *"socket:raw:0 bind:near:3 filter:udp ready packets".split()]
    if way == "run":
        command = [*tracer, live.SOCKTALLY, "run", "--format", "json", "-o", report, "--", *command]
    else: # the tool starts it
        command = [*tracer, "-f", "-E", f"LD_PRELOAD={shim.SHIM}", "-E", "SOCKTALLY_FORMAT=json", "-E",
                   f"SOCKTALLY_OUTPUT={report}", *command]
    guest = shim.Guest("plain", command)
    guest.report_file = report
    return guest


def finish_slow(slow, net):
    """Both at once: they see the same packets."""
    for way, guest in slow.items():
        tap.ok(guest.wait_ready(SLOW_SECONDS + 30 * tap.PATIENCE),
               f"{way}: a start of {SLOW_SECONDS} s: the tool starts")
    netns.send(net.sender("far"), shim.FRAMES)
    time.sleep(0.05)
    for way, guest in slow.items():
        guest.go_on()
        result = guest.finish()
        tap.same(shim.packets_of(result.report), 6, f"{way}: and is metered")
        lines = shim.lines_of(result.err)
        tap.ok(len(lines) == 1 and "still loading" in lines[0], f"{way}: one line says that it takes long", result.err)


def main():
    shim.need("strace")
    tap.time_limit(300)
    net = netns.Net()
    with tempfile.TemporaryDirectory(prefix="socktally-test-") as folder:
        os.chmod(folder, 0o777)
        slow = {way: slow_start(way, folder) for way in ("run", "preload")} # meanwhile
        many_filters()
        signals()
        finish_slow(slow, net)
    broker_stops(net.sender("far"))
    at_each_call(net)
    tap.done()


main()
