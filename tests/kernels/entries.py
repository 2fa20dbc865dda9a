# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The entries of the matrix: which kernel, which machine, how it is set up, and what runs there."""
import collections

# programs: what of the build it needs in the guest. seconds: when it is taken as hanging.
Test = collections.namedtuple("Test", "name command programs seconds")
SOURCES, BUILD = "/socktally/src", "/socktally/build"
# With which a set-up replaces the command by one that has less.
WRAPPED = "/socktally/wrapped"
SETTINGS = (f"export SRCDIR={SOURCES} BUILDDIR={BUILD} SOCKTALLY={BUILD}/socktally "
            f"SHIM={BUILD}/libsocktally-preload.so PYTHONPATH={SOURCES}/tests/lib "
            f"PYTHONDONTWRITEBYTECODE=1 PATIENCE=6\n")
# So that what is sent on a machine that is slow to receive is not lost before any socket sees it.
LONG_BACKLOG = "echo 100000 >/proc/sys/net/core/netdev_max_backlog\n"
# Up to Linux 6.7 this is the default.
SMALL_OPTION_MEMORY = "echo 20480 >/proc/sys/net/core/optmem_max\n"
# For the programs of the kernel's own, which an ordinary filter never comes near.
LARGE_OPTION_MEMORY = "echo 1048576 >/proc/sys/net/core/optmem_max; "


def script(name, arguments="", helpers=(), before="", seconds=600):
    """A test in Python. helpers: programs that it starts."""
    return Test(name, f"{before}python3 {SOURCES}/tests/{name} {arguments}".rstrip(),
                [f"tests/helpers/{helper}" for helper in helpers], seconds)


def program(name, environment="", before="", seconds=600):
    return Test(name, f"{before}{environment} {BUILD}/tests/{name}".strip(), [f"tests/{name}"], seconds)


COST = Test("cost", f"python3 {SOURCES}/tests/kernels/cost.py", ["bench/chain"], 300)
UNMETERED = script("kernels/unmetered.py")
# Where it depends on the kernel: counts if `features` says that there are any, else none at all.
AS_SAID = Test("as-said", f"if $SOCKTALLY features --format json | grep -q '\"meter\",\"there\":true'; "
               f"then python3 {SOURCES}/tests/preload/exact.t --few; else {UNMETERED.command}; fi", [], 600)
SHOW = script("cli/features.t")
FEW_COUNTS = script("preload/exact.t", "--few")

# In the order of what is to be known first.
CORE = [
    SHOW,
    program("unit/kernel_native", "TEST_PACKETS=5000 VERIFIED_MOST=200000"),
    COST,
    script("preload/exact.t"),
    program("unit/translate/random", "COUNT=10000", LARGE_OPTION_MEMORY, seconds=1200),
    script("preload/broker-killed.t", "--few", ["socket_steps"]),
    script("cli/hooks.t", "--builtin"),
    program("unit/kernel_fragments", "TEST_PACKETS=5000"),
    program("unit/hook_packet"),
    program("live/hook_chain", "TEST_CHANGES=48"),
    program("live/class_change"),
    program("unit/class_random", "COUNT=20 MANY=200"),
    script("cli/attach.t", "--few"),
    script("cli/read.t"),
]
# Where the machine itself is emulated, and slowly.
OTHER_MACHINE = [
    SHOW,
    script("cli/read.t"),
    program("unit/kernel_native", "TEST_PACKETS=2000 VERIFIED_MOST=200000"),
    COST,
    FEW_COUNTS,
    program("unit/translate/random", "COUNT=10000", LARGE_OPTION_MEMORY, seconds=1200),
    script("preload/broker-killed.t", "--few", ["socket_steps"]),
    script("cli/hooks.t", "--builtin"),
    program("unit/hook_packet"),
    program("live/hook_chain", "TEST_CHANGES=48"),
    program("live/class_change"),
    program("unit/class_random", "COUNT=5 MANY=50"),
    script("cli/attach.t", "--few"),
]
# What a change has to pass, in about three minutes.
QUICK = [
    SHOW,
    program("unit/kernel_native", "TEST_PACKETS=5000 VERIFIED_MOST=200000"),
    FEW_COUNTS,
    program("unit/translate/random", "COUNT=1000", LARGE_OPTION_MEMORY),
    script("preload/broker-killed.t", "--few", ["socket_steps"]),
    script("cli/hooks.t", "--builtin"),
    script("cli/attach.t", "--few"),
    script("cli/read.t"),
]
SHORT = [SHOW, program("unit/kernel_native", "TEST_PACKETS=2000 VERIFIED_MOST=200000"), COST, FEW_COUNTS]


def wrap(*command):
    """The command is started with less than root has."""
    words = " ".join(command)
    return (f"cat >{WRAPPED} <<'END'\n#!/bin/sh\nexec {words} {BUILD}/socktally \"$@\"\nEND\n"
            f"chmod 755 {WRAPPED}; export SOCKTALLY={WRAPPED}\n")


class Entry:
    """settings: shell, read before the tests. within: what each test is run by."""
    def __init__(self, name, architecture, suites, package, tests, settings="", within=""):
        self.name, self.architecture, self.suites, self.package = name, architecture, suites, package
        self.tests = tests
        self.settings = f"{SETTINGS}{LONG_BACKLOG}{SMALL_OPTION_MEMORY}{settings}within={within!r}\n"
        # The guest's start, and what each test may take.
        self.seconds = 300 + sum(test.seconds for test in tests)


# CAP_BPF and CAP_NET_RAW, but neither CAP_PERFMON nor CAP_SYS_ADMIN.
NO_PERFMON = wrap("capsh", "--drop=cap_perfmon,cap_sys_admin", "--", "-c", "'exec \"$0\" \"$@\"'")


def bookworm(name, *arguments, **options):
    return Entry(name, "amd64", ["bookworm-security", "bookworm"], "linux-image-cloud-amd64",
                 *arguments, **options)


def newest(name, *arguments, **options):
    return Entry(name, "amd64", ["trixie-backports"], "linux-image-cloud-amd64", *arguments, **options)


ENTRIES = {entry.name: entry for entry in (
    bookworm("quick", QUICK),
    bookworm("bookworm", CORE),
    Entry("bullseye", "amd64", ["bullseye-security", "bullseye"], "linux-image-cloud-amd64", CORE),
    Entry("bookworm-backports", "amd64", ["bookworm-backports"], "linux-image-cloud-amd64", CORE),
    Entry("trixie", "amd64", ["trixie-security", "trixie"], "linux-image-cloud-amd64", CORE),
    newest("trixie-backports", CORE),
    Entry("arm64", "arm64", ["bookworm-security", "bookworm"], "linux-image-cloud-arm64",
          OTHER_MACHINE),
    Entry("s390x", "s390x", ["bookworm-security", "bookworm"], "linux-image-s390x", OTHER_MACHINE),
    bookworm("no-perfmon", [SHOW, AS_SAID], NO_PERFMON),
    newest("no-perfmon-newest", [SHOW, AS_SAID], NO_PERFMON),
    # The setting that can't be taken back until the next start.
    bookworm("lockdown", SHORT, "echo 1 >/proc/sys/kernel/unprivileged_bpf_disabled\n"),
    bookworm("no-jit", SHORT, "echo 0 >/proc/sys/net/core/bpf_jit_enable\n"),
    # Root in a user namespace, as in a container: nothing can be metered, and nothing is disturbed.
    bookworm("container", [SHOW, UNMETERED], within=f"python3 {SOURCES}/tests/kernels/container.py"),
)}
