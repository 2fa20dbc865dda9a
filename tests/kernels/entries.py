# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The entries of the matrix: which kernel, which machine, how it is set up, and what runs there."""
import collections

# program: what of the build it needs in the guest. seconds: when it is taken as hanging.
Test = collections.namedtuple("Test", "name command program seconds")
HELPERS = ("tests/helper_socket", "tests/helper_guest", "tests/helper_report", "tests/helper_switch")
ENVIRONMENT = ("export SRCDIR=/socktally/src BUILDDIR=/socktally/build SOCKTALLY=/socktally/build/socktally "
               "SHIM=/socktally/build/libsocktally-preload.so PYTHONDONTWRITEBYTECODE=1\n")


def script(name, seconds=300, arguments=""):
    return Test(name, f"python3 src/tests/{name} {arguments}".rstrip(), None, seconds)


def program(name, environment="", seconds=300):
    return Test(name, f"env {environment} build/tests/{name}", f"tests/{name}", seconds)


CORE = [
    program("kernel_native", "TEST_PACKETS=5000"),
    script("exact.t"),
    program("translate_random", "COUNT=10000"),
]


class Entry:
    def __init__(self, name, architecture, suites, package, tests, about="", settings="", arguments="",
                 seconds=1800):
        self.name, self.architecture, self.suites, self.package = name, architecture, suites, package
        self.tests, self.about, self.arguments, self.seconds = tests, about, arguments, seconds
        self.settings = ENVIRONMENT + settings


ENTRIES = {entry.name: entry for entry in (
    Entry("bullseye", "amd64", ["bullseye-security", "bullseye"], "linux-image-cloud-amd64", CORE),
    Entry("bookworm", "amd64", ["bookworm-security", "bookworm"], "linux-image-cloud-amd64", CORE),
    Entry("bookworm-backports", "amd64", ["bookworm-backports"], "linux-image-cloud-amd64", CORE),
    Entry("arm64", "arm64", ["bookworm-security", "bookworm"], "linux-image-cloud-arm64", CORE),
    Entry("s390x", "s390x", ["bookworm-security", "bookworm"], "linux-image-s390x", CORE),
    Entry("trixie", "amd64", ["trixie-security", "trixie"], "linux-image-cloud-amd64", CORE),
)}
