#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""`socktally broker --socket` with clients that want to harm it or each other: none makes another one wait, none
gets more than its share, and SIGTERM ends the broker at any time."""
import array
import ctypes
import grp
import os
import random
import resource
import signal
import socket
import struct
import tempfile
import threading
import time

import live
import netns
import slow_close
import tap

REQUEST, REPLY = struct.Struct("=IHHIIQiIIHHiiIIII32s16s64s"), struct.Struct("=IHHIiIIII320s")
MAGIC, VERSION, OPEN, SET_FILTER = 0x76736b73, 6, 1, 2
ETH = 1
GROUP = "games"
CLIENTS_OF_USER, PROGRAM_BYTES = 8, 16 << 20
E2BIG, EBUSY, ENOSPC = 7, 16, 28


def instruction(code, k=0, jt=0, jf=0):
    return struct.pack("=HBBI", code, jt, jf, k)


ACCEPT = instruction(6, 0xffff)
# loads from where the accumulator says: each takes many instructions, and the verifier its time
LONG = b"".join(instruction(0x87) + instruction(0x50, k & 63) for k in range(2047)) + ACCEPT
# two ways to the same place, with another value each
MULTIPLIES = instruction(0x80) + b"".join(
    instruction(0x25, k * 7919, 1, 0) + instruction(0x04, k) for k in range(1500)) + ACCEPT
MANY_BYTES = b"".join(instruction(0x30, k & 127) + instruction(0x15, k) for k in range(2047)) + ACCEPT


class Client:
    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 18)
        self.sock.settimeout(20)
        self.sock.connect(path)

    def ask(self, op, filter_text=b"", link=ETH):
        """(error, descriptor): None where the broker has hung up."""
        head = REQUEST.pack(MAGIC, VERSION, op, 1, len(filter_text) // 8, 1, 0, link, 0, 0, 0, 0, 0, 0, 64, 0, 0,
                            b"", b"", b"test")
        try:
            self.sock.send(head + filter_text)
            data, control, *_ = self.sock.recvmsg(REPLY.size, socket.CMSG_SPACE(4))
        except ConnectionError:
            return None
        if not data:
            return None
        fds = array.array("i", control[0][2]) if control else [-1]
        return REPLY.unpack(data)[4], fds[0]

    def open(self):
        answer = self.ask(OPEN)
        if answer and answer[1] >= 0:
            os.close(answer[1])
        return answer and answer[0]

    def load(self, filter_text=ACCEPT):
        """The reply's error; None: no reply. The program is given up."""
        answer = self.ask(SET_FILTER, filter_text)
        if answer and answer[1] >= 0:
            os.close(answer[1])
        return answer and answer[0]


class Broker:
    def __init__(self, folder):
        self.path = f"{folder}/socket"
        self.err = open(f"{folder}/err", "w+b")
        self.process = netns.start([live.SOCKTALLY, "broker", "--socket", self.path, "--group", GROUP],
                                   stderr=self.err)
        deadline = time.monotonic() + 20 * tap.PATIENCE
        while not os.path.exists(self.path) or os.stat(self.path).st_gid != grp.getgrnam(GROUP).gr_gid:
            if time.monotonic() > deadline:
                raise TimeoutError(self.said())
            time.sleep(0.01)

    def said(self):
        self.err.seek(0)
        return self.err.read().decode()

    def children(self):
        return len(live.pids(self.process.pid, "socktally"))

    def end(self):
        self.process.terminate()
        return self.process.wait(20)


def slow_descriptors(broker):
    """Sent to it, instead of a request: nobody waits, and nothing stays."""
    file = slow_close.fuse_file()
    lingering = slow_close.lingering_socket()
    fds = {"a TCP socket that lingers": lingering.fileno()}
    if file:
        fds["a file of a hanging FUSE server"] = file[0]
    else:
        tap.skip("a file of a hanging FUSE server", "no FUSE")
    for name, fd in fds.items():
        for state in "before a meter", "with a meter":
            client = Client(broker.path)
            if state == "with a meter":
                client.open()
            try:
                socket.send_fds(client.sock, [b"?"], [fd])
                answer = client.sock.recv(100)
            except PermissionError: # the kernel has SO_PASSRIGHTS
                answer = b""
            tap.same(answer, b"", f"{name}, {state}: the client is dropped")
            other = Client(broker.path)
            tap.same((other.open(), other.load()), (0, 0), f"{name}, {state}: others are served")
    slow_close.release(lingering, file)


def eight_clients(broker):
    """Seven that load what tools load, while the eighth lets the verifier work all the time."""
    end, loads, failed = threading.Event(), [0] * 7, []

    def attack():
        client = Client(broker.path)
        client.open()
        while not end.is_set():
            client.load(random.choice((LONG, MULTIPLIES)))
            if random.random() < 0.1:
                client = Client(broker.path)
                client.open()

    def work(number):
        client = Client(broker.path)
        client.open()
        while loads[number] < 50:
            answer = client.load()
            if answer != 0:
                failed.append(answer)
                return
            loads[number] += 1

    threads = [threading.Thread(target=attack)] + [
        threading.Thread(target=work, args=(number,)) for number in range(7)]
    for thread in threads:
        thread.start()
    for thread in threads[1:]:
        thread.join()
    end.set()
    threads[0].join()
    tap.ok(not failed and min(loads) == 50, "seven clients are served beside one that is hostile", failed)


