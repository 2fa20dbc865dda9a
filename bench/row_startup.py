#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Start-up and memory: from exec to the first packet counted, under steady traffic: the packets that
were sent and not counted say how long it took. What the shim takes of the tool's memory, and how
large the broker is."""
import json
import os
import re
import subprocess
import time

import lib
import netns

RATE = 20_000  # packets a second: fifty microseconds is the resolution


def first_packet(command, folder, count, seconds=0.6, look=None):
    """Milliseconds from exec to the first packet counted; count() reads how many were. seconds: how long
    packets come, or twice as long if that is too short. look(process) is called once it has been counting."""
    flood = lib.Flood({"eth:ip:udp": "eth/ip/udp/data(22)"}, "-m", "send", "-r", RATE, "-t", seconds,
                      interface="near")
    with flood.sending() as said:
        time.sleep(0.2)
        with open(folder.path("output"), "wb") as output:
            process = lib.Process(command, stdout=output, stderr=output)
    time.sleep(0.3)
    if look:
        look(process)
    process.stop()
    counted = count()
    if not counted:  # a busy machine
        if seconds > 30:
            raise TimeoutError(f"{command[0]}: no packet counted in {seconds} seconds")
        return first_packet(command, folder, count, 2 * seconds, look)
    missed = said["sent"] - counted
    rate = said["sent"] / said["seconds"]
    return 1000 * (said["start"] + missed / rate - process.started)


def reported(folder, name):
    lines = folder.text(name).splitlines()  # none if it was interrupted at its very start
    return json.loads(lines[-1])["totals"]["packets"] if lines else 0


def said_count(folder, words):
    found = re.search(rf"(\d+) {words}", folder.text("output"))
    return int(found[1]) if found else 0


def running_capture(folder, command):
    """What is attached to: it doesn't share the file with the ways that are measured."""
    with open(folder.path("running"), "wb") as output:
        process = lib.Process(command, stdout=output, stderr=output)
    lib.wait_ready(folder, "running", "listening on", process)
    return process


def startup(folder):
    tcpdump = ["tcpdump", "-n", "-i", "near", "-w", os.devnull]
    watch = [lib.SOCKTALLY, "watch", "-i", "near", "--format", "json"]
    attach = [lib.SOCKTALLY, "attach", "--format", "json"]
    running = running_capture(folder, tcpdump)
    ways = {
        "watch": (watch, lambda: reported(folder, "output")),
        "attach": ([*attach, str(running.process.pid)], lambda: reported(folder, "output")),
        "run": (lib.metered(tcpdump, folder.path("report")), lambda: reported(folder, "report")),
        "alone": (tcpdump, lambda: said_count(folder, "packets? received")),
    }
    times = {way: [] for way in ways}
    for _ in range(lib.RUNS):
        for way, (command, count) in ways.items():
            times[way].append(first_packet(command, folder, count))
    running.stop()
    lib.row("startup/socktally watch", times["watch"], "ms", goals=[lib.Goal("<=", 25, "value")])
    lib.row("startup/socktally attach", times["attach"], "ms", goals=[lib.Goal("<=", 30, "value")])
    lib.row("startup/socktally run -- tcpdump", times["run"], "ms", ("tcpdump alone", times["alone"]))
    lib.row("startup/of it ours", [a - b for a, b in zip(times["run"], times["alone"])], "ms",
            goals=[lib.Goal("<=", 25, "value")])


def smaps(pid):
    """KiB of a process by smaps_rollup's names."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        return {line.split(":")[0]: int(line.split()[1]) for line in file if line.endswith("kB\n")}


def mapped(pid, name):
    """KiB that are resident of the files of this name."""
    sizes, ours = [], False
    with open(f"/proc/{pid}/smaps", encoding="utf-8") as file:
        for words in map(str.split, file):
            if not words[0].endswith(":"):
                ours = name in words[-1]
            elif ours and words[0] == "Rss:":
                sizes.append(int(words[1]))
    return sum(sizes)


def processes(group):
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.getpgid(int(entry)) == group:
                with open(f"/proc/{entry}/comm", encoding="ascii") as file:
                    yield int(entry), file.read().strip()
        except OSError:
            continue


def memory_of(command, folder):
    """What the tool has of the shim's file, its private memory, and what the broker has."""
    with open(folder.path("output"), "wb") as output:
        process = lib.Process(command, stdout=output, stderr=output)
    lib.wait_ready(folder, "output", "listening on", process)
    time.sleep(0.2)
    shim = private = broker = 0
    for pid, comm in processes(process.process.pid):
        if comm == "tcpdump":
            shim, private = mapped(pid, "libsocktally-preload"), smaps(pid)["Anonymous"]
        else:
            broker = max(broker, smaps(pid)["Rss"])
    process.stop()
    return shim, private, broker


def memory(folder):
    tool = ["tcpdump", "-n", "-i", "near", "-w", os.devnull]
    runs = [(memory_of(lib.metered(tool, folder.path("report")), folder), memory_of(tool, folder))
            for _ in range(lib.full(7, 1))]
    private = [a[1] - b[1] for a, b in runs]
    lib.row("startup/shim in the tool, resident", [a[0] + more for (a, _), more in zip(runs, private)],
            "KiB", goals=[lib.Goal("<=", 200, "value")])
    lib.row("startup/of it private", private, "KiB")
    lib.row("startup/broker, resident", [a[2] / 1024 for a, _ in runs], "MiB",
            goals=[lib.Goal("<=", 8, "value")])


def bcc(folder):
    """A program with BCC, which compiles it at its start against the kernel's headers: those of this
    kernel, or, as ours needs little of them, those that BCC_KERNEL_SOURCE names."""
    headers = os.environ.get("BCC_KERNEL_SOURCE") or f"/lib/modules/{os.uname().release}/build"
    python = ["/usr/bin/python3", os.path.join(lib.SRCDIR, "bench", "bcc_count.py"), "near"]
    if not os.path.isdir(headers):
        lib.absent("startup/BCC", "no headers of this kernel, which BCC compiles against: apt-get "
                   f"install python3-bpfcc linux-headers-{os.uname().release}")
        return
    if subprocess.run([python[0], "-c", "import bcc"], check=False, capture_output=True).returncode:
        lib.absent("startup/BCC", "no module bcc: apt-get install python3-bpfcc")
        return
    memory_used = []
    times = [first_packet(python, folder, lambda: said_count(folder, "packets"), 6,
                          lambda process: memory_used.append(smaps(process.process.pid)["Rss"]))
             for _ in range(lib.full(7, 1))]
    lib.row("startup/a program with BCC", times, "ms")
    lib.row("startup/a program with BCC, resident", [used / 1024 for used in memory_used], "MiB")


def main():
    if not lib.have("startup", "tcpdump", "tcpdump"):
        return
    netns.Net()
    folder = lib.Folder()
    startup(folder)
    memory(folder)
    bcc(folder)


main()
