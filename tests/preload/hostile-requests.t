#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""A tool that was taken over speaks to the broker: nonsense, half a request, the wrong descriptors,
too many of them, no end of them. The broker refuses, keeps no descriptor, says it once, and goes on
to serve the tool's real sockets."""
import array
import ctypes
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
import tap

HEAD = struct.Struct("=IHH16siIiI")
MAGIC, VERSION = 0x79746b73, 3
ATTACH, SET_FILTER, DETACH, GET, FORGET, FINISH, SECCOMP = range(1, 8)
ACCEPT = struct.pack("=HBBI", 6, 0, 0, 0x40000)


class Attack:
    def __init__(self, seed):
        fields = os.environ["SOCKTALLY_CHANNEL"].split(":")
        self.channel = socket.socket(fileno=os.dup(int(fields[1])))
        self.name, self.token = fields[5], bytes.fromhex(fields[6])
        self.rng = random.Random(seed)
        self.packet = socket.socket(socket.AF_UNIX) # replaced below
        self.others = [os.open("/dev/null", os.O_RDWR), os.open("/", os.O_RDONLY), *os.pipe(),
                       socket.socket(socket.AF_INET, socket.SOCK_DGRAM).detach(),
                       socket.socket(socket.AF_UNIX, socket.SOCK_STREAM).detach(),
                       socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0).detach()]
        self.packet = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)

    def head(self, op, count=0, **other):
        fields = {"magic": MAGIC, "version": VERSION, "token": self.token, "ifindex": 0, "flags": 0,
                  "fd": 3, **other}
        return HEAD.pack(fields["magic"], fields["version"], op, fields["token"], fields["ifindex"],
                         fields["flags"], fields["fd"], count)

    def send(self, data, descriptors, by_name=False):
        control = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))]
        target = self.channel
        if by_name:
            target = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            try:
                target.connect("\0socktally-" + self.name)
            except OSError:
                return
        try:
            target.sendmsg([data], control if descriptors else [])
        except OSError: # too long, or it has hung up on us
            pass
        if by_name:
            target.close()

    def ask(self, data, *descriptors, by_name=False):
        """The last answer, or None."""
        mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.send(data, [theirs.fileno(), *descriptors], by_name)
        theirs.close()
        mine.settimeout(5)
        answer = None
        while True:
            got = mine.recv(65536)
            if not got:
                break
            answer = struct.unpack_from("=IHHiI", got)[2:]
        mine.close()
        return answer

    def table(self):
        """Requests of which each breaks one rule: none may be answered."""
        good, packet = self.head(ATTACH), self.packet.fileno()
        wrong = [(self.head(ATTACH, magic=1), [packet]), (self.head(ATTACH, version=1), [packet]),
                 (self.head(ATTACH, token=bytes(16)), [packet]), (self.head(0), [packet]),
                 (self.head(SECCOMP), [packet]), (self.head(SECCOMP, 1) + ACCEPT, []),
                 (self.head(8), [packet]), (self.head(65535), [packet]), (good[:-1], [packet]),
                 (good + b"\0", [packet]), (good + ACCEPT, [packet]),
                 (self.head(ATTACH, 1) + ACCEPT, [packet]), (self.head(SET_FILTER), [packet]),
                 (self.head(SET_FILTER, 2) + ACCEPT, [packet]),
                 (self.head(SET_FILTER, 1) + ACCEPT * 2, [packet]),
                 (self.head(SET_FILTER, 4097) + ACCEPT * 4097, [packet]),
                 (self.head(SET_FILTER, 0xffffffff) + ACCEPT, [packet]),
                 (good, []), (good, [packet, packet]), (good, [packet] * 60), (good, [packet] * 250),
                 (self.head(FINISH), [packet]), (b"x", [packet]), (b"", [packet]),
                 *((self.head(op), [other]) for op in (ATTACH, DETACH, GET, FORGET)
                   for other in self.others),
                 *((self.head(SET_FILTER, 1) + ACCEPT, [other]) for other in self.others)]
        return [(data, fds) for data, fds in wrong if self.ask(data, *fds, by_name=True) is not None]

    def random_bytes(self, rounds):
        rng = self.rng
        for _ in range(rounds):
            size = rng.choice((0, 1, 39, 40, 48, 200, 32808, 32809, 60000))
            data = bytearray(rng.randbytes(size))
            if rng.random() < 0.7 and size >= 40:
                op = rng.choice((ATTACH, SET_FILTER, DETACH, GET, FORGET))
                count = (size - 40) // 8 if op == SET_FILTER else 0
                data[:40] = self.head(op, count, ifindex=rng.choice((0, 1, -1, 2**31 - 1)),
                                      flags=rng.choice((0, 1, 2**32 - 1)))
                if rng.random() < 0.3:
                    data[rng.randrange(40)] ^= 1 << rng.randrange(8)
                if op != SET_FILTER:
                    del data[40:]
            pool = [self.packet.fileno(), self.packet.fileno(), *self.others]
            fds = [rng.choice(pool) for _ in range(rng.choice((0, 1, 2, 3, 100)))]
            mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            mine.settimeout(0)
            by_name = not data or rng.random() < 0.2 # an empty message ends the channel
            self.send(bytes(data), [theirs.fileno(), *fds][:len(fds) + rng.randrange(2)], by_name)
            mine.close()
            theirs.close()

    def idle_connections(self):
        """More than are served at a time, and none that says anything."""
        idle = []
        for _ in range(100):
            one = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            one.setblocking(False)
            try:
                one.connect("\0socktally-" + self.name)
            except BlockingIOError:
                time.sleep(0.01)
            idle.append(one)
        return idle


