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
import sys
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


# prints each signal that comes, and its value where one was sent along
ALL_SIGNALS = """
import signal
wanted = set(signal.Signals) | set(range(signal.SIGRTMIN, signal.SIGRTMAX + 1))
wanted -= {signal.SIGKILL, signal.SIGSTOP}
signal.pthread_sigmask(signal.SIG_BLOCK, wanted)
print("up", flush=True)
while True:
    came = signal.sigwaitinfo(wanted)
    print(int(came.si_signo), flush=True)
"""


def forwarded():
    everything = sorted({*map(int, signal.Signals), *range(signal.SIGRTMIN, signal.SIGRTMAX + 1)}
                        - {int(signal.SIGKILL), int(signal.SIGSTOP)})
    process = netns.start([*RUN, "--", sys.executable, "-c", ALL_SIGNALS], stdout=subprocess.PIPE, text=True,
                          stderr=subprocess.DEVNULL)
    process.stdout.readline()
    came = []
    for number in everything:
        process.send_signal(number) # to us alone
        came.append(int(process.stdout.readline() or 0))
    tap.same(came, everything, "every signal but SIGKILL and SIGSTOP reaches the tool")
    os.kill(live.pids(process.pid, os.path.basename(sys.executable)[:15])[0], signal.SIGKILL)
    tap.same(process.wait(10), -signal.SIGKILL, "and its end is ours")
    for number in signal.SIGTERM, signal.SIGRTMIN + 2:
        script = f"import os, signal; os.kill(os.getpid(), {int(number)}); signal.pause()"
        tap.same(run([*RUN, "--", sys.executable, "-c", script]).returncode, -number,
                 f"a tool that sends itself signal {int(number)}")


