#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Tools that no library can be loaded into, metered from outside: with file capabilities and an
ordinary user, with a ring, linked statically, written in Go, in another network and mount namespace;
by `attach` when they are running and by `run --attach` from their start."""
import json
import os
import shutil
import signal
import subprocess
import sys

import attached
import live
import netns
import tap

KINDS = live.traffic()
DOUBLED = [kind._replace(copies=2 * kind.copies) for kind in KINDS]

# Counts what it receives until SIGTERM, then says how many; "listening on" when it is bound.
SNIFFER = r"""
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
static volatile sig_atomic_t over;
static void end(int number) { (void)number; over = 1; }
int main(int argc, char **argv)
{
	struct sockaddr_ll address = {AF_PACKET, htons(ETH_P_ALL), (int)if_nametoindex(argv[argc - 1])};
	struct sigaction action = {.sa_handler = end};
	int fd = socket(AF_PACKET, SOCK_RAW, 0), room = 32 << 20;
	unsigned long packets = 0, bytes = 0;
	char packet[65536];
	long size;
	sigaction(SIGTERM, &action, 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)))
		return 1;
	fprintf(stderr, "listening on\n");
	while (!over)
		if ((size = recv(fd, packet, sizeof(packet), 0)) > 0)
			packets++, bytes += size;
	printf("%lu packets, %lu bytes\n", packets, bytes);
	return 9;
}
"""

GO_SNIFFER = r"""
package main