def shares(broker):
    """What one client gets at most."""
    client = Client(broker.path)
    client.open()
    tap.same(client.load(MULTIPLIES), -E2BIG, "a filter whose branches multiply is refused")
    before, loaded = time.monotonic(), 0
    while (answer := client.load(LONG)) == 0:
        loaded += 1
    seconds = time.monotonic() - before
    tap.same(answer, -EBUSY, f"processor time is limited: {loaded} long filters in {seconds:.1f} s")
    tap.same(Client(broker.path).open(), 0, "for this client only")
    client = Client(broker.path)
    client.open()
    held = []
    while (answer := client.ask(SET_FILTER, MANY_BYTES))[0] == 0:
        held.append(answer[1])
    size = sum(int(line.split()[1]) for fd in held for line in open(f"/proc/self/fdinfo/{fd}", encoding="ascii")
               if line.startswith("memlock:"))
    tap.same(answer[0], -ENOSPC, "and so are a client's programs")
    tap.ok(len(held) < 1024 and 0 < size <= PROGRAM_BYTES, f"by their size: {len(held)} have {size >> 20} MiB")
    for fd in held:
        os.close(fd)
    time.sleep(0.3) # the kernel frees them in its own time
    tap.same(client.load(), 0, "which is free again when they are")


def of_one_person(broker):
    """Users of a namespace that one user has made are one person."""
    group, owner = grp.getgrnam(GROUP).gr_gid, 64321
    libc = ctypes.CDLL(None, use_errno=True)
    begin, made = os.pipe(), os.pipe()
    results = os.pipe()
    pid = os.fork()
    if not pid:
        os.setsid()
        os.setgroups([])
        os.setresgid(group, group, group)
        os.setresuid(owner, owner, owner)
        libc.prctl(4, 1) # PR_SET_DUMPABLE: the maps are root's to write
        if libc.unshare(0x10000000): # CLONE_NEWUSER
            os._exit(77)
        os.write(made[1], b"!")
        os.read(begin[0], 1)
        opened = []
        for user in range(2 * CLIENTS_OF_USER):
            if os.fork():
                continue
            os.setresuid(user, user, user)
            try:
                client = Client(broker.path)
                os.write(results[1], b"y" if client.open() == 0 else b"n")
                time.sleep(60)
            finally:
                os._exit(0)
        time.sleep(60)
        os._exit(0)
    os.close(made[1])
    if os.read(made[0], 1) != b"!":
        os.waitpid(pid, 0)
        return tap.skip("places of one person", "no user namespaces")
    with open(f"/proc/{pid}/uid_map", "w", encoding="ascii") as file:
        file.write(f"0 70000 {2 * CLIENTS_OF_USER}")
    with open(f"/proc/{pid}/gid_map", "w", encoding="ascii") as file:
        file.write(f"{group} {group} 1")
    os.write(begin[1], b"!")
    answers = b""
    while len(answers) < 2 * CLIENTS_OF_USER:
        answers += os.read(results[0], 1)
    os.killpg(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return tap.same(answers.count(b"y"), CLIENTS_OF_USER,
                    f"{2 * CLIENTS_OF_USER} users of one person's namespace get {CLIENTS_OF_USER} places")


def stopped(broker):
    """A client's process that hangs holds nobody up, and ends with the broker."""
    waiting = max(live.pids(broker.process.pid, "socktally"))
    client = Client(broker.path)
    client.open()
    os.kill(waiting, signal.SIGSTOP)
    other = Client(broker.path)
    tap.same(other.open(), 0, "another client's process is stopped: served")
    return broker.end()


def main():
    netns.need("ip")
    tap.time_limit(120)
    try:
        grp.getgrnam(GROUP)
    except KeyError:
        tap.skip_all(f"no group {GROUP}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
    netns.Net()
    netns.run("ip", "link", "set", "lo", "up")
    with tempfile.TemporaryDirectory(prefix="socktally-test-") as folder:
        os.chmod(folder, 0o755)
        broker = Broker(folder)
        idle = broker.children()
        slow_descriptors(broker)
        eight_clients(broker)
        shares(broker)
        of_one_person(broker)
        deadline = time.monotonic() + 10
        while broker.children() > idle and time.monotonic() < deadline:
            time.sleep(0.05)
        tap.same(broker.children(), idle, "clients that end leave nothing")
        tap.same(stopped(broker), 0, "SIGTERM ends it")
        lines = broker.said().splitlines()
        tap.ok(0 < len(lines) <= 4, "what was refused is said, in few lines", broker.said())
    tap.done()


main()
