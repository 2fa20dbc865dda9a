#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""A tool that was taken over speaks to its broker: nonsense, half a request, descriptors whose close() waits, no end
of connections and of filters that keep the verifier busy; and so does a stranger by the abstract address. The broker
refuses, keeps nothing, says it once, and goes on to serve the tool's real sockets."""
import array
import json
import os
import random
import socket
import struct
import subprocess
import sys
import time

import live
import netns
import shim
import slow_close
import tap

REQUEST, REPLY = struct.Struct("=IHHIIQiIIHHiiIIII32s16s64s"), struct.Struct("=IHHIiIIII320s")
HELLO = struct.Struct("=IHH16s")
MAGIC, VERSION = 0x76736b73, 6
OPEN, SET_FILTER, ATTACH, DETACH, ATTACHED, GET, FORGET, FINISH, SECCOMP, STATISTICS = range(1, 11)
PROGRAM, DONE, PASS = 1, 2, 3
HIDDEN = 2
SO_COOKIE, SO_ATTACH_BPF = 57, 50
ACCEPT = struct.pack("=HBBI", 6, 0, 0, 0x40000)
# loads from where the accumulator says: each takes many instructions, and the verifier its time
LONG = b"".join(struct.pack("=HBBIHBBI", 0x87, 0, 0, 0, 0x50, 0, 0, k & 63) for k in range(2047)) + ACCEPT


class Attack:
    def __init__(self, seed):
        fields = os.environ["SOCKTALLY_CHANNEL"].split(":")
        self.channel = socket.socket(fileno=os.dup(int(fields[1])))
        self.name, self.token = fields[5], bytes.fromhex(fields[6])
        self.rng = random.Random(seed)
        self.packet = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)

    def connect(self):
        """A connection out of the channel."""
        self.channel.settimeout(5)
        while True:
            data, control, *_ = self.channel.recvmsg(1, socket.CMSG_SPACE(4))
            if not data:
                raise EOFError
            self.channel.send(b"x")
            if control:
                return socket.socket(fileno=array.array("i", control[0][2])[0])

    def connect_by_name(self, token=None):
        one = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        one.settimeout(5)
        one.connect("\0socktally-" + self.name)
        if token is not None:
            one.send(HELLO.pack(MAGIC, VERSION, 0, token))
        return one

    def request(self, op, filter_=b"", **other):
        fields = {"magic": MAGIC, "version": VERSION, "count": len(filter_) // 8, "cookie": cookie(self.packet),
                  "flags": 0, "kind": socket.SOCK_RAW, "ifindex": 0, "link": 0, **other}
        return REQUEST.pack(fields["magic"], fields["version"], op, 1, fields["count"], fields["cookie"],
                            fields["ifindex"], fields["link"], fields["flags"], fields["kind"], 1, 3, 0, 0, 0, 0, 0, b"",
                            b"any", b"") + filter_

    def ask(self, data, connection=None, attach=None):
        """(answer, error), or None. attach: the socket for the program that comes."""
        try:
            with connection or self.connect() as one:
                one.settimeout(60)
                one.send(data)
                got, control, *_ = one.recvmsg(65536, socket.CMSG_SPACE(4))
                program = array.array("i", control[0][2])[0] if control else -1
                if attach:
                    attach.setsockopt(socket.SOL_SOCKET, SO_ATTACH_BPF, program)
                    one.send(self.request(ATTACHED, cookie=cookie(attach)))
                if program >= 0:
                    os.close(program)
                if not got:
                    return None
                fields = REPLY.unpack(got[:REPLY.size])
                return fields[2], fields[4]
        except (BrokenPipeError, ConnectionError):
            return None
        except (TimeoutError, OSError) as error:
            return "error", str(error)

    def table(self):
        """Requests of which each breaks one rule: none may be answered."""
        good = self.request(ATTACH)
        wrong = [self.request(ATTACH, magic=1), self.request(ATTACH, version=1), self.request(0), self.request(OPEN),
                 self.request(11), self.request(65535), self.request(ATTACH, cookie=0), good[:-1], good + b"\0",
                 good + ACCEPT, self.request(ATTACH, ACCEPT, flags=HIDDEN), self.request(SET_FILTER),
                 self.request(SET_FILTER, ACCEPT, count=2), self.request(SET_FILTER, ACCEPT * 2, count=1),
                 self.request(SET_FILTER, ACCEPT * 4097), self.request(SET_FILTER, ACCEPT, count=0xffffffff),
                 self.request(DETACH, ACCEPT), self.request(FORGET, ACCEPT), self.request(SECCOMP, ACCEPT),
                 self.request(GET, count=4097), self.request(GET, ACCEPT, count=1), b"x", b"y" * 60000]
        return [data[:24] for data in wrong if self.ask(data) is not None]

    def strangers(self):
        """By the abstract address without the token, or with half of it; and then the tool, with it."""
        wrong = [None, bytes(16), self.token[:15] + b"\0", self.token[::-1]]
        answers = [self.ask(self.request(GET), self.connect_by_name(token)) for token in wrong[1:]]
        answers.append(self.ask(self.request(GET), self.connect_by_name()))
        idle = [self.connect_by_name() for _ in range(20)] # who say nothing
        got = None
        deadline = time.monotonic() + 30
        while got != (DONE, 0) and time.monotonic() < deadline:
            got = self.ask(self.request(GET), self.connect_by_name(self.token))
        for one in idle:
            one.close()
        return answers, got

    def random_bytes(self, rounds):
        rng = self.rng
        for _ in range(rounds):
            size = rng.choice((0, 1, 24, 175, 176, 184, 400, 32944, 32945, 60000))
            data = bytearray(rng.randbytes(size))
            if rng.random() < 0.7 and size >= 176:
                op = rng.choice((ATTACH, SET_FILTER, DETACH, GET, FORGET, ATTACHED, STATISTICS))
                filter_ = bytes(data[176:]) if op in (ATTACH, SET_FILTER) else b""
                data = bytearray(self.request(op, filter_, ifindex=rng.choice((0, 1, -1, 2**31 - 1)),
                                              flags=rng.choice((0, 1, 2, 2**32 - 1))))
                if rng.random() < 0.3:
                    data[rng.randrange(176)] ^= 1 << rng.randrange(8)
            with self.connect() as one:
                one.settimeout(0)
                try:
                    one.send(bytes(data))
                    one.send(bytes(data))
                except OSError:
                    pass

    def slow(self, fd):
        """A descriptor whose close() waits, on every way to the broker. Where it can be sent it is dropped."""
        for one in self.connect(), self.connect_by_name(), self.connect_by_name(self.token), self.channel:
            try:
                socket.send_fds(one, [b"?"], [fd])
            except OSError:
                pass