import (
	"fmt"
	"net"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	device, err := net.InterfaceByName(os.Args[1])
	if err != nil {
		panic(err)
	}
	fd, err := syscall.Socket(syscall.AF_PACKET, syscall.SOCK_RAW, 0)
	if err != nil {
		panic(err)
	}
	syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, 33, 32<<20)
	if err := syscall.Bind(fd, &syscall.SockaddrLinklayer{Protocol: 0x300, Ifindex: device.Index}); err != nil {
		panic(err)
	}
	fmt.Fprintln(os.Stderr, "listening on")
	packets, bytes := 0, 0
	over := make(chan os.Signal, 1)
	signal.Notify(over, syscall.SIGTERM)
	go func() {
		packet := make([]byte, 65536)
		for {
			if size, _, err := syscall.Recvfrom(fd, packet, 0); err == nil {
				packets++
				bytes += size
			}
		}
	}()
	<-over
	fmt.Printf("%d packets, %d bytes\n", packets, bytes)
	os.Exit(9)
}
"""


def promiscuous(on):
    netns.run("ip", "link", "set", "near", "promisc", "on" if on else "off")


def received():
    """What a sniffer says of both rounds of traffic; a VLAN tag is not in the bytes."""
    sizes = [(len(live.as_received(kind.packet.data)), kind.copies) for kind in DOUBLED]
    return f"{sum(n for _, n in sizes)} packets, {sum(size * n for size, n in sizes)} bytes\n"


def built(folder, name, source, command):
    path = os.path.join(folder, name)
    with open(f"{path}.{'go' if command[0] == 'go' else 'c'}", "w", encoding="ascii") as file:
        file.write(source)
    try:
        done = subprocess.run([*command, "-o", path, file.name], capture_output=True, text=True, check=False,
                              env={**os.environ, "GOCACHE": folder, "GOFLAGS": "-mod=mod", "HOME": folder})
    except OSError:
        return None
    if done.returncode:
        tap.diag(done.stderr)
    return None if done.returncode else path


def sniffers():
    """Name, path, and whether it is there, of the programs without a loader."""
    folder = attached.folder()
    yield "a static sniffer", built(folder, "static", SNIFFER, [os.environ.get("CC", "cc"), "-static", "-O1"])
    yield "a sniffer in Go", built(folder, "go", GO_SNIFFER, ["go", "build"]) if shutil.which("go") else None


def attach_to_sniffer(net, name, path):
    """Half of the traffic before the attachment, half of it during; the tool gets both."""
    promiscuous(True)
    tool = live.Tool([path, "near"], metered=False)
    number, = attached.packet_sockets(tool.process.pid)
    before = attached.filter_of(tool.process.pid)
    netns.send(net.sender("far"), live.frames(KINDS))
    attached.drained(tool.process.pid, number)
    meter = attached.Attach(tool.process.pid)
    netns.send(net.sender("far"), live.frames(KINDS))
    attached.drained(tool.process.pid, number)
    report = meter.stop()
    tap.same(live.counts(report), live.expected(KINDS, "in"), f"{name}: exact from the attachment on")
    tap.same(attached.filter_of(tool.process.pid), before, f"{name}: its filter, none, is back")
    tool.stop_with(signal.SIGTERM)
    tap.same((tool.read("stdout").decode(), tool.process.returncode), (received(), 9), f"{name}: gets the same")
    promiscuous(False)


def run_sniffer(net, name, path):
    """From its start on; nothing is sent until it is metered."""
    promiscuous(True)
    tool = live.Tool(["sh", "-c", f"{path} near & trap 'kill $!' TERM; wait $!; wait $!; exit $?"],
                     options=["--attach"])
    attached.until(lambda: attached.all_on(tool.process.pid))
    (pid, number), = attached.sockets_of(tool.process.pid)
    for _ in range(2):
        netns.send(net.sender("far"), live.frames(KINDS))
    attached.drained(pid, number)
    tool.stop_with(signal.SIGTERM)
    report = tool.report()
    tap.same(live.counts(report), live.expected(DOUBLED, "in"), f"run --attach, {name}: exact")
    tap.same((tool.read("stdout").decode(), tool.process.returncode), (received(), 9),
             f"run --attach, {name}: output and status are its own")
    notes = report.get("notes", [])
    tap.ok(notes and notes[0]["event"] == "opened", f"run --attach, {name}: what may have been missed is said",
           report)
    promiscuous(False)


def complete(tools, report):
    """Ends two tools that have seen the same; their files have what the report calls accepted."""
    live.settle(tools)
    for tool in tools:
        tool.stop(settle=0)
    files = [attached.frames_of(tool.path("capture")) for tool in tools]
    tap.ok(files[0] == files[1] and len(files[0]) == live.total(live.counts(report)).accepted_packets,
           "both capture files are complete and the same", f"{len(files[0])} {len(files[1])}")


def dumpcap(net):
    """With file capabilities, started by an ordinary user."""
    program, name = attached.copy("dumpcap")
    if subprocess.run(["setcap", "cap_net_raw,cap_net_admin=eip", program], check=False,
                      capture_output=True).returncode:
        tap.skip("dumpcap with file capabilities", "they can't be set here")
        return
    as_user = ["setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups"]
    command = [*as_user, program, "-q", "-i", "near", "-f", "udp or arp", "-w", "capture"]
    tools = [live.Tool(command, metered=False, ready="File:"),
             live.Tool(command, options=["--attach"], ready="File:")]
    attached.until(lambda: attached.all_on(tools[1].process.pid))
    meter = attached.Attach(tools[0].process.pid)
    before = attached.filter_by_list(tools[0].process.pid)
    netns.send(net.sender("far"), live.frames(KINDS))
    report = meter.stop()
    tap.same((live.counts(report), report["source"]["comm"]), (live.expected(KINDS, "in", "udp or arp"), name),
             "dumpcap with file capabilities: exact")
    tap.same(attached.filter_of(tools[0].process.pid), before, "and its filter is back")
    complete(tools, report)
    tap.same(live.counts(tools[1].report()), live.expected(KINDS, "in", "udp or arp"),
             "run --attach, dumpcap with file capabilities: exact")


def netsniff(net):
    """With a ring of its own that is mapped."""
    program = subprocess.run(["tcpdump", "-dd", "-i", "near", "udp"], capture_output=True, check=True).stdout
    with open(os.path.join(attached.folder(), "filter"), "wb") as file:
        file.write(program)
    command = ["netsniff-ng", "--in", "near", "--out", "capture", "--silent", "-f", file.name]
    tools = [live.Tool(command, metered=False, ready=None) for _ in range(2)]
    for tool in tools:
        attached.until(lambda: attached.receiving(tool.process.pid))
    before = attached.filter_of(tools[0].process.pid)
    meter = attached.Attach(tools[0].process.pid)
    netns.send(net.sender("far"), live.frames(KINDS))
    report = meter.stop()
    tap.same(live.counts(report), live.expected(KINDS, "in", "udp"), "netsniff-ng with a ring: exact")
    tap.ok(before and attached.filter_of(tools[0].process.pid) == before, "and its filter is back")
    complete(tools, report)


def elsewhere(net):
    """In another network and mount namespace, where another /proc is mounted and other names are."""
    namespace = net.far
    with net.inside(namespace):
        netns.run("ip", "link", "set", "far", "promisc", "on")
        command = ["unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child", "tcpdump", "-n", "-i",
                   "far", "-w", "capture", "udp"]
        tool = live.Tool(command, metered=False)
    try:
        listed = json.loads(subprocess.run([live.SOCKTALLY, "list", "--format", "json"], check=True,
                                           capture_output=True).stdout)
        (pid, _), = attached.sockets_of(tool.process.pid)
        mine = [entry for entry in listed["sockets"] if any(one["pid"] == pid for one in entry["processes"])]
        tap.ok(len(mine) == 1 and mine[0]["interface"] == "far" and mine[0]["attachable"] and
               not mine[0]["namespace"]["own"], "in a container of its own: listed", mine)
        before = attached.filter_of(pid)
        meter = attached.Attach("-i", "far", pid)
        netns.send(net.sender("near"), live.frames(KINDS))
        report = meter.stop()
        tap.same((live.counts(report), report["source"]["interface"]),
                 (live.expected(KINDS, "in", "udp"), "far"), "in a container of its own: exact")
        tap.same(attached.filter_of(pid), before, "and its filter is back")
    finally:
        tool.stop(settle=0)


def main():
    live.need("tcpdump", "dumpcap", "netsniff-ng", "setcap", "setpriv", "unshare")
    tap.time_limit(170)
    net = netns.Net()
    for name, path in sniffers():
        if path:
            attach_to_sniffer(net, name, path)
            run_sniffer(net, name, path)
        else:
            tap.skip(name, "it can't be built here")
    dumpcap(net)
    netsniff(net)
    elsewhere(net)
    tap.done()


sys.dont_write_bytecode = True
main()
