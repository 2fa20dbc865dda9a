# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The programs of the benchmark, for the tests that run them: built by one at a time."""
import fcntl
import os
import subprocess

import place
import tap


def build():
    with open(f"{place.BUILD}/Makefile", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made = subprocess.run([os.environ.get("MAKE", "make"), "-s", "bench-programs"], cwd=place.BUILD,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    tap.ok(made.returncode == 0, "the programs build", made.stdout)
