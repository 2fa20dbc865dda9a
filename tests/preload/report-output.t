#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Where the report goes, and that nobody waits for it: a daemon's start ends though its broker goes on, a
FIFO without a reader is refused, and a reader that takes nothing holds up neither tool nor broker."""
import fcntl
import os
import select
import subprocess
import tempfile
import time

import live
import netns
import shim
import tap

OPEN = "socket:raw:0 bind:near:3"
F_SETPIPE_SZ = 1031


def preload(command, **environment):
    return ["env", f"LD_PRELOAD={shim.SHIM}", *(f"{name}={value}" for name, value in environment.items()),
            *command]


def start(text, **environment):
    return netns.start(preload([shim.HELPER, *text.split()], **environment), stdin=subprocess.PIPE,
                       stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def reads_to_end(pipe, seconds):
    """What comes until nobody has the other end any more; None if that takes too long."""
    os.set_blocking(pipe.fileno(), False)
    said, deadline = b"", time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not select.select([pipe], [], [], 0.1)[0]:
            continue
        part = os.read(pipe.fileno(), 65536)
        if not part:
            return said.decode()
        said += part
    return None


def daemon_start(folder):
    """The daemon closes its standard streams, as daemon(3) does, and lives on until it is told to end."""
    script = 'exec 3<&0; ("$0" "$@" <&3 >/dev/null 2>/dev/null &) ; sleep 0.3'
    for name, environment in (("", {}), (", SOCKTALLY_OUTPUT", {"SOCKTALLY_OUTPUT": f"{folder}/report"})):
        command = preload(["sh", "-c", script, shim.HELPER, *f"{OPEN} ready".split()], **environment)
        process = netns.start(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        said = reads_to_end(process.stderr, 8)
        lives = len(shim.processes(shim.HELPER))
        tap.ok(said is not None and lives == 1, f"a daemon's start ends while the daemon lives{name}",
               f"{said} {lives}")
        want = 0 if environment else 1
        tap.ok(said is not None and said.count("SOCKTALLY_OUTPUT=FILE") == len(said.splitlines()) == want,
               f"lines that say where the report could go: {want}{name}", said)
        process.stdin.write(b"\n")
        process.stdin.close()
        process.wait(10)
        tap.ok(shim.gone(0), f"the broker ends with the daemon{name}")
    tap.ok(os.path.getsize(f"{folder}/report"), "and the report comes where it was to go")


def foreground():
    """Somebody reads standard error and waits: the report comes there, however the tool ends."""
    for end in "exit", "kill":
        process = start(f"{OPEN} ready {end}")
        time.sleep(0.3)
        process.stdin.write("\n")
        process.stdin.close()
        said = reads_to_end(process.stderr, 8)
        process.wait(10)
        tap.ok(said is not None and "packets" in said, f"ends by {end}: the report is on stderr", said)


def fifo_without_reader(folder):
    fifo = f"{folder}/fifo"
    os.mkfifo(fifo)
    began = time.monotonic()
    process = start(f"{OPEN} detach", SOCKTALLY_OUTPUT=fifo)
    process.stdin.close()
    said = reads_to_end(process.stderr, 20)
    tap.ok(process.wait(10) == 0 and said and "nobody reads it" in said and "packets" in said,
           "SOCKTALLY_OUTPUT is a FIFO without a reader: said, and the report is on stderr", said)
    tap.diag(f"{time.monotonic() - began:.1f} s")
    tap.ok(shim.gone(0), "no broker is left")
    done = subprocess.run([live.SOCKTALLY, "run", "-o", fifo, "--", "echo", "ran"], capture_output=True, text=True,
                          timeout=20, check=False)
    tap.ok(done.returncode == 1 and not done.stdout and len(done.stderr.splitlines()) == 1
           and "nobody reads it" in done.stderr, "run -o: said, and the tool is not started", done.stderr)


def idle_reader(folder):
    """A reader that has the FIFO open and takes nothing."""
    fifo = f"{folder}/fifo"
    for way in "preload", "run":
        reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
        writer = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
        room = fcntl.fcntl(writer, F_SETPIPE_SZ, 4096)
        os.write(writer, b"x" * room)
        command = [shim.HELPER, *f"{OPEN} ready filter:udp filter:reject filter:udp detach".split()]
        if way == "run":
            command = [live.SOCKTALLY, "run", "-I", "0.05", "-o", fifo, "--", *command]
        else:
            command = preload(command, SOCKTALLY_OUTPUT=fifo, SOCKTALLY_INTERVAL="0.05")
        process = netns.start(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True)
        while process.stdout.readline() not in ("ready\n", ""):
            pass
        time.sleep(0.3)
        began = time.monotonic()
        process.stdin.write("\n")
        process.stdin.close()
        lines = [process.stdout.readline() for _ in range(4)] # `run` has the stream as well
        took = time.monotonic() - began
        tap.ok(took < 4, f"{way}: reports that nobody takes don't hold up the tool", f"{took} s {lines}")
        if way == "run":
            time.sleep(0.3)
            process.terminate()
        said = reads_to_end(process.stderr, 20)
        process.wait(10)
        tap.ok(said is not None and "can't write the report" in said and "counted so far" in said,
               f"{way}: that it can't be written is said", said)
        tap.ok(shim.gone(0), f"{way}: nothing is left")
        os.close(reader)
        os.close(writer)


def main():
    shim.need()
    tap.time_limit(100)
    netns.Net()
    with tempfile.TemporaryDirectory(prefix="socktally-test-") as folder:
        os.chmod(folder, 0o777)
        daemon_start(folder)
        foreground()
        fifo_without_reader(folder)
        idle_reader(folder)
    tap.done()


main()
