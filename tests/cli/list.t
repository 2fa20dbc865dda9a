#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""`socktally list`: every packet socket, whose it is, its filter in words, and what stands in the way."""
import json
import os
import socket
import struct
import subprocess
import sys

import attached
import live
import netns
import place
import tap

SOL_PACKET, PACKET_RX_RING, PACKET_VERSION, PACKET_FANOUT = 263, 5, 10, 18
TCPDUMP = ["tcpdump", "-n", "-s", "0", "-w", os.devnull]


def listed():
    out = subprocess.run([live.SOCKTALLY, "list", "--format", "json"], capture_output=True,
                         check=True, text=True).stdout
    assert out.count("\n") == 1
    return json.loads(out)["sockets"]


def one(pid, fd=None):
    """The socket of that process."""
    found = [entry for entry in listed()
             if any(holder["pid"] == pid and fd in (None, holder["fd"])
                    for holder in entry["processes"])]
    if len(found) != 1:
        tap.diag(f"pid {pid} has {len(found)} sockets in the list")
        return {"processes": [{}], "filter": {}, "namespace": {}}
    return found[0]


def names(interface, expressions, *options):
    """tcpdump's own filters, read back from its socket."""
    for expression, name in expressions:
        tool = live.Tool([*TCPDUMP, *options, "-i", interface, expression], metered=False)
        entry = one(tool.process.pid)
        tap.same(entry["filter"].get("expression"), name, f"-i {interface} '{expression}': its name")
        listing = subprocess.run(["tcpdump", "-d", *options, "-i", interface, expression],
                                 capture_output=True, text=True, check=True).stdout
        if interface != "any":  # libpcap moves the offsets of a cooked socket's filter afterwards
            tap.same("\n".join(entry["filter"].get("listing", [])), listing.rstrip("\n"),
                     f"-i {interface} '{expression}': as tcpdump -d prints it")
        tool.stop(settle=0)


def filters():
    same = ["icmp", "arp", "tcp port 80", "udp port 53", "port 53", "host 10.0.0.1",
            "net 192.168.0.0/16", "icmp or arp", "tcp port 80 or tcp port 443", "not port 22",
            "host 10.0.0.1 and not port 22", "ether host 00:11:22:33:44:55", "host fe80::1",
            "portrange 1000-2000", "ether proto 0x88cc", "port 67 or port 68"]
    names("near", [(expression, expression) for expression in same])
    names("near", [("", ""), ("ether[7] & 3 = 2", None)])
    names("any", [("tcp port 80", "tcp port 80"), ("icmp", "icmp")])
    names("any", [("udp", "udp")], "-y", "LINUX_SLL")


def who(net):
    tool = live.Tool([*TCPDUMP, "-i", "near", "udp"], metered=False)
    entry = one(tool.process.pid)
    holder = entry["processes"][0]
    tap.same((holder.get("comm"), holder.get("user")), ("tcpdump", "tcpdump"), "process and user")
    tap.same((entry.get("interface"), entry.get("type"), entry.get("protocol"),
              entry.get("promiscuous"), entry.get("receiving")), ("near", "raw", 3, True, True),
             "interface, type, protocol, promiscuous")
    tap.ok((entry.get("ring") or {}).get("version") == 3 and entry["ring"]["bytes"] >= 1 << 20,
           "the ring")
    tap.ok(entry.get("attachable") and not entry["why"], "it can be attached to")
    tap.ok(entry["namespace"].get("own"), "in our namespace")
    with net.inside(net.far):
        entry = one(tool.process.pid)
    tap.ok(entry["namespace"].get("own") is False and entry.get("interface") == "near",
           "the same from another namespace")
    text = subprocess.run([live.SOCKTALLY, "list", "-v"], capture_output=True, text=True,
                          check=True).stdout
    tap.ok(f"tcpdump (pid {tool.process.pid}, user tcpdump) on near" in text and
           "\n  filter     udp\n             (000) ldh      [12]\n" in text, "in words", text)
    tool.stop(settle=0)


def made(net, kind=socket.SOCK_RAW, protocol=0):
    sock = socket.socket(socket.AF_PACKET, kind, socket.htons(protocol))
    return sock, lambda: one(os.getpid(), sock.fileno())


