#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""check.py [ENTRY...]: the core tests on other kernels and machines, in emulated guests, as TAP.

Without ENTRY, those that KERNELS names, or all but "quick", which is a part of "bookworm". VERBOSE=1
shows a guest's console as it comes.
Nothing is installed. What is fetched is kept in BUILDDIR/kernels.
"""
import os
import re
import shutil
import subprocess
import sys

import entries
import image
import machine
import packages

SOURCES = os.path.abspath(os.environ.get("SRCDIR", "."))
BUILD = os.path.abspath(os.environ.get("BUILDDIR", "build"))
WORK = os.path.join(BUILD, "kernels")
# What the guest's system is made of, besides what these depend on.
USERLAND = ("bash", "busybox-static", "coreutils", "ethtool", "iproute2", "libbz2-1.0", "libcap2-bin", "liblz4-1", "liblzma5",
            "libpcap0.8", "libzstd1", "netbase",
            "python3", "tcpdump", "util-linux", "zlib1g")
# What a build for another architecture is made with, besides the compiler.
SYSROOT = ("libbpf-dev", "libc6-dev", "libpcap-dev", "libzstd-dev", "linux-libc-dev", "zlib1g-dev")
# Parts of the packages that no test looks at.
LEFT_OUT = ("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/terminfo", "usr/share/perl5",
            "usr/share/bash-completion", "usr/share/lintian", "usr/share/python3", "usr/share/zoneinfo",
            "usr/include", "usr/share/info", "usr/share/dpkg", "usr/share/debconf", "usr/lib/systemd",
            "lib/systemd", "usr/share/common-licenses", "usr/share/pixmaps", "usr/share/applications")
MODULES = ("veth", "tun", "dummy", "af_packet", "af_packet_diag", "unix_diag", "8021q", "vxlan", "nlmon")


def kernel_of(entry):
    """The unpacked kernel of an entry: one package, or, since Linux 7, what that is divided into."""
    suites = packages.Suites(os.path.join(WORK, "apt"), entry.architecture, entry.suites)
    name = suites.needs(entry.package, "linux-image-")[0]
    parts = [name, *suites.needs(name, "linux-base-", "linux-binary-", "linux-modules-")]
    folder = os.path.join(WORK, f"{name}_{suites.field(name, 'Version')}")
    packages.unpack([suites.fetch_one(part) for part in parts], folder)
    return folder


def system_of(architecture, name, wanted):
    """These packages of this machine's release, unpacked, and all that they depend on."""
    own = packages.own_suite()
    suites = packages.Suites(os.path.join(WORK, "apt"), architecture, [own, f"{own}-security"])
    folder = os.path.join(WORK, f"{name}-{architecture}")
    packages.unpack(suites.fetch(*wanted), folder)
    return folder


def build_of(architecture):
    """The folder of the project's build for this architecture, made if it isn't the machine's own."""
    if architecture == packages.output("dpkg", "--print-architecture").strip():
        return BUILD
    triplet = packages.output("dpkg-architecture", "-a", architecture, "-q", "DEB_HOST_GNU_TYPE").strip()
    if not shutil.which(f"{triplet}-gcc"):
        raise packages.Missing(f"needs {triplet}-gcc: apt-get install gcc-{triplet.replace('_', '-')} "
                               f"libc6-dev-{architecture}-cross")
    sysroot = system_of(architecture, "sysroot", SYSROOT)
    folder = os.path.join(WORK, architecture)
    os.makedirs(folder, exist_ok=True)
    for command in ([os.path.join(SOURCES, "configure"), f"--host={triplet}", "PKG_CONFIG=false",
                     f"CC={triplet}-gcc --sysroot={sysroot}"],
                    ["make", f"-j{os.cpu_count()}", "tests", "bench/chain"]):
        with open(os.path.join(folder, "build.log"), "a", encoding="utf-8") as log:
            done = subprocess.run(["nice", "-n", "10", *command], cwd=folder, stdin=subprocess.DEVNULL,
                                  stdout=log, stderr=subprocess.STDOUT, check=False,
                                  env={name: value for name, value in os.environ.items()
                                       if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "CC")})
        if done.returncode:
            raise ChildProcessError(f"can't build for {architecture}: see {folder}/build.log")
    return folder


def add_system(cpio, folder):
    for where, names, files in os.walk(folder):
        inside = os.path.relpath(where, folder)
        inside = "" if inside == "." else inside
        names[:] = sorted(name for name in names if os.path.join(inside, name) not in LEFT_OUT)
        for name in list(names):
            if os.path.islink(os.path.join(where, name)):
                files.append(name)
                names.remove(name)
        for name in sorted(files):
            cpio.add(os.path.join(where, name), os.path.join(inside, name))
        if not files and not names:
            cpio.folder(inside)
    cpio.text("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n"
              "tcpdump:x:100:100::/:/bin/false\nuser:x:1000:1000::/:/bin/sh\n")
    cpio.text("etc/group", "root:x:0:\ntty:x:5:\ntcpdump:x:100:\nnogroup:x:65534:\nuser:x:1000:\n")
    cpio.link("bin/sh", "/bin/busybox")
    cpio.text("etc/nsswitch.conf", "passwd: files\ngroup: files\n")


