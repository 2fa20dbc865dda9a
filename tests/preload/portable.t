#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The shim loads into every program of this machine: with another C library (musl), an older glibc, a
sanitizer, another interposer. It needs no symbol that one of them lacks, and makes its own system calls by
no function, which might be somebody else's."""
import os
import re
import shlex
import shutil
import socket
import subprocess
import tempfile

import netns
import shim
import tap

CC = shlex.split(os.environ.get("CC", "cc"))

# Functions and variables that make no system call. Each glibc from 2.17 on has them, and musl.
MAY_NEED = """__errno_location __stack_chk_fail __stack_chk_guard __environ environ dl_iterate_phdr getauxval memcpy
 memmove memset memcmp strlen strcpy strcmp strncmp strchr strrchr strstr bcmp __progname
 program_invocation_short_name""".split()
NEWEST = (2, 17)

SNIFFER = r"""
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
int main(void)
{
	struct sockaddr_ll name = {.sll_family = AF_PACKET, .sll_protocol = htons(3)};
	int fd = socket(AF_PACKET, SOCK_RAW, 0), count = 0;
	struct pollfd readable = {.fd = fd, .events = POLLIN};
	char packet[2048];

	name.sll_ifindex = (int)if_nametoindex("near");
	if (fd < 0 || bind(fd, (struct sockaddr *)&name, sizeof(name)))
		return 3;
	puts("ready");
	fflush(stdout);
	if (!fgets(packet, sizeof(packet), stdin))
		return 4;
	while (poll(&readable, 1, 250) > 0)
		count += recv(fd, packet, sizeof(packet), 0) > 0;
	printf("%d packets\n", count);
	return 0;
}
"""

# Another interposer, as torsocks is, whose syscall() calls a pointer that may not be set yet. Each of these
# functions kills the process. The program below calls none of them, so only the shim could.
OTHER_CALLS = """syscall prctl fcntl mmap munmap sendmsg recvmsg poll ppoll clock_gettime connect shutdown listen
 getsockname socketpair pipe getpid sigaction sigprocmask pthread_sigmask getenv secure_getenv putenv setenv
 dup2 dup3 execve vfork waitpid wait4 getrlimit setrlimit memfd_create ftruncate flock access stat fstat open
 openat write snprintf""".split()
STRICT = """
#include <linux/if_packet.h>
#include <sys/socket.h>
#include <unistd.h>
static void put(const char *text, unsigned long size);
int main(void)
{
	static struct sockaddr_ll name = {.sll_family = AF_PACKET, .sll_protocol = 0x300, .sll_ifindex = INDEX};
	int fd = socket(AF_PACKET, SOCK_RAW, 0), count = 0;
	char packet[2048];

	if (fd < 0 || bind(fd, (struct sockaddr *)&name, sizeof(name)))
		_exit(3);
	put("ready\\n", 6);
	if (read(0, packet, 1) != 1)
		_exit(4);
	while (count < 6)
		count += recv(fd, packet, sizeof(packet), 0) > 0;
	put("6 packets\\n", 10);
	if (close(fd))
		_exit(5);
	return 0;
}
#include <sys/uio.h>
static void put(const char *text, unsigned long size)
{
	struct iovec part = {(void *)text, size};
	writev(1, &part, 1);
}
"""


def run(*command, **options):
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def needed():
    """Names of symbols, and versions of the C library, without which the shim does not load."""
    names, versions = [], set()
    for line in run("readelf", "--wide", "--dyn-syms", shim.SHIM).stdout.splitlines():
        fields = line.split()
        if len(fields) < 8 or fields[6] != "UND":
            continue
        name, _, version = fields[7].partition("@")
        if fields[4] != "WEAK":
            names.append(name)
        versions |= {version} - {""}
    return names, versions


def is_new(version):
    number = re.fullmatch(r"GLIBC_(\d+)\.(\d+)(\.\d+)?", version)
    return not number or (int(number[1]), int(number[2])) > NEWEST


