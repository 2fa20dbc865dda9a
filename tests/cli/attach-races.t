#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Attachments that come, go and are killed at any moment, under load: the tool gets every packet
once, by its own filter, and in the end has it back; what a killed one has left is shown and undone."""
import contextlib
import json
import os
import random
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

import attached
import live
import netns
import tap

ROUNDS = 200
SEED = int(os.environ.get("SEED", "1"))
# Accepts EtherType 0x88b5, of which the numbered packets are, and cuts them to 60 bytes.
NUMBERED = [(0x28, 0, 0, 12), (0x15, 0, 1, 0x88b5), (0x06, 0, 0, 60), (0x06, 0, 0, 0)]
NOISE = bytes(12) + b"\x88\xb6" + bytes(46)


class Load(threading.Thread):
    """Sends numbered packets, each followed by one that the filter rejects."""
    def __init__(self, sock):
        super().__init__(daemon=True)
        self.sock, self.over, self.sent = sock, False, 0

    def run(self):
        while not self.over:
            frame = bytes(12) + b"\x88\xb5" + struct.pack("!Q", self.sent) + bytes(50)
            netns.send(self.sock, [frame, NOISE])
            self.sent += 1
            if self.sent % 8 == 0:
                time.sleep(0.0005)

    def stop(self):
        self.over = True
        self.join()
        return self.sent


class Reader(threading.Thread):
    """Reads a socket to its end and keeps what was wrong: not the next number, not 60 bytes."""
    def __init__(self, sock):
        super().__init__(daemon=True)
        self.sock, self.over, self.next, self.wrong = sock, False, 0, []
        sock.settimeout(0.3)

    def run(self):
        while True:
            try:
                packet = self.sock.recv(2048)
            except TimeoutError:
                if self.over:
                    return
                continue
            number = struct.unpack_from("!Q", packet, 14)[0] if packet[12:14] == b"\x88\xb5" else -1
            if (number, len(packet)) != (self.next, 60):
                self.wrong.append((self.next, number, len(packet)))
            self.next = number + 1

    def stop(self):
        self.over = True
        self.join()
        return self.next


def numbered():
    """A socket that can hold what comes while nobody gets round to reading it."""
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    sock.setsockopt(socket.SOL_SOCKET, 33, 256 << 20)  # SO_RCVBUFFORCE
    attached.set_filter(sock, *NUMBERED)
    sock.bind(("near", netns.ETH_P_ALL))
    return sock


@contextlib.contextmanager
def under_load(net, name):
    """Yields the socket; afterwards it must have got all packets, and have its filter."""
    sock = numbered()
    load, reader = Load(net.sender("far")), Reader(sock)
    reader.start()
    load.start()
    yield sock
    sent = load.stop()
    time.sleep(0.1)
    received = reader.stop()
    tap.ok(received == sent > 1000 and not reader.wrong,
           f"{name}: {sent} packets, none lost, doubled or decided otherwise", f"{received}: {reader.wrong[:5]}")
    tap.same(attached.filter_of_socket(sock), attached.code(*NUMBERED), f"{name}: the filter is back bit by bit")
    sock.close()


def attach(*arguments, **options):
    return netns.start([live.SOCKTALLY, "attach", "-o", os.devnull, *arguments, str(os.getpid())],
                       stderr=subprocess.DEVNULL, **options)


def rounds(net):
    """Many attachments one after the other, ended at random."""
    chance = random.Random(SEED)
    failed = 0
    with under_load(net, f"{ROUNDS} rounds"):
        for _ in range(ROUNDS):
            process = attach("-i", "near", "-c", str(chance.choice([0.001, 0.005, 0.02])))
            failed += process.wait() != 0
    tap.same(failed, 0, "and each of them went well")


def detach():
    """On "near": the sender's socket is on "far"."""
    return subprocess.run([live.SOCKTALLY, "detach", "-i", "near", str(os.getpid())], capture_output=True,
                          text=True, check=False)


def leave_behind(sock):
    process = attach()
    attached.await_on(sock)
    process.kill()
    process.wait()


