#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""A sensor that runs for long: under a service manager, with a disk that is full for a while, with files of
classes that change, on the clock's minute, and without root as its units say."""
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import live
import netns
import packets
import place
import tap

FOLDER = tempfile.TemporaryDirectory(prefix="socktally-test-")
os.chmod(FOLDER.name, 0o755)


def until(condition, what, seconds=20):
    deadline = time.monotonic() + seconds * tap.PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not in {seconds} seconds: {what}")
        time.sleep(0.02)


def read(path):
    with contextlib.suppress(FileNotFoundError), open(path, encoding="utf-8") as file:
        return file.read()
    return ""


def reports(path):
    return [json.loads(line) for line in read(path).splitlines()]


def count(path):
    return sum(report["totals"]["packets"] for report in reports(path))


class Watch:
    def __init__(self, name, *arguments, before=(), command=None, **environment):
        self.err = os.path.join(FOLDER.name, f"{name}.err")
        with open(self.err, "wb") as err:
            self.process = netns.start([*before, command or live.SOCKTALLY, "watch", "-i", "near", "--format", "json",
                                        *arguments], stdout=subprocess.DEVNULL, stderr=err,
                                       env={**os.environ, **environment})

    def end(self):
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(20)


def managed():
    """sd_notify(3): ready, alive, stopping."""
    path = os.path.join(FOLDER.name, "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        manager.settimeout(20)
        watch = Watch("managed", NOTIFY_SOCKET=path, WATCHDOG_USEC="400000")
        tap.same(manager.recv(100), b"READY=1", "READY=1 once it counts")
        began = time.monotonic()
        tap.same([manager.recv(100) for _ in range(4)], [b"WATCHDOG=1"] * 4, "then WATCHDOG=1, again and again")
        tap.ok(time.monotonic() - began > 0.5, "but not more often than asked")
        watch.process.send_signal(signal.SIGINT)
        said = manager.recv(100)
        while said == b"WATCHDOG=1":
            said = manager.recv(100)
        tap.same((said, watch.process.wait(20)), (b"STOPPING=1", 0), "STOPPING=1 at the end")
    watch = Watch("strange", NOTIFY_SOCKET="x" * 300, WATCHDOG_USEC="-5", JOURNAL_STREAM="%n:7")
    time.sleep(0.3)
    tap.same((watch.end(), read(watch.err)), (0, ""), "nonsense in these variables does nothing")


def journal():
    err = os.path.join(FOLDER.name, "journal")
    with open(err, "wb") as file:
        status = os.fstat(file.fileno())
        done = subprocess.run([live.SOCKTALLY, "watch", "-i", "nowhere"], stderr=file, check=False, timeout=20,
                              env={**os.environ, "JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"})
    tap.ok(done.returncode == 1 and read(err).startswith("<3>socktally: nowhere: "), "an error has its severity", read(err))
    done = subprocess.run([live.SOCKTALLY, "watch", "-i", "nowhere"], capture_output=True, check=False, timeout=20,
                          text=True, env={**os.environ, "JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"})
    tap.ok(done.stderr.startswith("socktally: "), "on another stream it has none", done.stderr)


def full_disk(net):
    """Nothing is lost, and no line is there by half."""
    disk = os.path.join(FOLDER.name, "disk")
    os.mkdir(disk)
    netns.run("mount", "-t", "tmpfs", "-o", "size=32k", "none", disk)
    try:
        path = os.path.join(disk, "log")
        watch = Watch("disk", "-I", "0.1", "--append", "-o", path)
        sender = net.sender("far")
        until(lambda: len(reports(path)) > 1, "a first report")
        netns.send(sender, [packets.frame("eth/arp")] * 3)
        until(lambda: count(path) == 3, "the packets")
        fill = os.path.join(disk, "fill")
        with contextlib.suppress(OSError), open(fill, "wb", buffering=0) as file:
            while True:
                file.write(bytes(512))
        until(lambda: "No space left" in read(watch.err), "a word about the disk")
        netns.send(sender, [packets.frame("eth/arp")] * 40)
        time.sleep(0.5)
        before = reports(path)
        os.unlink(fill)
        until(lambda: count(path) == 43, "what was counted meanwhile")
        late = reports(path)[len(before)]
        tap.ok(late["totals"]["packets"] == 40 and late["start"] == before[-1]["end"] and late["seconds"] > 0.4,
               "the next line has all of it, from where the last one ended", late)
        tap.same((watch.end(), count(path)), (0, 43), "each line is whole")
        tap.ok(read(watch.err).count("\n") == 2 and "is written again" in read(watch.err), "two lines about it",
               read(watch.err))
    finally:
        netns.run("umount", "-l", disk)


def reload(net):
    path, classes = (os.path.join(FOLDER.name, name) for name in ("reload.json", "classes"))

    def put(text):
        with open(classes, "w", encoding="utf-8") as file:
            file.write(text)

    def last():
        return {entry["name"]: entry["packets"] for entry in reports(path)[-1]["classes"]}
    put("arp = arp\n")
    watch = Watch("reload", "-I", "0.1", "--append", "-o", path, "--classes", classes, "--class", "mine=udp")
    until(lambda: reports(path), "a report")
    tap.same(set(last()), {"arp", "mine"}, "classes of a file and of an option")
    put("no class at all\n")
    watch.process.send_signal(signal.SIGHUP)
    until(lambda: "classes that there were" in read(watch.err), "a word about the file")
    time.sleep(0.3)
    tap.same((set(last()), read(watch.err).count("\n")), ({"arp", "mine"}, 2), "a wrong file: they stay, with its line")
    put("ip = ip\nrest = not ip\n")
    os.rename(path, path + ".1")
    watch.process.send_signal(signal.SIGHUP)
    until(lambda: reports(path) and set(last()) == {"ip", "rest", "mine"}, "the new classes")
    size = len(reports(path))
    netns.send(net.sender("far"), [packets.frame("eth/ip/udp")] * 4 + [packets.frame("eth/arp")] * 2)
    until(lambda: sum(report["totals"]["packets"] for report in reports(path)[size:]) == 6, "the packets")
    counted = [sum(entry["packets"] for report in reports(path)[size:] for entry in report["classes"]
                   if entry["name"] == name) for name in ("ip", "rest", "mine")]
    tap.same(counted, [4, 2, 4], "SIGHUP: the file of reports and that of classes are read anew, and count")
    tap.same(watch.end(), 0, "status")


def aligned():
    path = os.path.join(FOLDER.name, "aligned")
    watch = Watch("aligned", "-I", "0.5", "--align", "--append", "-o", path)
    until(lambda: len(reports(path)) > 3, "reports")
    watch.end()
    ends = [float(report["end"][17:26]) % 0.5 for report in reports(path)[:-1]]
    tap.ok(all(end < 0.4 for end in ends) and sorted(ends)[len(ends) // 2] < 0.2,
           "--align: reports end right after whole multiples of the time", ends)


def units(net):
    """As the unit starts it: another user, with the unit's capabilities and no others."""
    folder = os.path.join(place.BUILD, "systemd")
    subprocess.run([os.environ.get("MAKE", "make"), "-s", "-C", place.BUILD, "systemd/socktally.service",
                    "systemd/socktally@.service"], check=True, capture_output=True)
    if shutil.which("systemd-analyze"):
        for name in "socktally", "socktally@":
            unit = os.path.join(FOLDER.name, f"{name}.service")
            with open(unit, "w", encoding="utf-8") as file:
                file.write(re.sub(r"^(ExecStart=|Documentation=).*", lambda line: "ExecStart=/bin/true"
                                  if line[1] == "ExecStart=" else "", read(f"{folder}/{name}.service"), flags=re.M))
            done = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True,
                                  check=False)
            tap.ok(done.returncode == 0 and name + ".service" not in done.stderr, f"systemd-analyze verify {name}",
                   done.stderr)
    else:
        tap.skip("systemd-analyze verify", "no systemd")
    if not shutil.which("capsh"):
        tap.skip("the unit's user", "no capsh")
        return
    unit = read(f"{folder}/socktally@.service")
    capabilities = re.search("^AmbientCapabilities=(.*)", unit, re.M)[1].lower().replace(" ", ",")
    command = os.path.join(FOLDER.name, "socktally")
    shutil.copy(live.SOCKTALLY, command)
    path = os.path.join(FOLDER.name, "unit")
    os.mkdir(path)
    os.chmod(path, 0o777)
    arguments = re.search("^ExecStart=(.*)", unit, re.M)[1].split()[1:-1]
    arguments = [word.replace("%I", "near") for word in arguments]
    with open(os.path.join(path, "err"), "wb") as err:
        process = netns.start(["capsh", "--keep=1", "--user=nobody", f"--inh={capabilities}",
                               *(f"--addamb={name}" for name in capabilities.split(",")), "--", "-c",
                               " ".join(["exec", command, *arguments, "-I", "0.1", "--format", "json", "--append", "-o",
                                         f"{path}/log"])], stdout=subprocess.DEVNULL, stderr=err)
    until(lambda: process.poll() is not None or reports(f"{path}/log"), read(f"{path}/err"))
    netns.send(net.sender("far"), [packets.frame("eth/arp")] * 6)
    until(lambda: process.poll() is not None or count(f"{path}/log") == 6, "the packets")
    process.send_signal(signal.SIGINT)
    tap.same((process.wait(20), count(f"{path}/log")), (0, 6), "as nobody, with the capabilities of the unit")


def main():
    live.need("mount")
    tap.time_limit(120)
    net = netns.Net()
    managed()
    journal()
    full_disk(net)
    reload(net)
    aligned()
    units(net)
    tap.done()


main()
