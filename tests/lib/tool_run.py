#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""tool_run.py LINE WAY FOLDER: one run of one case of tools.txt, for tools.t. WAY is plain, run or
preload. What has come of it is left in FOLDER/result, pickled.

A run has namespaces of its own: a network, process numbers (so nothing outlives it), and mounts:
what a tool writes under /run, /etc or /var is gone with it. tools.t starts it in them with unshare.
"""
import contextlib
import fcntl
import os
import pickle
import pty
import signal
import socket
import struct
import subprocess
import sys
import termios
import threading
import time

import live
import netns
import packets
import shim
import tool_table

RUN_FOLDERS = ("lock", "softflowd/chroot")  # what their services are given
LINES, COLUMNS = 50, 132
NEAR_MAC, FAR_MAC = "02:00:00:00:00:01", "02:00:00:00:00:02"
PACKET_SOCKETS = "/proc/net/packet"
PACKET_OUTGOING, SO_RCVBUFFORCE = 4, 33


def http_data(text):
    return f"data(hex:{text.encode().hex()})"


def conversation():
    """A TCP connection with a request and its answer, a DNS question, DHCP, ARP: for tools that look
    at contents. Each packet comes once."""
    there, here = "src=10.0.0.2,dst=10.0.0.1", "src=10.0.0.1,dst=10.0.0.2"
    ask, answer = "GET /index.html HTTP/1.1\r\nHost: a.example\r\n\r\n", \
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
    syn = "options=hex:020405b40402080a00000001000000000103030702"
    dhcp = "01010600" + "00003903" + "00" * 20 + "020000000002" + "00" * 202 + "63825363" + \
        "350101" + "0c0461626364" + "37020103" + "ff"
    to_server, to_client = "sport=40123,dport=80", "sport=80,dport=40123"
    asked, answered = 1001 + len(ask), 5001 + len(answer)
    texts = [
        "eth/arp(op=1,sha=02:00:00:00:00:02,spa=10.0.0.2,tpa=10.0.0.1)/pad(60)",
        "eth/arp(op=2,sha=02:00:00:00:00:01,spa=10.0.0.1,tpa=10.0.0.2)/pad(60)",
        f"eth/ip({there},df=1)/tcp({to_server},seq=1000,ack=0,flags=S,window=64240,{syn})",
        f"eth/ip({here},df=1)/tcp({to_client},seq=5000,ack=1001,flags=SA,window=65160,{syn})",
        f"eth/ip({there},df=1)/tcp({to_server},seq=1001,ack=5001)",
        f"eth/ip({there},df=1)/tcp({to_server},seq=1001,ack=5001,flags=PA)/{http_data(ask)}",
        f"eth/ip({here},df=1)/tcp({to_client},seq=5001,ack={asked})",
        f"eth/ip({here},df=1)/tcp({to_client},seq=5001,ack={asked},flags=PA)/{http_data(answer)}",
        f"eth/ip({there},df=1)/tcp({to_server},seq={asked},ack={answered},flags=FA)",
        f"eth/ip({here},df=1)/tcp({to_client},seq={answered},ack={asked + 1},flags=FA)",
        f"eth/ip({there},df=1)/tcp({to_server},seq={asked + 1},ack={answered + 1})",
        f"eth/ip({there})/udp(sport=41000,dport=53)/data(hex:123401000001000000000000"
        "0161076578616d706c650000010001)",
        f"eth(dst=ff:ff:ff:ff:ff:ff)/ip(src=0.0.0.0,dst=255.255.255.255)/udp(sport=68,dport=67)/"
        f"data(hex:{dhcp}) -> eth:ip:udp",
    ]
    return [live.Kind(packets.build(text), 1) for text in texts]


# The kinds of traffic: "in", or "few" of it, is sent on "far" and comes in on "near"; "both" is that and
# something that goes out; "lo" passes there; with "hosts" it is the tool that sends, and is answered.

def incoming(few):
    kinds = live.traffic(1)
    return [live.Kind(kind.packet, 1) for kind in kinds] if few else kinds, conversation()


def send_incoming(net, few):
    kinds, talk = incoming(few)
    netns.send(net.sender("far"), live.frames(kinds) + [kind.packet.data for kind in talk], pace=0.001)


def outgoing():
    return [live.Kind(kind.packet, 3) for kind in live.traffic(1)[:20]]


class Observer:
    """A socket beside the tool's, for traffic that the tool makes itself."""
    def __init__(self):
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(netns.ETH_P_ALL))
        self.socket.bind(("near", netns.ETH_P_ALL))
        self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 8 << 20)
        self.inode = os.fstat(self.socket.fileno()).st_ino

    def seen(self):
        """[(direction, bytes)] so far."""
        found = []
        with contextlib.suppress(BlockingIOError):
            while True:
                data, address = self.socket.recvfrom(65536, socket.MSG_DONTWAIT)
                found.append(("out" if address[2] == PACKET_OUTGOING else "in", data))
        return found