def killed(net):
    """SIGKILL at any moment; what is left is found and undone."""
    chance = random.Random(SEED)
    with under_load(net, "killed at random") as sock:
        started = time.monotonic()
        leave_behind(sock)
        takes = time.monotonic() - started
        for _ in range(40):
            process = attach()
            time.sleep(chance.uniform(0, 1.5 * takes))
            process.kill()
            process.wait()
        if not attached.is_on(sock):
            leave_behind(sock)
        entry, = [entry for entry in listed() if entry["inode"] == os.fstat(sock.fileno()).st_ino]
        tap.ok(entry["socktally"] == "left" and entry["filter"]["kind"] == "classic" and entry["attachable"] and
               "socktally detach" in entry["why"], "list shows what is left", entry)
        done = detach()
        tap.ok(done.returncode == 0 and done.stdout.count("\n") == 1 and not done.stderr, "detach undoes it",
               f"{done}")
        done = detach()
        tap.ok(done.returncode == 1 and done.stderr.count("\n") == 1, "there is nothing to undo twice", f"{done}")


def listed():
    return json.loads(subprocess.run([live.SOCKTALLY, "list", "--format", "json"], capture_output=True,
                                     check=True).stdout)["sockets"]


def two_at_once(net):
    """Only one of them can have it, whichever; the other one says so or gives way."""
    with under_load(net, "two at once"):
        for _ in range(20):
            both = [attach("-c", "0.05") for _ in range(2)]
            for process in both:
                process.wait()


def own_changes(net):
    """The tool exchanges its filter all the time; what it has set last holds."""
    chance = random.Random(SEED)
    with under_load(net, "filters that the tool changes") as sock:
        process = attach("-I", "0.005")
        for _ in range(150):
            attached.set_filter(sock, *NUMBERED)
            time.sleep(chance.uniform(0, 0.03))
        process.send_signal(signal.SIGINT)
        tap.same(process.wait(), 0, "filters that the tool changes: went well")


def replaced():
    """Sockets are closed and their numbers used for others while we look."""
    chance = random.Random(SEED)
    process = attach("--follow")
    wrong = 0
    for _ in range(300):
        sock = attached.sniffer("near")
        time.sleep(chance.uniform(0, 0.004))
        sock.close()
        other = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        attached.set_filter(other, (0x06, 0, 0, 5))
        time.sleep(chance.uniform(0, 0.002))
        wrong += attached.filter_of_socket(other) != attached.code((0x06, 0, 0, 5))
        other.close()
    tap.same(wrong, 0, "another kind of socket with the same number is not touched")
    tap.ok(process.poll() is None, "and it goes on")
    process.send_signal(signal.SIGINT)
    tap.same(process.wait(), 0, "to its end")
    promiscuous = netns.Net.promiscuous("near")
    tap.ok(not promiscuous, "nothing holds the interface")


def promiscuous_mode(net):
    """What the tool has held ends with the tool, and not with us."""
    tool = live.Tool(["tcpdump", "-n", "-i", "near", "-w", os.devnull], metered=False)
    before = net.promiscuous("near")
    process = attach_to(tool.process.pid)
    tool.process.kill()
    tool.process.wait()
    attached.until(lambda: not net.promiscuous("near"))
    tap.same((before, process.wait()), (True, 0), "the tool is killed: promiscuous mode ends with it")


def attach_to(pid):
    process = netns.start([live.SOCKTALLY, "attach", "-o", os.devnull, str(pid)])
    attached.until(lambda: attached.all_on(pid))
    return process


def ends_with_tool():
    """The tool ends just when we attach to it."""
    chance = random.Random(SEED)
    statuses = set()
    for _ in range(40):
        tool = subprocess.Popen([sys.executable, "-c", "import socket, time\n"
                                 "sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 768)\n"
                                 "print(flush=True)\ntime.sleep(60)"], stdout=subprocess.PIPE)
        tool.stdout.readline()
        process = netns.start([live.SOCKTALLY, "attach", "-o", os.devnull, str(tool.pid)],
                              stderr=subprocess.DEVNULL)
        time.sleep(chance.uniform(0, 0.06))
        tool.kill()
        tool.wait()
        tool.stdout.close()
        statuses.add(process.wait(20))
    tap.ok(statuses <= {0, 1}, "the tool ends while we attach: a report or one line", statuses)


def main():
    live.need("tcpdump")
    tap.time_limit(200)
    tap.diag(f"SEED={SEED}")
    net = netns.Net()
    rounds(net)
    killed(net)
    two_at_once(net)
    own_changes(net)
    replaced()
    promiscuous_mode(net)
    ends_with_tool()
    tap.done()


sys.dont_write_bytecode = True
main()
