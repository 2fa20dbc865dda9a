# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Where the sources are and where they were built."""
import os

SOURCES = os.environ.get("SRCDIR") or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.abspath(os.environ.get("BUILDDIR") or "build")


def data(name):
    """A file of tests/data."""
    return os.path.join(SOURCES, "tests/data", name)


def helper(name):
    """A program of tests/helpers."""
    return os.path.join(BUILD, "tests/helpers", name)


def opened(program):
    """Options of subprocess.run() by which another user may run it, also where the way to it is only ours."""
    file = os.open(program, os.O_RDONLY)
    return {"executable": f"/proc/self/fd/{file}", "pass_fds": [file]}