def states(net):
    sock, entry = made(net)
    now = entry()
    tap.same((now.get("protocol"), now.get("receiving"), now.get("interface"), now.get("drops"),
              now["filter"].get("kind")), (0, False, "any", 0, "none"), "not bound yet")

    sock.bind(("near", netns.ETH_P_ALL))
    sock.setsockopt(SOL_PACKET, PACKET_FANOUT, struct.pack("I", 77 | 2 << 16))
    tap.same(entry().get("fanout"), {"group": 77, "type": "cpu"}, "a fanout group")

    attached.set_filter(sock, (0x28, 0, 0, 0xfffff000 + 28), (0x16, 0, 0, 0))  # SKF_AD_HATYPE
    now = entry()
    tap.ok(now.get("attachable") is False and "SKF_AD_HATYPE" in now.get("why", ""),
           "a filter that eBPF can't express", now.get("why"))

    attached.set_filter(sock, (0x06, 0, 0, 96))
    tap.ok(entry().get("attachable"), "another filter: can be attached to again")
    sock.setsockopt(socket.SOL_SOCKET, attached.SO_LOCK_FILTER, 1)
    now = entry()
    tap.ok(now.get("locked") and not now["attachable"] and "SO_LOCK_FILTER" in now["why"],
           "locked", now.get("why"))
    sock.close()

    sock, entry = made(net, socket.SOCK_DGRAM, 0x800)
    now = entry()
    tap.same((now.get("type"), now.get("protocol"), now.get("receiving")), ("dgram", 0x800, True),
             "cooked, one protocol")
    sock.close()


def dropped(net):
    """A socket without a ring that nobody reads."""
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2304)
    sock.bind(("near", netns.ETH_P_ALL))
    netns.send(net.sender("far"), [bytes(12) + b"\x88\xb5" + bytes(500)] * 50)
    while True:  # all have arrived once the count stands still
        first, second = one(os.getpid(), sock.fileno()), one(os.getpid(), sock.fileno())
        if first["drops"] == second["drops"]:
            break
    received = 0
    sock.setblocking(False)
    try:
        while True:
            sock.recv(2048)
            received += 1
    except BlockingIOError:
        pass
    packets, drops = struct.unpack("II", sock.getsockopt(SOL_PACKET, 6, 8))
    tap.same((first["drops"], packets), (drops, 50), "drops, and the tool's own count untouched")
    sock.close()


def foreign_ebpf(net):
    """An eBPF filter of somebody's own."""
    sock, entry = made(net)
    program = attached.ebpf()
    if program < 0:
        tap.skip("an eBPF filter of its own", "can't load a program here")
        return
    sock.setsockopt(socket.SOL_SOCKET, attached.SO_ATTACH_BPF, program)
    now = entry()
    tap.ok(now["filter"].get("kind") == "ebpf" and not now["attachable"] and "eBPF" in now["why"],
           "an eBPF filter of its own", now.get("why"))
    os.close(program)
    sock.close()


def far_away(net):
    """A socket whose namespace no process is in, and that has no name: only the socket leads there."""
    namespace = net.new_namespace()
    netns.run("ip", "link", "set", "lo", "up")
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(netns.ETH_P_ALL))
    sock.bind(("lo", netns.ETH_P_ALL))
    netns.call(netns.LIBC.setns(net.near, netns.CLONE_NEWNET), "setns")
    os.close(namespace)
    now = one(os.getpid(), sock.fileno())
    tap.same((now.get("interface"), now["namespace"].get("own")), ("lo", False),
             "in a namespace that no process is in")
    sock.close()


def shared(net):
    sock = net.sender("near")
    child = os.fork()
    if not child:
        netns.die_with_parent()
        signal_never()
    pids = [holder["pid"] for holder in one(child, sock.fileno())["processes"]]
    tap.same(pids, sorted([os.getpid(), child]), "all processes that hold it")
    os.kill(child, 9)
    os.waitpid(child, 0)


def signal_never():
    while True:
        os.read(os.pipe()[0], 1)