def locked(attack):
    """The filter of a socket that its owner has locked can't be changed by way of the broker."""
    attach_filter, get_filter, lock_filter = 26, 26, 44
    libc = ctypes.CDLL("libc.so.6") # not the shim's calls
    program = ctypes.create_string_buffer(ACCEPT)
    program = struct.pack("HP", 1, ctypes.addressof(program)), program
    kept, size, on = ctypes.create_string_buffer(8), ctypes.c_uint32(1), ctypes.c_int(1)
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as sock:
        for option, value, length in ((attach_filter, program[0], len(program[0])),
                                      (lock_filter, ctypes.byref(on), 4)):
            libc.setsockopt(sock.fileno(), socket.SOL_SOCKET, option, value, length)
        answers = [attack.ask(attack.head(ATTACH), sock.fileno()),
                   attack.ask(attack.head(SET_FILTER, 1) + ACCEPT, sock.fileno()),
                   attack.ask(attack.head(DETACH), sock.fileno())]
        result = libc.getsockopt(sock.fileno(), socket.SOL_SOCKET, get_filter, kept,
                                 ctypes.byref(size))
        return answers == [(3, 0, 0)] * 3 and not result and kept.raw == ACCEPT


def broker_descriptors():
    return len(os.listdir(f"/proc/{os.getppid()}/fd"))


def attacker(seed):
    attack = Attack(seed)
    packet = attack.packet.fileno()
    print("attach", attack.ask(attack.head(ATTACH), packet))
    attack.ask(attack.head(SET_FILTER, 1) + ACCEPT, packet) # opens a socket to try filters on
    time.sleep(0.2) # until it has closed what came with that
    before = broker_descriptors()
    print("locked", locked(attack))
    print("again", {attack.ask(attack.head(SET_FILTER, 1) + ACCEPT, packet) for _ in range(100)})
    print("answered", attack.table())
    attack.random_bytes(3000)
    idle = attack.idle_connections()
    print("still", attack.ask(attack.head(GET), packet))
    for one in idle:
        one.close()
    for _ in range(1500): # more sockets than are kept
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as other:
            answer = attack.ask(attack.head(ATTACH), other.fileno())
    print("many", answer)
    time.sleep(0.2)
    print("kept", broker_descriptors() - before)
    with open(f"/proc/{os.getppid()}/status", encoding="ascii") as file:
        print("memory", [line.split()[1] for line in file if line.startswith("VmRSS")][0])


def main():
    shim.need()
    tap.time_limit(200)
    seed = random.randrange(1 << 32)
    tap.diag(f"seed {seed}")
    netns.Net()
    done = subprocess.run([live.SOCKTALLY, "run", "-o", "/dev/null", "--", sys.executable,
                           os.path.abspath(__file__), "attack", str(seed)], capture_output=True,
                          text=True, timeout=180, check=False)
    said = dict(line.split(" ", 1) for line in done.stdout.splitlines())
    tap.same(done.returncode, 0, "the broker lives")
    tap.same(said.get("attach"), "(2, 0, 0)", "a good request is served")
    tap.same(said.get("answered"), "[]", "requests that break a rule are not")
    tap.ok(said.get("still", "None") != "None", "the channel is served past idle connections")
    tap.same(said.get("many"), "(2, 0, 0)", "sockets that are closed make room for others")
    tap.same(said.get("again"), "{(2, 0, 0)}", "a request that is sent again does the same again")
    tap.same(said.get("locked"), "True", "a locked socket's filter stays")
    # a random request may have been the one of a tool that exits, to whom the answer comes later
    tap.ok(said.get("kept") in ("0", "1"), "no descriptor is kept", said.get("kept"))
    tap.ok(int(said.get("memory", 1 << 30)) < 40000, "memory is bounded", said.get("memory"))
    lines = shim.lines_of(done.stderr)
    tap.ok(sum("makes no sense" in line for line in lines) == 1 and len(lines) < 10,
           "each cause is said once", done.stderr)
    tap.done()


if len(sys.argv) == 3 and sys.argv[1] == "attack":
    attacker(int(sys.argv[2]))
else:
    main()