def add_project(cpio, build, programs):
    """The project's build and its tests."""
    for name in sorted(os.listdir(build)):
        if re.fullmatch(r"socktally|libsocktally[^/]*\.so[.\d]*", name):
            cpio.add(os.path.join(build, name), f"socktally/build/{name}")
    for name in programs:
        cpio.add(os.path.join(build, name), f"socktally/build/{name}")
    for folder in ("tests", "include", "docs"):
        for where, names, files in os.walk(os.path.join(SOURCES, folder)):
            names[:] = [name for name in names if name not in ("fuzz", "__pycache__")]
            for name in sorted(files):
                path = os.path.join(where, name)
                if not name.endswith((".c", ".h")) or folder == "include":
                    cpio.add(path, os.path.join("socktally/src", os.path.relpath(path, SOURCES)))


def image_of(entry, kernel, system, build):
    path = os.path.join(WORK, f"{entry.name}.cpio")
    cpio = image.Cpio(path)
    add_system(cpio, system)
    programs = sorted({program for test in entry.tests for program in test.programs})
    add_project(cpio, build, programs)
    for number, (name, data) in enumerate(image.modules(kernel, MODULES)):
        cpio.text(f"modules/{number:02}-{name}.ko", data)
    with open(os.path.join(SOURCES, "tests/kernels/init"), encoding="utf-8") as file:
        cpio.text("init", file.read(), 0o755)
    cpio.text("settings", entry.settings)
    cpio.text("tests", "".join(f"{test.seconds} {test.name} {test.command}\n" for test in entry.tests))
    cpio.close()
    return path


class Report:
    """TAP of all entries."""
    def __init__(self):
        self.ran = self.failed = 0

    def result(self, problem, text):
        self.ran += 1
        self.failed += bool(problem)
        print(f"{'not ' if problem else ''}ok {self.ran} - {text}{': ' if problem else ''}{problem}",
              flush=True)

    def skip(self, text, why):
        """Said on the standard error as well, as prove shows no reasons."""
        self.ran += 1
        print(f"# {text} is skipped: {why}", file=sys.stderr, flush=True)
        print(f"ok {self.ran} - {text} # SKIP {why}", flush=True)

    def test(self, entry, run):
        problem = run.problem()
        name = f"{entry.name}: {run.name}"
        # What a test needs is put into the guest: one that does without it shows nothing.
        if not problem and run.skipped() is not None:
            problem = f"skipped: {run.skipped()}"
        time = "" if run.seconds is None else f" ({run.count()} tests, {run.seconds:.1f} s)"
        self.result(problem, name + time)
        for line in run.lines:
            if problem or line.startswith("# measured"):
                print(f"#     {line.lstrip('# ') if not problem else line}", flush=True)

    def guest(self, entry, guest):
        """What is to be said once it has ended."""
        for name in [test.name for test in entry.tests][len(guest.runs):]:
            self.result("it was not reached", f"{entry.name}: {name}")
        problem = guest.problem()
        self.result(problem, f"{entry.name}: the guest, {guest.kernel or 'no kernel'}, and its log")
        for line in guest.said + guest.log if problem else []:
            print(f"#     {line}")


def main():
    names = sys.argv[1:] or os.environ.get("KERNELS", "").split() or \
        [name for name in entries.ENTRIES if name != "quick"]
    unknown = [name for name in names if name not in entries.ENTRIES]
    if unknown:
        print(f"{' '.join(unknown)}: no such entry; there are: {' '.join(entries.ENTRIES)}",
              file=sys.stderr)
        sys.exit(2)
    os.makedirs(WORK, exist_ok=True)
    report = Report()
    for entry in map(entries.ENTRIES.get, names):
        try:
            machine.need(entry.architecture)
            kernel = kernel_of(entry)
            system = system_of(entry.architecture, "system", USERLAND)
            build = build_of(entry.architecture)
        except packages.Missing as why:
            report.skip(entry.name, why)
            continue
        except ChildProcessError as error:
            report.result(error, entry.name)
            continue
        initramfs = image_of(entry, kernel, system, build)
        guest = machine.boot(entry.architecture, image.vmlinuz(kernel), initramfs,
                             entry.seconds, lambda run, entry=entry: report.test(entry, run),
                             bool(os.environ.get("VERBOSE")))
        os.unlink(initramfs)
        report.guest(entry, guest)
    print(f"1..{report.ran}")
    sys.exit(1 if report.failed else 0)


main()
