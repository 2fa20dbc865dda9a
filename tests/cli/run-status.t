#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""`socktally run` around a tool: its streams, its exit status, its death by a signal, the signals
meant for it, Ctrl-C on its terminal; and what is said where it can't be metered."""
import json
import os
import pty
import select
import signal
import subprocess
import tempfile
import time

import live
import netns
import shim
import tap

RUN = [live.SOCKTALLY, "run"]


def run(command, **options):
    return subprocess.run(command, capture_output=True, text=True, timeout=20, check=False, **options)


def statuses():
    for status in 0, 1, 2, 7, 127, 255:
        done = run([*RUN, "sh", "-c", f"exit {status}"])
        tap.same(done.returncode, status, f"exit status {status}")
    for number in signal.SIGTERM, signal.SIGKILL, signal.SIGINT, signal.SIGPIPE, signal.SIGSEGV:
        done = run([*RUN, "--", "sh", "-c", f"kill -{int(number)} $$"])
        tap.same(done.returncode, -number, f"dies of {number.name} as its tool does")
    done = run([*RUN, "--", "sh", "-c", "cat; echo err >&2"], input="through")
    tap.same(done.stdout, "through", "standard input and output are the tool's")
    tap.ok(done.stderr.startswith("err\n"), "so is standard error", done.stderr)
    for command, text in ((["nosuchtool"], "command not found"), (["/nosuch/tool"], "No such file"),
                          (["/tmp"], "ermission denied")):
        done = run([*RUN, "--", *command])
        lines = done.stderr.splitlines()
        tap.ok(done.returncode == 1 and len(lines) == 1 and text in lines[0],
               f"{command[0]}: status 1 and one line", f"{done.returncode} {done.stderr}")
    done = run(RUN)
    tap.ok(done.returncode == 2 and len(done.stderr.splitlines()) == 1, "no tool: status 2", done.stderr)
    done = run([*RUN, "-o", "/nosuch/file", "--", "sh", "-c", "echo ran"])
    tap.same((done.returncode, done.stdout), (1, ""), "-o where nothing can be written: not started")


def inherited():
    """What the tool finds is as without us, but for the channel."""
    script = ("ulimit -n; ulimit -Hn; grep -E '^Sig(Blk|Ign)' /proc/self/status; umask; pwd; "
              "ls /proc/self/fd | grep -v 1023; ps -o pgid= -p $$ >/dev/null")
    plain = run(["sh", "-c", script])
    metered = run([*RUN, "--", "sh", "-c", script])
    tap.same(metered.stdout, plain.stdout, "limits, signals, directory and descriptors are as before")
    ignoring = ["sh", "-c", 'trap "" INT PIPE CHLD HUP; exec "$0" "$@"']
    script = "grep -E '^Sig(Blk|Ign)' /proc/self/status"
    tap.same(run([*ignoring, *RUN, "--", "sh", "-c", script]).stdout,
             run([*ignoring, "sh", "-c", script]).stdout, "ignored signals stay ignored")


def forwarded():
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2,
                   signal.SIGQUIT):
        script = (f"trap 'echo got; exit 5' {int(number)}; echo up; "
                  "while :; do sleep 0.05; done")
        process = netns.start([*RUN, "--", "sh", "-c", script], stdout=subprocess.PIPE, text=True,
                              stderr=subprocess.DEVNULL)
        process.stdout.readline()
        process.send_signal(number) # to us alone
        tap.same((process.stdout.readline(), process.wait(10)), ("got\n", 5),
                 f"{number.name} reaches the tool")


def terminal(net):
    """tcpdump on a terminal, ended by Ctrl-C."""
    report = os.path.join(tempfile.mkdtemp(prefix="socktally-test-"), "report")
    pid, master = pty.fork()
    if pid == 0:
        os.execv(live.SOCKTALLY, [*RUN, "--format", "json", "-o", report, "--", "tcpdump", "-ni",
                                  "near", "-c", "9999"])
    said = b""

    def hear(until, seconds=10):
        nonlocal said
        deadline = time.monotonic() + seconds
        while until not in said and time.monotonic() < deadline:
            if select.select([master], [], [], 0.1)[0]:
                try:
                    said += os.read(master, 4096)
                except OSError:
                    break
    hear(b"listening on")
    time.sleep(0.1)
    netns.send(net.sender("far"), shim.FRAMES)
    time.sleep(0.2)
    os.write(master, b"\x03")
    hear(b"dropped by kernel")
    _, status = os.waitpid(pid, 0)
    os.close(master)
    tap.same(os.waitstatus_to_exitcode(status), 0, "Ctrl-C: tcpdump ends well")
    tap.ok(b"6 packets captured" in said, "and has captured all", said.decode(errors="replace"))
    with open(report, encoding="utf-8") as file:
        tap.same(json.load(file)["totals"]["packets"], 6, "and the report comes")
    os.unlink(report)
    os.rmdir(os.path.dirname(report))


def unreachable(folder):
    done = run([*RUN, "--", "true"])
    tap.ok("no packet socket" in done.stderr and len(done.stderr.splitlines()) == 1,
           "no packet socket: one line", done.stderr)
    done = run([*RUN, "--format", "json", "--", "true"])
    tap.ok('"packets":0' in done.stderr, "and in JSON an empty report for scripts", done.stderr)
    program = os.path.join(folder, "static")
    built = run(["cc", "-static", "-o", program, "-x", "c", "-"], input="int main(void) { return 4; }")
    if built.returncode:
        tap.skip("a static program", "can't be built here")
        return
    done = run([*RUN, "--", program])
    tap.ok(done.returncode == 4 and "static" in done.stderr, "a static program: said", done.stderr)


def broken_report(net, folder):
    steps = "socket:raw:3 ready packets".split()
    for target, why in ("/dev/full", "No space left"), (None, "Broken pipe"):
        options = ["-o", target] if target else ["-o", "/proc/self/fd/REPLACE"]
        reader, writer = os.pipe()
        options = [option.replace("REPLACE", str(writer)) for option in options]
        guest = shim.Guest("plain", [*RUN, *options, "--", shim.HELPER, *steps, "exit"],
                           pass_fds=[writer])
        guest.wait_ready()
        os.close(reader)
        os.close(writer)
        netns.send(net.sender("far"), shim.FRAMES)
        time.sleep(0.05)
        guest.go_on()
        done = guest.finish()
        lines = shim.lines_of(done.err)
        tap.ok(len(lines) == 1 and why in lines[0] and " 6 packets" in lines[0],
               f"a report that can't be written ({why}): the counts are said", done.err)
        tap.same(done.status, 7, "and the status is the tool's")


def main():
    shim.need("tcpdump")
    tap.time_limit(120)
    net = netns.Net()
    statuses()
    inherited()
    forwarded()
    terminal(net)
    with tempfile.TemporaryDirectory(prefix="socktally-test-") as folder:
        unreachable(folder)
        broken_report(net, folder)
    tap.done()


main()
