# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""What the tests of `socktally attach` have in common: the command, and looks at other processes'
sockets that change nothing."""
import collections
import ctypes
import fcntl
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time

import live
import netns

SOL_SOCKET = socket.SOL_SOCKET
SO_ATTACH_FILTER, SO_GET_FILTER, SO_DETACH_FILTER, SO_LOCK_FILTER, SO_ATTACH_BPF = 26, 26, 27, 44, 50
SYS_PIDFD_GETFD = 438
SIOCINQ = 0x541b


def code(*insns):
    """A classic program as the kernel has it."""
    return b"".join(struct.pack("HBBI", *insn) for insn in insns)


def set_filter(sock, *insns):
    keep = ctypes.create_string_buffer(code(*insns))
    sock.setsockopt(SOL_SOCKET, SO_ATTACH_FILTER,
                    struct.pack("HxxxxxxP", len(insns), ctypes.addressof(keep)))


def filter_of_socket(sock):
    """The bytes of its classic program; b"": it has none; None: an eBPF program is on it."""
    length, insns = ctypes.c_uint(4096), ctypes.create_string_buffer(8 * 4096)
    if netns.LIBC.getsockopt(sock.fileno(), SOL_SOCKET, SO_GET_FILTER, insns, ctypes.byref(length)):
        return None
    return insns.raw[:8 * length.value]


def ebpf():
    """A socket filter that accepts one byte, loaded by a raw bpf(2) call; -1: it can't be."""
    program = struct.pack("BBhi", 0xb7, 0, 0, 1) + struct.pack("BBhi", 0x95, 0, 0, 0)
    insns, text = ctypes.create_string_buffer(program), ctypes.create_string_buffer(b"GPL")
    attr = ctypes.create_string_buffer(struct.pack(
        "IIQQIIQI", 1, 2, ctypes.addressof(insns), ctypes.addressof(text), 0, 0, 0, 0).ljust(128, b"\0"))
    return netns.LIBC.syscall(321, 5, attr, 128) if os.uname().machine == "x86_64" else -1


def take(pid, number):
    """A copy of another process's socket."""
    pidfd = os.pidfd_open(pid)
    try:
        fd = netns.LIBC.syscall(SYS_PIDFD_GETFD, pidfd, number, 0)
    finally:
        os.close(pidfd)
    return socket.socket(fileno=fd) if fd >= 0 else None


def packet_sockets(pid):
    """Numbers of its descriptors that are packet sockets."""
    found = []
    for number in sorted(map(int, os.listdir(f"/proc/{pid}/fd"))):
        try:
            if os.getxattr(f"/proc/{pid}/fd/{number}", "system.sockprotoname").startswith(b"PACKET"):
                found.append(number)
        except OSError:
            continue
    return found


def filter_of(pid):
    """The filter of its only packet socket."""
    number, = packet_sockets(pid)
    sock = take(pid, number)
    with sock:
        return filter_of_socket(sock)


def is_on(sock):
    return filter_of_socket(sock) is None


def until(condition, seconds=10):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds} seconds")
        time.sleep(0.005)


def await_on(sock):
    until(lambda: is_on(sock))


