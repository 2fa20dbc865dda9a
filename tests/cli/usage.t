#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Wrong use of the command: one line on stderr that says what is wrong, nothing on stdout, and the
exit status of the contract; help and version; output that can't be written."""
import os
import re
import resource
import shlex
import signal
import stat
import subprocess
import sys
import tempfile

import captures
import place
import tap
from captures import run

FOLDER = tempfile.TemporaryDirectory(prefix="socktally-test-")
CAPTURE = FOLDER.name + "/capture"

# arguments: what the line must say
WRONG = [
    ("", "no command given"),
    ("frobnicate", "unknown command 'frobnicate'"),
    ("--frobnicate", "unknown option '--frobnicate'"),
    ("read", "no capture file given"),
    ("read ''", "'': no file name"),
    ("read -z FILE", "unknown option '-z'"),
    ("read -qz FILE", "unknown option '-q'"),
    ("read --frobnicate FILE", "'--frobnicate'"),
    ("read --format", "'--format' needs an argument"),
    ("read --format xml FILE", "'xml'"),
    ("read --format= FILE", "--format ''"),
    ("read -n 0 FILE", "--top '0'"),
    ("read --depth x FILE", "--depth 'x'"),
    ("read --sort size FILE", "--sort 'size'"),
    ("read --units iec,nibbles FILE", "--units 'iec,nibbles'"),
    ("read --units= FILE", "--units ''"),
    ("read --color maybe FILE", "--color 'maybe'"),
    ("read --help=me FILE", "takes no argument"),
    ("read --packets=5 FILE", "takes no argument"),
    ("run --lost= true", "no file name"),
    ("run --attach --lost true", "not with --attach"),
    ("diff", "nothing to compare"),
    ("diff FILE", "only one side"),
    ("diff FILE --to", "only one side"),
    ("diff --to FILE FILE", "only one side"),
    ("diff FILE --to=FILE", "takes no argument"),
    ("diff FILE ''", "no file name"),
    ("diff - -", "given twice"),
    ("diff -I 1 FILE FILE", "not with -I"),
    ("diff --hook sizes FILE FILE", "not with files"),
    ("diff --append FILE FILE", "not with --append"),
    ("diff --format phs FILE FILE", "--format: diff writes"),
    ("read --pa FILE", "ambiguous: --paths, --packets"),
    ("read --format json --format text FILE", "--format is given twice"),
    ("read --paths 7 --pat 7 FILE", "--paths is given twice"),
    ("read -o a --output b FILE", "-o (--output) is given twice"),
    ("watch -i lo --interface eth0", "-i (--interface) is given twice"),
    ("attach -c 1 -c 2 1", "-c (--seconds) is given twice"),
    ("list --format json --format json", "--format is given twice"),
    ("read --append FILE", "--append needs -o FILE"),
    ("read --append -o - FILE", "--append needs -o FILE"),
    ("read -I", "'-I' needs an argument"),
    ("read -I 0 FILE", "-I '0'"),
    ("read -I -1 FILE", "-I '-1'"),
    ("read -I nan FILE", "-I 'nan'"),
    ("read -I inf FILE", "-I 'inf'"),
    ("read -I 1s FILE", "-I '1s'"),
    ("read -I 1e99 FILE", "-I '1e99'"),
    ("read -I 0.0001 FILE", "-I '0.0001'"),
    ("read --interval= FILE", "-I ''"),
    ("read -o", "'-o' needs an argument"),
    ("read --output= FILE", "no file name"),
    ("read --paths 0 FILE", "--paths '0'"),
    ("read --paths 32769 FILE", "--paths '32769'"),
    ("read --paths -1 FILE", "--paths '-1'"),
    ("read --paths 99999999999999999999 FILE", "--paths"),
    ("read --paths 10x FILE", "--paths '10x'"),
    ("read --port 8473=vxlan FILE", "udp/8473=vxlan"),
    ("read --port tcp/8473=vxlan FILE", "udp/8473=vxlan"),
    ("read --port udp/0=vxlan FILE", "udp/8473=vxlan"),
    ("read --port udp/65536=vxlan FILE", "udp/8473=vxlan"),
    ("read --port udp/8473=vxlam FILE", "udp/8473=vxlan"),
    ("read --port udp/8473=tcp FILE", "no protocol with a UDP port"),
    ("read --port udp/8473=vxlan,udp/8473=gtp FILE", "given twice"),
    ("read --port udp/8473=vxlan, FILE", "udp/8473=vxlan"),
    ("read --port udp/1=gtp,udp/2=gtp,udp/3=gtp,udp/4=gtp,udp/5=gtp,udp/6=gtp,udp/7=gtp,udp/8=gtp,udp/9=gtp FILE",
     "8 ports at most"),
    ("read --packets --format json FILE", "--packets"),
    ("read --packets -I 1 FILE", "--packets"),
    ("read --flows --format csv FILE", "--flows"),
    ("read --flows --packets FILE", "--flows"),
    ("read --flows --class a=tcp FILE", "--flows"),
    ("read --flows -I 1 FILE", "--flows"),
    ("read --no-applications=1 FILE", "takes no argument"),
    ("watch", "no interface given"),
    ("watch eth0", "'eth0'"),
    ("watch -i", "'-i' needs an argument"),
    ("watch --interface= -c 1", "no interface given"),
    ("watch -i lo tcp port 80", "'tcp'"),
    ("watch -i lo -c 0", "-c '0'"),
    ("watch -i lo -c x", "-c 'x'"),
    ("watch -i lo -I x", "-I 'x'"),
    ("watch -i lo --format pdf", "'pdf'"),
    ("watch -i lo --paths x", "--paths 'x'"),
    ("watch -i lo -x", "'-x'"),
    ("attach", "no process given"),
    ("attach -i", "'-i' needs an argument"),
    ("attach --interface= 1", "no interface given"),
    ("attach -c 0 1", "-c '0'"),
    ("attach --follow=yes 1", "takes no argument"),
    ("attach -x 1", "'-x'"),
    ("attach ''", "no process given"),
    ("run", "no tool to run"),
    ("run -- ''", "no tool to run"),
    ("run --hook nosuch true", "'nosuch'"),
    ("run --hook drop true", "drop=PATH"),
    ("run --hook drop=foo true", "'foo' is no protocol's name"),
    ("run --hook snap=tcp:-1 true", "bytes=-1"),
    ("run --hook snap=tcp:99999999999 true", "bytes=99999999999"),
    ("run --hook sample=*:1/0 true", "n=0"),
    ("run --hook sample=*:1/x true", "n=x"),
    ("run --hook talkers,by=packet true", "must be flow or host"),
    ("run --hook sizes,n=1 true", "the hook sizes has no option 'n=1': top="),
    ("run --hook sizes,foo true", "no option 'foo': top="),
    ("run --hook drop=eth:arp,by=flow true", "the hook drop has no option 'by=flow': path="),
    ("run --hook 'sample=*:1/2,flow,flow' true", "the option by is given twice"),
    ("run --hook drop=tcp true", "did you mean *:tcp?"),
    ("run --hook snap=ip:udp:60 true", "did you mean *:ip:udp?"),
    ("watch -i lo --hook rate=5", "'=5'"),
    ("broker --group root", "--socket"),
    ("help frobnicate", "unknown command 'frobnicate'"),
    ("detach", "no process given"),
    ("detach ''", "no process given"),
    ("detach --each 1", "'--each'"),
]


