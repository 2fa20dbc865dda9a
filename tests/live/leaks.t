#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""The library's memory under valgrind, and with the compiler's address and undefined behaviour
sanitizers, through all of its calls, right and wrong ones; its threads with ThreadSanitizer."""
import glob
import os
import shlex
import shutil
import subprocess
import tempfile

import netns
import place
import tap

# In tests/: each with its arguments.
PROGRAMS = {"live/attach_rounds": ["20"], "helpers/guest": [], "helpers/hostile_host": [], "live/scale": ["20"]}


def run(name, command, **environment):
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False,
                          env={**os.environ, **environment}, timeout=120)
    if not tap.ok(done.returncode == 0, name):
        tap.diag(done.stdout + done.stderr)


def valgrind():
    if shutil.which("valgrind") is None:
        tap.skip("valgrind", "not installed")
        return
    for program, arguments in PROGRAMS.items():
        run(f"{os.path.basename(program)} under valgrind",
            ["valgrind", "-q", "--leak-check=full", "--show-leak-kinds=all",
             "--errors-for-leak-kinds=all", "--error-exitcode=99",
             os.path.join(place.BUILD, "tests", program), *arguments])


def build(sanitizer, programs, folder):
    """The programs with a library of their own, or None where the compiler can't."""
    compiler = shlex.split(os.environ.get("CC", "cc"))
    library = glob.glob(os.path.join(place.SOURCES, "plugin/**/*.c"), recursive=True)
    flags = ["-std=gnu11", "-g", "-O1", "-D_GNU_SOURCE=", '-DSOCKTALLY_VERSION="0"',
             f"-fsanitize={sanitizer}", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer",
             "-I", f"{place.SOURCES}/include", "-iquote", place.SOURCES, "-iquote", place.BUILD]
    probe = subprocess.run([*compiler, f"-fsanitize={sanitizer}", "-x", "c", "-", "-o",
                            f"{folder}/probe"], input="int main(void) { return 0; }", text=True,
                           capture_output=True, check=False)
    if probe.returncode:
        return None
    # one object: files of different folders may have the same name
    subprocess.run([*compiler, *flags, "-r", "-nostdlib", "-o", f"{folder}/library.o", *library], check=True)
    for program in programs:
        subprocess.run([*compiler, *flags, "-o", f"{folder}/{os.path.basename(program)}",
                        os.path.join(place.SOURCES, "tests", f"{program}.c"), f"{folder}/library.o", "-ldl",
                        "-pthread"], check=True)
    return programs


def sanitizers():
    with tempfile.TemporaryDirectory() as folder:
        if build("address,undefined", PROGRAMS, folder) is None:
            tap.skip("sanitizers", "the compiler has none")
            return
        for program, arguments in PROGRAMS.items():
            run(f"{os.path.basename(program)} with sanitizers", [f"{folder}/{os.path.basename(program)}", *arguments],
                ASAN_OPTIONS="detect_leaks=1")


def threads():
    name = "threads with ThreadSanitizer"
    with tempfile.TemporaryDirectory() as folder:
        if build("thread", ["helpers/threads"], folder) is None:
            tap.skip(name, "the compiler has none")
            return
        # its shadow memory has fixed places, which a large address randomization may take
        run(name, ["setarch", "-R", f"{folder}/threads"], TSAN_OPTIONS="halt_on_error=1")


def main():
    netns.need()
    tap.time_limit(850)
    valgrind()
    sanitizers()
    threads()
    tap.done()


main()
