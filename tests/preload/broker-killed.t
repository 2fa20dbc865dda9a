#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The broker is killed with SIGKILL, a hundred times, at any moment from the tool's first step on,
under traffic: tcpdump goes on with exactly the packets of its filter."""
import os
import random
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time

import live
import netns
import packets
import shim
import tap

ROUNDS = 100
AT_A_TIME = 10
UDP = packets.frame("eth/ip/udp(dport=4711)/data(30)")
OTHERS = [packets.frame(text) for text in ("eth/arp/pad(60)", "eth/ip/tcp/data(20)",
                                            "eth/ip/udp(dport=9)/data(30)", "eth/ip/icmp/data(60)")]


class Flood(threading.Thread):
    """Numbered packets that the filter takes, between others that it does not."""
    def __init__(self, sender):
        super().__init__(daemon=True)
        self.sender, self.sent, self.end = sender, 0, False
        self.paused = self.pausing = False

    def run(self):
        while not self.end:
            self.pausing = self.paused
            for _ in range(0 if self.pausing else 2):
                netns.send(self.sender, [UDP[:-4] + struct.pack("!I", self.sent), *OTHERS])
                self.sent += 1
            time.sleep(0.003)

    def pause(self):
        self.paused = True
        while not self.pausing:
            time.sleep(0.001)


class Round:
    def __init__(self, way, folder, number, flood):
        self.way, self.flood = way, flood
        self.file = os.path.join(folder, f"{number}.pcap")
        self.err = os.path.join(folder, f"{number}.err")
        command = ["tcpdump", "-ni", "near", "-B", "8192", "-w", self.file, "udp port 4711"]
        environment = dict(os.environ)
        if way == "run":
            command = [live.SOCKTALLY, "run", "-o", "/dev/null", "--", *command]
        else:
            command = ["env", f"LD_PRELOAD={shim.SHIM}", "SOCKTALLY_OUTPUT=/dev/null", *command]
        with open(self.err, "wb") as err:
            self.process = netns.start(command, stdout=subprocess.DEVNULL, stderr=err,
                                       env=environment)
        self.first = self.last = None

    def tool(self):
        return live.pids(self.process.pid, "tcpdump")

    def listening(self):
        netns.wait_for(self.err, "listening on", None if self.way == "run" else self.process)
        time.sleep(0.05)
        self.first = self.flood.sent

    def stop(self, last):
        self.last = last
        tools = self.tool()
        for pid in tools:
            os.kill(pid, signal.SIGINT)
        deadline = time.monotonic() + 10
        while self.tool() and time.monotonic() < deadline:
            time.sleep(0.02)
            self.process.poll() # no zombie
        with open(self.err, encoding="utf-8", errors="replace") as file:
            self.said = file.read()

    def verdict(self):
        """What is wrong with the capture; "" if nothing."""
        with open(self.file, "rb") as file:
            captured = [data for *_, data in live.records(file.read())]
        numbers = [struct.unpack("!I", data[-4:])[0] for data in captured]
        if any(data[:-4] != UDP[:-4] for data in captured):
            return "packets that the filter rejects"
        # before it listens libpcap exchanges filters, and rejects everything for a moment
        numbers = [number for number in numbers if number >= self.first]
        if numbers != list(range(self.first, self.last)):
            return f"{len(numbers)} packets are not all of {self.first} to {self.last}"
        if "0 packets dropped by kernel" not in self.said:
            return self.said
        if self.way == "preload" and self.process.wait(5) != 0:
            return f"status {self.process.returncode}"
        return ""


def kill_sometime(way, rounds, old, rng):
    """Each broker at a moment of its own."""
    started = time.monotonic()
    moments = sorted(rng.uniform(0, 0.8) for _ in rounds)
    for moment, this in zip(moments, rng.sample(rounds, len(rounds))):
        time.sleep(max(0, started + moment - time.monotonic()))
        if way == "run":
            if this.tool(): # else there is no tool yet, and would never be one
                this.process.kill()
                this.process.wait()
            else:
                rounds_left.append(this)
        else:
            brokers = [pid for pid in shim.processes("broker") if pid not in old]
            if brokers:
                os.kill(rng.choice(brokers), signal.SIGKILL)
    while way == "run" and rounds_left:
        this = rounds_left.pop()
        while not this.tool():
            time.sleep(0.002)
        this.process.kill()
        this.process.wait()


rounds_left = []


def main():
    shim.need("tcpdump")
    tap.time_limit(400)
    few = "--few" in sys.argv
    seed = int(sys.argv[1]) if len(sys.argv) > 1 and not few else random.randrange(1 << 32)
    tap.diag(f"seed {seed}")
    rng = random.Random(seed)
    net = netns.Net()
    old = set(shim.processes("broker"))
    flood = Flood(net.sender("far"))
    flood.start()
    for batch in range(2 if few else ROUNDS // AT_A_TIME):
        way = "run" if batch % 2 else "preload"
        with tempfile.TemporaryDirectory(prefix="socktally-test-") as folder:
            os.chmod(folder, 0o777)
            rounds = [Round(way, folder, number, flood) for number in range(AT_A_TIME)]
            kill_sometime(way, rounds, old, rng)
            for this in rounds:
                this.listening()
            time.sleep(0.3)
            flood.pause()
            time.sleep(1.3) # a block of the ring is handed over after a second
            for this in rounds:
                this.stop(flood.sent)
            flood.paused = False
            wrong = [why for why in (this.verdict() for this in rounds) if why]
            tap.same(wrong, [], f"{way}: {AT_A_TIME} brokers killed, {AT_A_TIME} captures exact")
        for pid in shim.processes("broker"):
            if pid not in old:
                os.kill(pid, signal.SIGKILL)
    flood.end = True
    flood.join()
    tap.done()


main()