def wrong_usage():
    for line, word in WRONG:
        status, out, err = run(*(CAPTURE if part == "FILE" else part for part in shlex.split(line)))
        tap.ok(status == 2 and out == b"" and captures.one_line(err) and word in err and
               "--help" in err, f"socktally {line}", f"{status} {out!r} {err!r}")


def help_and_version():
    commands = "run", "watch", "read", "list", "attach", "detach", "features", "fields", "broker"
    for line in ("--help", "-h", "help", "help read", "watch -i lo --help", "--version", "-V",
                 *(f"{command} {option}" for command in commands for option in ("--help", "-h"))):
        status, out, err = run(*line.split())
        text = out.decode()
        tap.ok(status == 0 and out and not err and max(map(len, text.splitlines())) <= 80,
               f"socktally {line}: on stdout, within 80 columns", f"{status} {text} {err!r}")
        with open("/dev/full", "wb") as full:
            status, _, err = run(*line.split(), stdout=full)
        tap.ok(status == 1 and captures.one_line(err) and "No space left" in err,
               f"socktally {line} >/dev/full", f"{status} {err!r}")
    text = run("--version")[1].decode()
    with open(os.path.join(place.SOURCES, "VERSION"), encoding="ascii") as file:
        tap.ok(text.split()[:2] == ["socktally", file.read().strip()], "--version has the version",
               text)