def cookie(sock):
    return struct.unpack("=Q", sock.getsockopt(socket.SOL_SOCKET, SO_COOKIE, 8))[0]


def worker():
    """The process that serves us."""
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{entry}/stat", encoding="ascii", errors="replace") as file:
                name, rest = file.read().split("(", 1)[1].rsplit(")", 1)
        except OSError:
            continue
        if name == "socktally-serve" and int(rest.split()[1]) == os.getppid():
            return int(entry)
    raise ProcessLookupError("no worker")


def descriptors():
    return [len(os.listdir(f"/proc/{pid}/fd")) for pid in (worker(), os.getppid())]


def attacker(seed):
    attack = Attack(seed)
    packet = attack.packet
    print("attach", attack.ask(attack.request(ATTACH), attach=packet))
    time.sleep(0.1)
    before = descriptors()
    print("filter", attack.ask(attack.request(SET_FILTER, ACCEPT), attach=packet))
    print("answered", attack.table())
    print("strangers", *attack.strangers(), sep=";")
    attack.random_bytes(3000)
    print("again", attack.ask(attack.request(SET_FILTER, ACCEPT), attach=packet)) # it may have been forgotten
    lingering, file = slow_close.lingering_socket(), slow_close.fuse_file()
    started = time.monotonic()
    for fd in [lingering.fileno(), *(file[:1] if file else ())]:
        attack.slow(fd)
    idle = [attack.connect() for _ in range(100)] # taken, and nothing is asked
    print("still", attack.ask(attack.request(GET, count=1)))
    print("slow", time.monotonic() - started < 5 * tap.PATIENCE)
    for one in idle:
        one.close()
    slow_close.release(lingering, file)
    for _ in range(1500): # more sockets than are kept
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as other:
            answer = attack.ask(attack.request(ATTACH, cookie=cookie(other)), attach=other)
    print("many", answer)
    print("busy", {attack.ask(attack.request(SET_FILTER, LONG)) for _ in range(10)},
          attack.ask(attack.request(GET, count=1)), sep=" ")
    time.sleep(0.5)
    print("kept", [now - then for now, then in zip(descriptors(), before)])
    for pid, name in (worker(), "memory"), (os.getppid(), "its"):
        with open(f"/proc/{pid}/status", encoding="ascii") as file:
            print(name, [line.split()[1] for line in file if line.startswith("VmRSS")][0])


def main():
    shim.need()
    tap.time_limit(200)
    seed = random.randrange(1 << 32)
    tap.diag(f"seed {seed}")
    netns.Net()
    netns.run("ip", "link", "set", "lo", "up")
    done = subprocess.run([live.SOCKTALLY, "run", "-o", "/dev/null", "--", sys.executable,
                           os.path.abspath(__file__), "attack", str(seed)], capture_output=True,
                          text=True, timeout=180, check=False)
    said = dict(line.split(" ", 1) for line in done.stdout.splitlines() if not line.startswith("strangers"))
    strangers = [line.split(";")[1:] for line in done.stdout.splitlines() if line.startswith("strangers")]
    tap.same(done.returncode, 0, "the broker lives") or tap.diag(done.stderr)
    tap.same(said.get("attach"), "(1, 0)", "a good request is served")
    tap.same(said.get("filter"), "(1, 0)", "and the next one")
    tap.same(said.get("answered"), "[]", "requests that break a rule are not")
    tap.same(strangers, [["[None, None, None, None]", "(2, 0)"]],
             "who has no token is refused; who has it is served beside those that say nothing")
    tap.same(said.get("again"), "(1, 0)", "after any random bytes as well")
    tap.same(said.get("still"), "(2, 0)", "the tool is served past idle connections and slow descriptors")
    tap.same(said.get("slow"), "True", "which hold nobody up")
    tap.same(said.get("many"), "(1, 0)", "sockets that are closed make room for others")
    tap.ok(said.get("busy", "").endswith(" (2, 0)"), "the tool is served after filters that take the verifier long",
           said.get("busy"))
    tap.ok(all(number <= 1 for number in json.loads(said.get("kept", "[9]"))), "no descriptor is kept", said.get("kept"))
    tap.ok(int(said.get("memory", 1 << 30)) < 40000 and int(said.get("its", 1 << 30)) < 40000, "memory is bounded",
           f"{said.get('memory')} {said.get('its')}")
    lines = shim.lines_of(done.stderr)
    tap.ok(sum("makes no sense" in line for line in lines) == 1 and len(lines) < 10,
           "each cause is said once", done.stderr)
    tap.done()


if len(sys.argv) == 3 and sys.argv[1] == "attack":
    attacker(int(sys.argv[2]))
else:
    main()