def metered():
    """Under `socktally run` and watch the list says who is on it."""
    watch = netns.start([live.SOCKTALLY, "watch", "-i", "near", "-c", "30"],
                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(500):
        found = [entry for entry in listed() if entry["processes"] and
                 entry["processes"][0]["pid"] == watch.pid and entry["socktally"] != "off"]
        if found:
            break
    now = found[0] if found else {}
    tap.same((now.get("socktally"), now.get("socktally_pid"), now.get("attachable")),
             ("on", watch.pid, False), "a socket that socktally is on")
    netns.interrupt(watch)
    watch.wait()


def as_user():
    """Without privileges: the sockets of this namespace, and what is missing."""
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    inode = os.fstat(sock.fileno()).st_ino
    result = subprocess.run([live.SOCKTALLY, "list", "--format", "json"],
                            capture_output=True, text=True, user="nobody", group="nogroup",
                            extra_groups=[], check=False, **place.opened(live.SOCKTALLY))
    tap.same((result.returncode, result.stderr), (0, ""), "as an ordinary user")
    found = json.loads(result.stdout)
    mine = [entry for entry in found["sockets"] if entry["inode"] == inode]
    tap.ok(len(mine) == 1 and not mine[0]["attachable"] and mine[0]["filter"]["kind"] == "unknown"
           and mine[0]["socktally"] is None and found["hidden"],
           "as an ordinary user: what is to be seen, and what not", found)
    sock.close()


HOSTILE = """
import ctypes, socket, sys, time
ctypes.CDLL(None).prctl(15, b"a\\x1b\\n\\xc2\\x9b2J\\xe2\\x80\\xae\\xff", 0, 0, 0)
sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
sock.bind((socket.if_indextoname(int(sys.argv[1])), 0))
print(flush=True)
time.sleep(60)
"""


def hostile_names():
    """What a process and an interface are called never reaches a terminal as it is."""
    netns.run("ip", "link", "add", "i\x1b[m\x9b1m\u2028", "type", "veth", "peer", "name", "plain")
    netns.run("ip", "link", "set", "plain", "up")
    index = next(index for index, name in socket.if_nameindex() if name.startswith("i\x1b"))
    netns.run("ip", "link", "set", "i\x1b[m\x9b1m\u2028", "up")
    tool = subprocess.Popen([sys.executable, "-c", HOSTILE, str(index)], stdout=subprocess.PIPE)
    tool.stdout.readline()
    comm, interface = r"a\x1b\x0a\u009b2J\u202e\xff", r"i\x1b[m\u009b1m\u2028"
    for arguments in (["list"], ["attach", "-c", "0.1", str(tool.pid)],
                      ["attach", "-c", "0.1", "-i", "plain", str(tool.pid)],
                      ["list", "--format", "json"],
                      ["attach", "--format", "json", "-c", "0.1", str(tool.pid)]):
        out = subprocess.run([live.SOCKTALLY, *arguments], capture_output=True, check=False)
        text = (out.stdout + out.stderr).decode("utf-8", "replace")
        tap.ok(not any(bad in text for bad in "\x1b\x9b\u202e\u2028\ufffd") and
               (interface in text.replace("\\u001b", "\\x1b")) and
               ("json" in arguments or "plain" in arguments or f"{comm} (pid" in text),
               f"{' '.join(arguments[:-1])}: hostile names are escaped", repr(text))
    tool.kill()
    tool.wait()


# A namespace that only a mount keeps, and above that mount something else: mountinfo still names it.
MOUNTED_OVER = """
set -e
mount -t tmpfs none "$1"
touch "$1/ns"
unshare -n sh -c 'mount --bind /proc/self/ns/net "$1/ns"' sh "$1"
mount -t tmpfs none "$1"
mkfifo "$1/fifo"
[ $2 = fifo ] && mkfifo "$1/ns" || ln -s "$1/fifo" "$1/ns"
grep -c ' net:.* .*/ns ' /proc/self/mountinfo
exec sleep 60
"""


def mounted_over():
    """A path in mountinfo may lead to anything by now: it is not opened before it is known what it is."""
    for what in ("fifo", "link"):
        keeper = netns.start(["unshare", "-m", "--propagation", "private", "sh", "-c", MOUNTED_OVER, "sh",
                              attached.folder(), what], stdout=subprocess.PIPE)
        tap.same(keeper.stdout.readline(), b"1\n", f"a namespace below a {what}")
        tap.ok(isinstance(listed(), list), "the list is there, and has not waited for a writer")
        keeper.kill()
        keeper.wait()
        keeper.stdout.close()


def wrong_use():
    for arguments in (["list", "eth0"], ["list", "--format", "xml"], ["list", "-x"]):
        result = subprocess.run([live.SOCKTALLY, *arguments], capture_output=True, text=True,
                                check=False)
        tap.ok(result.returncode == 2 and not result.stdout and result.stderr.count("\n") == 1,
               f"{' '.join(arguments)}: one line, status 2")
    with open("/dev/full", "wb") as full:
        status = subprocess.run([live.SOCKTALLY, "list"], stdout=full, stderr=subprocess.DEVNULL,
                                check=False).returncode
    tap.same(status, 1, "a full disk: status 1")


def main():
    live.need("tcpdump")
    tap.time_limit(120)
    net = netns.Net()
    who(net)
    filters()
    states(net)
    dropped(net)
    foreign_ebpf(net)
    far_away(net)
    shared(net)
    metered()
    as_user()
    hostile_names()
    mounted_over()
    wrong_use()
    tap.done()


sys.dont_write_bytecode = True
main()