def family(pid):
    """The process and what it has started."""
    parents = {}
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{entry}/stat", encoding="ascii", errors="replace") as file:
                parents[int(entry)] = int(file.read().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found


def sockets_of(pid):
    """(pid, number) of the packet sockets of a process and of what it has started."""
    found = []
    for one in family(pid):
        try:
            found += [(one, number) for number in packet_sockets(one)]
        except OSError:
            continue
    return found


def all_on(pid):
    """Whether programs are on all its packet sockets, of which there must be some."""
    found = sockets_of(pid)
    for owner, number in found:
        sock = take(owner, number)
        if sock is None:
            return False
        with sock:
            if not is_on(sock):
                return False
    return bool(found)


def sniffer(interface, protocol=netns.ETH_P_ALL):
    """A packet socket of this process that nobody reads."""
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    sock.setsockopt(SOL_SOCKET, socket.SO_RCVBUF, 2304)
    sock.bind((interface, protocol))
    return sock


def sleep_for_ever():
    while True:
        signal.pause()


KEPT = []


def folder():
    """One that lasts as long as the test, and that everybody can read."""
    KEPT.append(tempfile.TemporaryDirectory(prefix="socktally-test-"))
    os.chmod(KEPT[-1].name, 0o755)
    return KEPT[-1].name


def copy(program):
    """A copy that everybody can run, with a name that nothing else has: its path and that name."""
    place = folder()
    name = f"t{os.getpid()}x{len(KEPT)}"
    return shutil.copy(shutil.which(program), os.path.join(place, name)), name


def waiting(pid, number):
    """Bytes of the next packet that the socket's owner hasn't read yet; 0: it has read them all."""
    sock = take(pid, number)
    with sock:
        return struct.unpack("i", fcntl.ioctl(sock.fileno(), SIOCINQ, bytes(4)))[0]


def drained(pid, number):
    """All that was sent has arrived and been read."""
    time.sleep(0.2)
    until(lambda: not waiting(pid, number))


def receiving(pid):
    """Whether its only packet socket is bound, so that packets come."""
    found = sockets_of(pid)
    if len(found) != 1:
        return False
    sock = take(*found[0])
    if sock is None:
        return False
    with sock:
        return sock.getsockname()[1] != 0


def filter_by_list(pid):
    """The program of a socket that is metered, by its record, as list knows it."""
    out = subprocess.run([live.SOCKTALLY, "list", "--format", "json"], capture_output=True, check=True).stdout
    entry, = [entry for entry in json.loads(out)["sockets"]
              if any(holder["pid"] == pid for holder in entry["processes"])]
    numbers = entry["filter"]["program"].split(",")[1:]
    return code(*(tuple(map(int, insn.split())) for insn in numbers))


def frames_of(path):
    """The packets of a capture file of any kind."""
    out = subprocess.run(["tcpdump", "-r", path, "-w", "-"], capture_output=True, check=True).stdout
    return [data for *_, data in live.records(out)]


def add_tables(tables):
    """Tables of counts, added up."""
    sums = collections.defaultdict(lambda: live.Counts(0, 0, 0, 0))
    for table in tables:
        for cell, counts in table.items():
            sums[cell] = live.Counts(*(a + b for a, b in zip(sums[cell], counts)))
    return dict(sums)


def add(reports):
    return add_tables([live.counts(report) for report in reports])


class Attach:
    """socktally attach with a report in JSON. ready: waits until all packet sockets of the processes
    that are given by number are metered."""
    def __init__(self, *arguments, ready=True):
        self.folder = tempfile.TemporaryDirectory(prefix="socktally-test-")
        self.files = [open(os.path.join(self.folder.name, name), "w+b") for name in ("out", "err")]
        self.process = netns.start([live.SOCKTALLY, "attach", "--format", "json", *map(str, arguments)],
                                   stdout=self.files[0], stderr=self.files[1])
        self.status = None
        pids = [argument for argument in arguments if isinstance(argument, int)]
        if ready and pids:
            until(lambda: self.process.poll() is not None or all(map(all_on, pids)))

    def read(self, number):
        with open(self.files[number].name, "rb") as file:
            return file.read()

    def said(self):
        return self.read(1).decode(errors="replace")

    def reports(self):
        return [json.loads(line) for line in self.read(0).splitlines()]

    def wait(self, seconds=20):
        """Returns the last report."""
        self.status = self.process.wait(seconds)
        return (self.reports() or [{"paths": [], "totals": {}, "source": {}}])[-1]

    def stop(self, settle=0.2, number=signal.SIGINT):
        """Once what was sent has arrived."""
        time.sleep(settle)
        os.kill(self.process.pid, number)
        return self.wait()

    def notes(self):
        return [note for report in self.reports() for note in report.get("notes", [])]

    def await_note(self, event, seconds=10):
        """A note that hasn't been waited for yet."""
        seen = getattr(self, "seen", 0)
        until(lambda: len([note for note in self.notes() if note["event"] == event]) > seen, seconds)
        self.seen = seen + 1
        return [note for note in self.notes() if note["event"] == event][seen]