class Run:
    def __init__(self, case, way, folder):
        self.case, self.way, self.options = case, way, case.options
        self.folder, self.report = os.path.join(folder, "files"), os.path.join(folder, "report")
        os.mkdir(self.folder)
        os.chmod(self.folder, 0o777)
        self.paths = {name: os.path.join(folder, name) for name in ("stdout", "stderr")}
        self.screen, self.terminal, self.observer = b"", None, None
        self.net = netns.Net()
        netns.Net.bring_up("lo")
        netns.run("ip", "link", "set", "near", "address", NEAR_MAC)
        netns.run("ip", "address", "add", "10.0.0.1/24", "dev", "near")
        if case.traffic == "hosts":
            self.make_hosts()

    def make_hosts(self):
        """Two hosts that answer each other."""
        netns.run("ip", "link", "set", "near", "arp", "on")
        with self.net.inside(self.net.far):
            netns.run("ip", "link", "set", "far", "address", FAR_MAC, "arp", "on")
            netns.run("ip", "address", "add", "10.0.0.2/24", "dev", "far")
            netns.run("ip", "link", "set", "lo", "up")
        self.observer = Observer()

    def start(self):
        command, env = self.case.command, dict(os.environ, TERM="linux", LC_ALL="C.UTF-8", TZ="UTC")
        if self.way == "run":
            command = [live.SOCKTALLY, "run", "--format", "json", "-o", self.report, "--", *command]
        elif self.way == "preload":
            command = ["env", f"LD_PRELOAD={shim.SHIM}", "SOCKTALLY_FORMAT=json",
                       f"SOCKTALLY_OUTPUT={self.report}", *command]
        with open(self.paths["stdout"], "wb") as out, open(self.paths["stderr"], "wb") as err:
            streams = {"stdin": subprocess.DEVNULL, "stdout": out, "stderr": err}
            if self.options["terminal"]:
                self.terminal, tools_end = pty.openpty()
                fcntl.ioctl(tools_end, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
                streams.update(stdin=tools_end, stdout=tools_end)
            self.process = netns.start(command, cwd=self.folder, env=env, **streams)
        if self.terminal:
            os.close(tools_end)
            threading.Thread(target=self.watch_screen, daemon=True).start()

    def watch_screen(self):
        with contextlib.suppress(OSError):
            while data := os.read(self.terminal, 65536):
                self.screen += data

    def type(self, text):
        os.write(self.terminal, text.encode().decode("unicode_escape").encode())

    def said(self):
        text = self.screen
        for path in self.paths.values():
            with open(path, "rb") as file:
                text += file.read()
        return text.decode(errors="replace")

    def wait_ready(self, seconds=30):
        deadline = time.monotonic() + seconds
        want = self.options["ready"]
        while (self.process.poll() is None or self.options["end"] != "self" and processes()) \
                and time.monotonic() < deadline:
            if want and want in self.said():
                return
            if not want and receiving(self.observer) and idle(0.4, deadline):
                return
            time.sleep(0.05)

    def traffic(self):
        kind = self.case.traffic
        if kind in ("in", "few", "both"):
            send_incoming(self.net, kind == "few")
        if kind == "both":
            netns.send(self.net.sender("near"), live.frames(outgoing()), pace=0.001)
        if kind == "lo":
            netns.send(self.net.sender("lo"), live.frames(on_lo()), pace=0.001)

    def end(self):
        """The exit status, or that there is none."""
        how = self.options["end"]
        if how == "self":
            seconds = 60
        else:
            seconds = 15
            idle(1.3, time.monotonic() + 20)
            for key in how.removeprefix("key:").split(",") if how.startswith("key:") else ():
                self.type(key)
                time.sleep(0.2)
            if not how.startswith("key:"):
                self.signal(how)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            netns.interrupt(self.process, signal.SIGKILL)
            self.process.wait()
            return "does not end"

    def signal(self, how):
        """To the process, to its group, or to what it has left running."""
        group, _, name = how.rpartition(":")
        number = getattr(signal, f"SIG{name}")
        if self.process.poll() is None:
            (netns.interrupt if group else subprocess.Popen.send_signal)(self.process, number)
            return
        for pid, comm in processes():
            if not comm.startswith("socktally"):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)

    def wait_gone(self, seconds=10):
        """The names of the processes that have stayed."""
        deadline = time.monotonic() + seconds
        while (left := processes()) and time.monotonic() < deadline:
            time.sleep(0.02)
        return sorted(comm for _, comm in left)

    def result(self):
        self.start()
        self.wait_ready()
        self.traffic()
        status = self.end()
        left = self.wait_gone()
        files = {}
        for folder, _, names in os.walk(self.folder):
            for name in names:
                path = os.path.join(folder, name)
                files[os.path.relpath(path, self.folder)] = read(path) if os.path.isfile(path) else b""
        return {"status": status, "stdout": read(self.paths["stdout"]) + self.screen,
                "stderr": read(self.paths["stderr"]), "files": files, "left": left,
                "promiscuous": [self.net.promiscuous(name) for name in ("near", "lo")],
                "sockets": len(receiving(self.observer)),
                "report": read(self.report) if os.path.exists(self.report) else b"",
                "observed": self.observer.seen() if self.observer else []}