def manual():
    """Every option that --help knows is in the manual page."""
    with open(os.path.join(place.SOURCES, "man/socktally.1"), encoding="utf-8") as file:
        page = file.read()
    for command in ("run", "watch", "read", "attach"):
        text = run(command, "--help")[1].decode()
        options = re.findall(r"^ +(?:(-\w), )?--([\w-]+)", text, re.M)
        missing = [long for short, long in options
                   if f"Fl \\&-{long}" not in page or short and f"Fl {short[1]} " not in page]
        tap.ok(len(options) > 4 and not missing, f"the manual has the options of {command}", missing)


def lost(name, status, err, why):
    """The report could not be written: the line says so and has the totals."""
    tap.ok(status == 1 and captures.one_line(err) and why in err and "8 packets" in err and
           "accepted 8 packets" in err, name, f"{status} {err!r}")


def lost_reports():
    for form in ("text", "json"):
        with open("/dev/full", "wb") as full:
            status, _, err = run("read", "--format", form, CAPTURE, stdout=full)
        lost(f"{form} to a full disk", status, err, "No space left")
        status, _, err = run("read", "--format", form, "-o", "/dev/full", CAPTURE)
        lost(f"{form} -o to a full disk", status, err, "/dev/full")
        reader, writer = os.pipe()
        os.close(reader)
        status, _, err = run("read", "--format", form, CAPTURE, stdout=writer)
        os.close(writer)
        tap.same((status, err), (-signal.SIGPIPE, ""), f"{form} to a closed pipe: ends silently")
        shell = subprocess.run(["sh", "-c", f'exec "$0" read --format {form} "$1" >&-',
                                captures.SOCKTALLY, CAPTURE], stderr=subprocess.PIPE, check=False)
        lost(f"{form} to a closed stdout", shell.returncode, shell.stderr.decode(),
             "Bad file descriptor")
    with open("/dev/full", "wb") as full:
        status, _, err = run("read", "--packets", CAPTURE, stdout=full)
    tap.ok(status == 1 and captures.one_line(err) and "No space left" in err,
           "--packets to a full disk", f"{status} {err!r}")


