# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""A quiet network of its own for a test.

Net() moves the calling process into a new network namespace, with another one at the far end of a
veth pair:

    near (this process, and what it starts)            far
    interface "near"  <------------------------------>  interface "far"

The namespaces have no name: they end with the last process that is in them, whatever happens to
the test. No address, no IPv6 and no multicast: nothing but what a test sends is on the wire.
"""
import atexit
import contextlib
import ctypes
import fcntl
import os
import shutil
import signal
import socket
import struct
import subprocess
import time

import tap

CLONE_NEWNET = 0x40000000
ETH_P_ALL = 3
PR_SET_PDEATHSIG = 1
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454ca, 0x0001, 0x1000
LIBC = ctypes.CDLL(None, use_errno=True)


def need(*tools):
    """Skips the whole test where it can't run."""
    if os.geteuid() != 0:
        tap.skip_all("needs root")
    for tool in tools:
        if shutil.which(tool) is None:
            tap.skip_all(f"needs {tool}")


def call(result, what):
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def run(*command):
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)


class Net:
    def __init__(self):
        self.far = self.new_namespace()
        self.near = self.new_namespace()
        self.add_pair("near", "far")

    def add_pair(self, near, far):
        run("ip", "link", "add", near, "type", "veth", "peer", "name", far, "netns",
            f"/proc/{os.getpid()}/fd/{self.far}")
        self.bring_up(near)
        with self.inside(self.far):
            self.bring_up(far)
        self.wait_carrier(near)

    @staticmethod
    def new_namespace():
        call(LIBC.unshare(CLONE_NEWNET), "unshare(CLONE_NEWNET)")
        for which in ("all", "default"):
            with open(f"/proc/sys/net/ipv6/conf/{which}/disable_ipv6", "w", encoding="ascii") as file:
                file.write("1")
        return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)

    @contextlib.contextmanager
    def inside(self, namespace):
        """Sockets made and programs started in here belong to that namespace."""
        call(LIBC.setns(namespace, CLONE_NEWNET), "setns")
        try:
            yield
        finally:
            call(LIBC.setns(self.near, CLONE_NEWNET), "setns")

    @staticmethod
    def bring_up(interface):
        run("ip", "link", "set", interface, "multicast", "off", "arp", "off", "up")

    @staticmethod
    def wait_carrier(interface, seconds=5):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            text = subprocess.run(["ip", "-br", "link", "show", interface], capture_output=True,
                                  text=True, check=True).stdout
            if "LOWER_UP" in text:
                return
            time.sleep(0.01)
        raise TimeoutError(f"{interface}: no carrier")

    def sender(self, interface="far"):
        """A socket to send frames on "far" (they come in) or on another interface (they go out)."""
        with self.inside(self.far if interface == "far" else self.near):
            # Protocol 0: it receives nothing itself.
            sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
            sock.bind((interface, 0))
            return sock

    @staticmethod
    def promiscuous(interface):
        text = subprocess.run(["ip", "-d", "link", "show", interface], capture_output=True,
                              text=True, check=True).stdout
        return "promiscuity 0" not in text

    @staticmethod
    def tun(name="tun0"):
        """A raw IP interface; what is written to the descriptor comes in on it."""
        device = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
        fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
        run("ip", "link", "set", name, "multicast", "off", "up")
        return device


def send(sock, frames, pace=0):
    """Sends each frame, exactly once; a full queue is waited for. pace: seconds between two."""
    for data in frames:
        if pace:
            time.sleep(pace)
        while True:
            try:
                sock.send(data)
                break
            except OSError as error:
                if error.errno != 105:  # ENOBUFS
                    raise
                time.sleep(0.001)


def die_with_parent():
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


started = []


def start(command, **options):
    """Starts a program in a process group of its own, which ends with the test."""
    options.setdefault("stdin", subprocess.DEVNULL)
    process = subprocess.Popen(command, start_new_session=True, preexec_fn=die_with_parent,
                               **options)
    started.append(process)
    return process


@atexit.register
def stop_all():
    for process in started:
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def interrupt(process, number=signal.SIGINT):
    """As Ctrl-C on the terminal: the signal goes to the whole group."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def wait_for(path, text, process=None, seconds=10):
    """Waits until text stands in the file; returns the file's content."""
    deadline = time.monotonic() + seconds * tap.PATIENCE
    while True:
        with open(path, encoding="utf-8", errors="replace") as file:
            content = file.read()
        if text in content:
            return content
        if process and process.poll() is not None:
            raise ChildProcessError(f"ended with {process.returncode} before {text!r}: {content}")
        if time.monotonic() > deadline:
            raise TimeoutError(f"no {text!r} after {seconds} seconds: {content}")
        time.sleep(0.01)