def state_of(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
        return file.read().rpartition(")")[2].split()[0]


def until(what, seconds=10):
    deadline = time.monotonic() + seconds
    while not what() and time.monotonic() < deadline:
        time.sleep(0.01)
    return what()


def shell(tool, steps, report):
    """What an interactive shell does, on a terminal of its own: the job in a process group, in the foreground
    or not; steps are keys, or signals for the group, or functions. Reports what waitpid() says."""
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    job = os.fork()
    if not job:
        os.setpgid(0, 0)
        signal.signal(signal.SIGTTOU, signal.SIG_DFL)
        os.execv(live.SOCKTALLY, [*RUN, "-o", "/dev/null", "--", *tool])
    try:
        os.setpgid(job, job)
    except OSError:
        pass # it has done so itself, and is another program by now
    for step in steps:
        if step == "foreground":
            os.tcsetpgrp(0, job)
        elif isinstance(step, signal.Signals):
            os.killpg(job, step)
        elif step == "wait":
            _, status = os.waitpid(job, os.WUNTRACED)
            report(f"stopped {os.WSTOPSIG(status)}" if os.WIFSTOPPED(status)
                   else f"ended {os.waitstatus_to_exitcode(status)}")
            os.tcsetpgrp(0, os.getpgrp())
        else:
            report(step)
            time.sleep(0.01)


def job_control():
    """Ctrl-Z, fg and bg. Keys are pressed when the shell says so."""
    reads = ["sh", "-c", "echo up; read x; echo got $x; exit 3"]
    stops_itself = ["sh", "-c", "trap 'echo tidy; kill -STOP $$' TSTP; echo up; read x; read x; exit 3"]
    ignores = ["sh", "-c", "trap '' TSTP; echo up; read x; exit 3"]
    tstp, ttin, stop = (int(number) for number in (signal.SIGTSTP, signal.SIGTTIN, signal.SIGSTOP))
    for name, tool, steps, want in (
            ("Ctrl-Z and fg", reads, ["foreground", "key ^Z", "wait", "foreground", signal.SIGCONT, "key x", "wait"],
             [f"stopped {tstp}", "ended 3"]),
            ("in the background it reads the terminal, and fg", reads,
             ["wait", "foreground", signal.SIGCONT, "key x", "wait"], [f"stopped {ttin}", "ended 3"]),
            ("a tool that stops itself on Ctrl-Z", stops_itself,
             ["foreground", "key ^Z", "wait", "foreground", signal.SIGCONT, "key x", "key x", "wait"],
             [f"stopped {stop}", "ended 3"]),
            ("a tool that ignores Ctrl-Z", ignores, ["foreground", "key ^Z", "key x", "wait"], ["ended 3"])):
        reader, writer = os.pipe()
        pid, master = pty.fork()
        if not pid:
            os.close(reader)
            shell(tool, steps, lambda text, to=writer: os.write(to, f"{text}\n".encode()))
            os._exit(0)
        os.close(writer)
        said, heard = [], b""
        with os.fdopen(reader) as shells:
            up = False
            for line in shells:
                line = line.strip()
                if not line.startswith("key "):
                    said.append(line)
                    continue
                while not up and select.select([master], [], [], 10)[0]:
                    heard += os.read(master, 4096)
                    up = b"up" in heard
                time.sleep(0.2)
                os.write(master, b"\x1a" if line == "key ^Z" else b"x\n")
        os.waitpid(pid, 0)
        os.close(master)
        tap.same(said, want, f"job control: {name}")
    process = netns.start([*RUN, "-o", "/dev/null", "--", "sleep", "5"], stderr=subprocess.DEVNULL)
    tap.ok(until(lambda: live.pids(process.pid, "sleep")), "a tool that is stopped by its number")
    tool = live.pids(process.pid, "sleep")[0]
    os.kill(tool, signal.SIGSTOP)
    tap.ok(until(lambda: state_of(tool) == "T") and not time.sleep(0.1) and state_of(process.pid) == "S",
           "leaves us running, to see it continued")
    os.kill(tool, signal.SIGCONT)
    process.terminate()
    tap.same(process.wait(10), -signal.SIGTERM, "and ended")


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


def nothing(folder):
    """Nothing to report: one line, and for a script an object that says so."""
    done = run([*RUN, "--", "true"])
    tap.ok("no packet socket" in done.stderr and len(done.stderr.splitlines()) == 1,
           "no packet socket: one line", done.stderr)
    for options in [], ["--attach"]:
        run([*RUN, *options, "--format", "json", "-o", f"{folder}/report", "--", "true"])
        with open(f"{folder}/report", encoding="utf-8") as file:
            report = json.load(file)
        tap.ok(report["totals"]["packets"] == 0 and "no packet socket" in report["notes"][0]["text"]
               and report["notes"][0]["event"] == "nothing", f"JSON says so {options}", report)


STATIC = "int main(void) { return 4; }"
# what the steps of opening a socket come to without a library
OPENS = r"""
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdio.h>
#include <sys/socket.h>
int main(void)
{
	struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_protocol = 0x300,
				      .sll_ifindex = if_nametoindex("near")};
	int fd = socket(AF_PACKET, SOCK_RAW, 0), got = 0;
	char packet[2000];
	if (bind(fd, (struct sockaddr *)&address, sizeof(address))) return 9;
	puts("ready"); fflush(stdout);
	while (got < 6) got += recv(fd, packet, sizeof(packet), 0) > 0;
	return 4;
}
"""


def compiled(source, program, *options):
    done = run(["cc", "-w", "-o", program, "-x", "c", "-", *options], input=source)
    return not done.returncode


def unloadable(net, folder):
    """The library can't be loaded: said in one line, and its sockets are taken from outside."""
    for name, options, why in (("static", ["-static"], "linked statically"),
                               ("static-pie", ["-static-pie"], "linked statically"),
                               ("m32", ["-m32"], "32-bit"),
                               ("loader", [f"-Wl,--dynamic-linker={folder}/ld-uClibc-x.so.1"], "C library of its own")):
        program = os.path.join(folder, name)
        if name == "loader":
            libc = run(["sh", "-c", "readelf -l /bin/sh | sed -n 's/.*interpreter: \\(.*\\)]/\\1/p'"]).stdout.strip()
            if libc:
                os.symlink(libc, f"{folder}/ld-uClibc-x.so.1")
        if not compiled(OPENS, program, *options):
            tap.skip(f"{name}: {why}", "can't be built here")
            continue
        guest = live.Tool([program], ready=None, stdout=subprocess.PIPE)
        guest.process.stdout.readline()
        time.sleep(0.3) # it is looked for sockets every 20 ms
        netns.send(net.sender("far"), shim.FRAMES)
        status = guest.wait()
        err = guest.read("stderr").decode()
        tap.same(status, 4, f"{name}: works")
        tap.ok(why in err and len(err.splitlines()) == 1, f"{name}: said in one line", err)
        tap.same(guest.report()["totals"].get("packets"), 6, f"{name}: and metered")
    script = os.path.join(folder, "script")
    with open(script, "w", encoding="ascii") as file:
        file.write(f"#! {folder}/static x\n")
    os.chmod(script, 0o755)
    done = run(["timeout", "1", *RUN, "--", script])
    tap.ok("linked statically" in done.stderr, "a script of such a program", done.stderr)
    done = run([*RUN, "--", "/lib64/ld-linux-x86-64.so.2", "/bin/true"]) if os.path.exists(
        "/lib64/ld-linux-x86-64.so.2") else None
    if done:
        tap.ok("no packet socket" in done.stderr and "static" not in done.stderr,
               "the loader as a command is no static program", done.stderr)


def rights(folder):
    """Programs that get more rights than their caller has."""
    program = os.path.join(folder, "rights")
    compiled(STATIC, program)
    os.chmod(program, 0o4755) # setuid root
    done = run([*RUN, "--", program])
    tap.ok("no packet socket" in done.stderr and "try as root" not in done.stderr,
           "root runs a setuid root program: that is no hindrance", done.stderr)
    subprocess.run(["setcap", "cap_net_raw+ep", program], check=False)
    done = run([*RUN, "--", program])
    tap.ok("no packet socket" in done.stderr and "try as root" not in done.stderr,
           "nor are file capabilities", done.stderr)
    os.chmod(program, 0o755)
    os.chown(program, 65534, 65534)
    os.chmod(program, 0o4755)
    done = run([*RUN, "--", program])
    tap.ok("is setuid" in done.stderr and "from outside" in done.stderr,
           "setuid of another user: metered from outside", done.stderr)
    behind = [*RUN, "--", "timeout", "5", program]
    done = run(behind)
    tap.ok("is setuid" in done.stderr and "--attach" in done.stderr and len(done.stderr.splitlines()) == 1,
           "behind a wrapper: the cause, and the way", done.stderr)
    os.chmod(program, 0o755)
    done = run(behind)
    tap.ok("--attach" not in done.stderr, "a program that is like others has no such hint", done.stderr)
    subprocess.run(["setcap", "cap_net_raw+ep", program], check=False)
    os.chmod(folder, 0o755)
    done = run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *behind])
    tap.ok("has file capabilities" in done.stderr and "--attach" in done.stderr,
           "a user, behind a wrapper: file capabilities", done.stderr)


def one_line_each(folder):
    """What goes wrong in two places is said once."""
    compiled("#include <sys/socket.h>\n#include <unistd.h>\n"
             "int main(void) { return socket(AF_PACKET, SOCK_RAW, 0x300) < 0 || usleep(500000); }", f"{folder}/tool")
    done = run([*RUN, "--", "prlimit", "--nofile=4", f"{folder}/tool"])
    tap.ok(len(done.stderr.splitlines()) == 1 and "too many open files" in done.stderr and not done.returncode,
           "no descriptors left", done.stderr)
    done = run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *RUN, "--attach", "--", "true"])
    tap.ok(len(done.stderr.splitlines()) == 1 and "not permitted" in done.stderr, "--attach as a user", done.stderr)


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
    job_control()
    terminal(net)
    with tempfile.TemporaryDirectory(prefix="socktally-test-") as folder:
        os.chmod(folder, 0o755)
        nothing(folder)
        unloadable(net, folder)
        rights(folder)
        one_line_each(folder)
        broken_report(net, folder)
    tap.done()


main()