def output_files():
    with open(CAPTURE, "rb") as file:
        before = file.read()
    os.link(CAPTURE, FOLDER.name + "/link")
    for name in (CAPTURE, FOLDER.name + "/link"):
        status, _, err = run("read", "-o", name, CAPTURE)
        with open(CAPTURE, "rb") as file:
            tap.ok(status == 1 and captures.one_line(err) and file.read() == before,
                   "-o does not overwrite the capture file", f"{status} {err!r}")
    status, _, err = run("read", "-o", FOLDER.name + "/no/report", CAPTURE)
    tap.ok(status == 1 and captures.one_line(err) and "/no/report" in err,
           "-o where there is no folder", f"{status} {err!r}")
    report = FOLDER.name + "/report"
    with open(report, "w", encoding="ascii") as file:
        file.write("#" * 100_000)
    status, out, err = run("read", "-o", report, CAPTURE)
    with open(report, encoding="ascii") as file:
        tap.ok(status == 0 and out == b"" and not err and "#" not in file.read(),
               "-o empties the file first", f"{status} {err!r}")
    status, out, err = run("read", "-o", "-", CAPTURE)
    tap.same((status, out, err), (0, run("read", CAPTURE)[1], ""), "-o -: standard output")
    os.chmod(report, 0o640)
    os.chown(report, os.getuid(), os.getgid())
    inode = os.stat(report).st_ino
    reader = open(report, "rb")  # pylint: disable=consider-using-with
    os.symlink(report, FOLDER.name + "/symlink")
    run("read", "--format", "json", "-o", FOLDER.name + "/symlink", CAPTURE)
    now = os.stat(report)
    tap.ok(now.st_ino != inode and stat.S_IMODE(now.st_mode) == 0o640 and
           os.path.islink(FOLDER.name + "/symlink") and reader.read().startswith(CAPTURE.encode()),
           "-o: a new file takes the name, with the mode of the old one, whose readers go on")
    reader.close()
    tap.same([name for name in os.listdir(FOLDER.name) if name.startswith("report.")], [],
             "-o leaves no other file")


def read(path):
    with open(path, "rb") as file:
        return file.read()


def full_disk():
    """A limit of the file's size stands for the disk."""
    report = FOLDER.name + "/full"
    with open(report, "wb") as file:
        file.write(b"old")
    status, _, err = run("read", "-o", report, CAPTURE,
                         preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10)))
    tap.ok(status == 1 and captures.one_line(err) and "File too large" in err and
           read(report) == b"old" and sorted(os.listdir(FOLDER.name)).count("full") == 1 and
           not any(name.startswith("full.") for name in os.listdir(FOLDER.name)),
           "-o to a full disk: the old report stays", f"{status} {err!r} {read(report)!r}")


def several_reports():
    """With -I a file has one after the other; --append keeps what is there."""
    report = FOLDER.name + "/several"
    with open(report, "wb") as file:
        file.write(b"old")
    run("read", "--format", "json", "-I", "1", "-o", report, CAPTURE)
    lines = read(report).splitlines()
    tap.ok(len(lines) > 2 and all(line.startswith(b'{"schema"') for line in lines),
           "-I -o: all reports, in place of what was there", lines[:1])
    run("read", "--format", "json", "--append", "-o", report, CAPTURE)
    tap.same(len(read(report).splitlines()), len(lines) + 1, "--append: one more")
    report = FOLDER.name + "/text"
    for _ in range(2):
        run("read", "--append", "-o", report, CAPTURE)
    once = run("read", CAPTURE)[1]
    tap.same(read(report), once + b"\n" + once, "--append of text: an empty line between")


def fifo():
    """Nobody is waited for."""
    name = FOLDER.name + "/fifo"
    os.mkfifo(name)
    status, _, err = run("read", "-o", name, CAPTURE)
    tap.ok(status == 1 and captures.one_line(err) and "nobody reads it" in err,
           "-o to a FIFO that nobody reads", f"{status} {err!r}")
    reader = os.open(name, os.O_RDONLY | os.O_NONBLOCK)
    status, _, err = run("read", "-o", name, CAPTURE)
    tap.same((status, err, os.read(reader, 1 << 16)), (0, "", run("read", CAPTURE)[1]),
             "-o to a FIFO with a reader")
    os.close(reader)


def main():
    tap.time_limit(60)
    with open(CAPTURE, "wb") as file:
        sample = captures.sample()
        file.write(captures.pcap([packet._replace(length=len(packet.data)) for packet in sample]))
    wrong_usage()
    help_and_version()
    manual()
    lost_reports()
    output_files()
    full_disk()
    several_reports()
    fifo()
    tap.done()


sys.exit(main())