def read(path):
    with open(path, "rb") as file:
        return file.read()


def on_lo():
    return [kind for kind in live.traffic(1) if kind.packet.data[12:14] not in live.TAGS]


def receiving(observer):
    """The packet sockets of this network that receive, but for the observer's: their inodes."""
    with open(PACKET_SOCKETS, encoding="ascii") as file:
        rows = [line.split() for line in list(file)[1:]]
    own = observer.inode if observer else 0
    return [int(row[8]) for row in rows if row[5] == "1" and row[3] != "0000" and int(row[8]) != own]


def processes():
    """What runs in here, but for this process and what is dead."""
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            stat = read(f"/proc/{entry}/stat").decode(errors="replace")
            comm, _, rest = stat.partition("(")[2].rpartition(")")
            if int(entry) == os.getpid():
                continue
            if rest.split()[0] != "Z" or len(os.listdir(f"/proc/{entry}/task")) > 1:
                found.append((int(entry), comm))
            else:
                reap(int(entry))
    return found


def reap(pid):
    """Orphans become children of the first process, which is this one."""
    if pid not in {process.pid for process in netns.started}:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)


def idle(quiet, deadline):
    """Waits until nothing in here has wanted a processor for so long."""
    last, since = None, time.monotonic()
    while time.monotonic() < deadline:
        ticks, busy = 0, False
        for pid, _ in processes():
            with contextlib.suppress(OSError):
                fields = read(f"/proc/{pid}/stat").decode(errors="replace").rpartition(")")[2].split()
                ticks += int(fields[11]) + int(fields[12])
                busy = busy or fields[0] in "RD"
        if busy or ticks != last:
            last, since = ticks, time.monotonic()
        elif time.monotonic() - since > quiet:
            return True
        time.sleep(0.05)
    return False


def private_mounts():
    """What is written to the system's folders ends with this run."""
    netns.run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run")
    for folder in RUN_FOLDERS:
        os.makedirs(f"/run/{folder}")
    for name in ("etc", "var"):
        for folder in ("upper", "work"):
            os.makedirs(f"/run/.{name}/{folder}")
        done = subprocess.run(["mount", "-t", "overlay", "overlay", "-o", f"lowerdir=/{name},upperdir="
                               f"/run/.{name}/upper,workdir=/run/.{name}/work", f"/{name}"],
                              check=False, stderr=subprocess.DEVNULL)
        if done.returncode:
            netns.run("mount", "--bind", "-o", "ro", f"/{name}", f"/{name}")


def main():
    line, way, folder = sys.argv[1:]
    case, = (case for case in tool_table.read() if case.number == int(line))
    private_mounts()
    result = Run(case, way, folder).result()
    with open(os.path.join(folder, "result"), "wb") as file:
        pickle.dump(result, file)


if __name__ == "__main__":
    main()