def symbols():
    if not shutil.which("readelf"):
        tap.skip("symbols", "needs readelf")
        return
    names, versions = needed()
    tap.ok("environ" in names and "strlen" in names, "there are symbols that it needs")
    tap.same(sorted(set(names) - set(MAY_NEED)), [], "each is one that every C library has, and makes no system call")
    if os.uname().machine in ("x86_64", "aarch64", "s390x", "ppc64le"): # others came to glibc later
        tap.same([version for version in sorted(versions) if is_new(version)], [],
                 f"of no version above {NEWEST[0]}.{NEWEST[1]}, also where it is looked up")
    libraries = re.findall(r"\(NEEDED\).*\[(.*)\]", run("readelf", "--dynamic", shim.SHIM).stdout)
    tap.same([name for name in libraries if not re.match(r"lib(c|dl)\.so", name)], [], "it needs no other library")


def build(folder, name, source, compiler, *flags):
    path = f"{folder}/{name}"
    done = run(*compiler, "-O1", "-w", *flags, "-o", path, "-x", "c", "-", input=source)
    return path if not done.returncode else tap.diag(done.stderr.strip()[-300:])


def compare(name, sender, path, ways, environment=None):
    if not path:
        tap.skip(name, "can't be built here")
        return
    plain = shim.run("plain", [], sender, helper=path)
    tap.ok(not plain.status and plain.out.endswith("6 packets\n"), f"{name}: the program itself", plain.err)
    for way in ways:
        metered = shim.run(way, [], sender, helper=path, environment=environment)
        tap.same((metered.out, metered.status), (plain.out, plain.status), f"{name}: {way}: as without us")
        tap.same(shim.packets_of(metered.report), 6, f"{name}: {way}: and counted")
        tap.same(shim.lines_of(metered.err), [], f"{name}: {way}: nothing is said")


def musl(folder, sender):
    if not shutil.which("musl-gcc"):
        tap.skip("a program of musl's", "needs musl-gcc (musl-tools)")
        return
    triplet = run("gcc", "-print-multiarch").stdout.strip()
    path = build(folder, "musl", SNIFFER, ["musl-gcc"], "-idirafter", "/usr/include", "-idirafter",
                 f"/usr/include/{triplet}")
    compare("a program of musl's", sender, path, ("run", "preload"))


def sanitizer(folder, sender):
    """gcc's ASan is a shared library that refuses to be loaded behind another one. A script may start such a
    program, too, and nobody sees that beforehand. With LD_PRELOAD alone only what the first process executes
    is helped."""
    path = build(folder, "asan", SNIFFER, ["gcc"], "-fsanitize=address") if shutil.which("gcc") else None
    compare("a program with ASan", sender, path, ("run",))
    compare("and with options of its own", sender, path, ("run",), {"ASAN_OPTIONS": "exitcode=9"})
    if path:
        with open(f"{folder}/script", "w", encoding="ascii") as file:
            file.write(f"#!/bin/sh\n{path}\nexit $?\n")
        os.chmod(file.name, 0o755)
        compare("a script with such a program", sender, file.name, ("run", "preload"))


def interposer(folder, sender):
    index = socket.if_nametoindex("near")
    strict = build(folder, "strict", STRICT.replace("INDEX", str(index)), CC)
    other = build(folder, "other.so", "".join(
        f"long {name}() {{ __builtin_trap(); }}\n" for name in OTHER_CALLS), CC, "-shared", "-fPIC")
    if not other:
        tap.skip("another interposer", "can't be built here")
        return
    for name, order in (("before", f"{other}:{shim.SHIM}"), ("behind", f"{shim.SHIM}:{other}")):
        compare(f"an interposer {name} the shim", sender, strict, ("preload",), {"LD_PRELOAD": order})


def main():
    shim.need()
    tap.time_limit(120)
    symbols()
    net = netns.Net()
    sender = net.sender("far")
    brokers = len(shim.processes("broker"))
    with tempfile.TemporaryDirectory(prefix="socktally-test-") as folder:
        os.chmod(folder, 0o755)
        compare("a program of the C library's", sender, build(folder, "own", SNIFFER, CC), ("run", "preload"))
        musl(folder, sender)
        sanitizer(folder, sender)
        interposer(folder, sender)
    tap.ok(shim.gone(brokers), "no broker is left behind")
    tap.done()


main()
