#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""socktally read of several files, with a filter, stopped, and what a terminal sees of its progress."""
import fcntl
import json
import os
import pty
import re
import shutil
import signal
import struct
import subprocess
import tempfile
import termios
import threading
import time

import captures
import tap
from captures import pcap, pcapng, sample

FOLDER = tempfile.TemporaryDirectory(prefix="socktally-test-")
COUNTS = ("packets", "segments", "bytes", "accepted_packets", "accepted_bytes")


def put(name, data):
    path = os.path.join(FOLDER.name, name)
    with open(path, "wb") as file:
        file.write(data)
    return path


def shifted(packets, seconds):
    return [packet._replace(time=packet.time + seconds * 10**9) for packet in packets]


def reports(*arguments, status=0, **options):
    """The JSON reports, and what it said."""
    code, out, err = captures.run("read", "--format", "json", *arguments, **options)
    tap.same(code, status, f"read {' '.join(os.path.basename(str(word)) for word in arguments)}: exit status {status}")
    return [json.loads(line) for line in out.decode().splitlines()], err


def sums(reports_):
    table = {}
    for report in reports_:
        for row in report["paths"]:
            key = row["path"], row["direction"]
            table[key] = [a + row[b] for a, b in zip(table.get(key, [0] * 5), COUNTS)]
    return table


def several():
    one, other = sample(), sample("2 * eth/ip/tcp(dport=443)/data(100)\nip/udp/data(3)")
    paths = [put("a.pcap", pcap(one)), put("b.pcapng", pcapng(shifted(one, 100))),
             put("c.pcap", pcap(other[2:], linktype=101))]
    singly = [reports(path)[0][0] for path in paths]
    (whole,), err = reports(*paths)
    tap.same(sums([whole]), sums(singly), "several files: the sum of each")
    tap.same(err, "", "several files: without a word")
    tap.same((whole["source"]["file"], whole["source"]["files"], whole["source"]["linktype"]),
             (paths[0], paths, "eth,raw"), "several files: which they are")
    tap.ok("files" not in singly[0]["source"], "one file is no list of files")
    tap.same((whole["start"], whole["end"]), (singly[0]["start"], singly[1]["end"]), "several files: from the first packet to the last")
    (backward,), _ = reports(*paths[::-1])
    tap.same((backward["start"], backward["end"], backward["seconds"]),
             (whole["start"], whole["end"], whole["seconds"]), "the same in any order")
    each, _ = reports("--each", *paths)
    for report in each + singly:
        report["source"].pop("files", None)
    tap.same(each, singly, "--each: a report for each")
    with open(paths[1], "rb") as file:
        (piped,), _ = reports(paths[0], "-", stdin=file)
    tap.same(sums([piped]), sums(singly[:2]), "- among the files: standard input")
    (some,), err = reports(paths[0], FOLDER.name + "/nothing", paths[2], status=1)
    tap.same(sums([some]), sums([singly[0], singly[2]]), "a missing file: the others are counted")
    tap.ok(captures.one_line(err) and "nothing: can't open" in err, "a missing file is named", err)
    broken = put("broken.pcap", pcap(one)[:-5])
    (some,), err = reports(paths[0], broken, paths[1], status=1)
    tap.same(some["totals"]["packets"], 3 * len(one) - 1, "a file that is cut short: counted up to there, and the next ones")
    tap.ok(captures.one_line(err) and "broken.pcap: cut short" in err, "a file that is cut short is named", err)
    code, out, err = captures.run("read", *paths)
    tap.ok(code == 0 and out.decode().splitlines()[0].endswith("a.pcap and 2 more files (eth,raw)"), "in text: the first and how many more", out)
    code, out, err = captures.run("read", "-o", paths[1], *paths)
    tap.ok(code == 1 and "is the capture file itself" in err, "-o: none of the files is overwritten", err)
    (after,), _ = reports(paths[1])
    tap.same(after, singly[1], "and it is as it was")
    code, out, err = captures.run("read", "--packets", *paths[:2])
    tap.same([line.split("\t")[0] for line in out.decode().splitlines()], [str(n + 1) for n in range(2 * len(one))], "--packets: numbered through")
    code, out, err = captures.run("read", "--packets", "--each", *paths[:2])
    tap.same([line.split("\t")[0] for line in out.decode().splitlines()], 2 * [str(n + 1) for n in range(len(one))], "--packets --each: from 1 in each")


def intervals():
    """Files of a capture that was divided: intervals go on from one to the next."""
    packets = sample("eth/arp\n" * 10, step=10**9)
    whole = put("whole.pcap", pcap(packets))
    parts = [put(f"part{n}.pcap", pcap(packets[n:n + 3])) for n in range(0, 10, 3)]
    strip = lambda many: [(one["start"], one["end"], one["totals"]) for one in many]
    want, _ = reports("-I", "4", whole)
    have, _ = reports("-I", "4", *parts)
    tap.same(strip(have), strip(want), "intervals go on across files")
    have, _ = reports("-I", "4", *parts[::-1])
    tap.same((sum(one["totals"]["packets"] for one in have), [one["seconds"] >= 0 for one in have]), (10, [True] * len(have)),
             "files in another order: no interval goes backward")


def filters():
    packets = sample(captures.TEXT * 3)
    path = put("filter.pcap", pcap(packets))
    for expression in ("tcp port 443", "udp and less 100", "not ip", "vlan", "ip6 or icmp", "ether[0] & 1 != 0"):
        (report,), err = reports("-f", expression, path)
        code, out, _ = captures.run("read", "--packets", "-f", expression, path)
        accepted = report["totals"]["accepted_packets"]
        tap.same((report["totals"]["packets"], report["source"]["filter"]), (len(packets), expression), f"-f {expression}: all are seen")
        tap.same((code, len(out.splitlines())), (0, accepted), f"-f {expression}: --packets lists what it accepts")
        if not shutil.which("tcpdump"):
            tap.skip(f"-f {expression} beside tcpdump", "no tcpdump")
            continue
        theirs = subprocess.run(["tcpdump", "-r", path, "-w", "-", expression], capture_output=True, check=False)
        (other,), _ = reports("-", input=theirs.stdout) if len(theirs.stdout) > 24 else (({"paths": []},), "")
        tap.same({key: counts[3:] for key, counts in sums([report]).items() if counts[3]},
                 {key: counts[3:] for key, counts in sums([other]).items()}, f"-f {expression}: accepted is what tcpdump takes")
    (report,), err = reports("-f", "tcp", put("raw.pcap", pcap(sample("ip/tcp\nip/udp"), linktype=101)))
    tap.same(report["totals"]["accepted_packets"], 1, "-f on packets without a link header")
    code, out, err = captures.run("read", "-f", "port http or or", path)
    tap.ok(code == 2 and not out and captures.one_line(err) and "pcap-filter(7)" in err, "-f: a mistake", f"{code} {err}")


def stopped():
    """Ctrl-C with tcpdump before the pipe: both get it, and what tcpdump still writes is counted."""
    packets = sample(captures.TEXT * 100)
    data = pcap(packets)
    process = subprocess.Popen([captures.SOCKTALLY, "read", "--format", "json", "-"], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdin.write(data[:len(data) // 2])
    process.stdin.flush()
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    time.sleep(0.1)
    process.stdin.write(data[len(data) // 2:])
    out, err = process.communicate(timeout=30)
    tap.same((process.returncode, err, json.loads(out)["totals"]["packets"]), (0, b"", len(packets)),
             "Ctrl-C: a pipe is read to its end")
    for name, number in (("Ctrl-C", signal.SIGINT), ("SIGTERM", signal.SIGTERM)):
        process = subprocess.Popen([captures.SOCKTALLY, "read", "--format", "json", "-", put("next.pcap", data)], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        process.stdin.write(data[:-7])
        process.stdin.flush()
        time.sleep(0.3)
        process.send_signal(number)
        process.wait(timeout=30)
        out, err = process.stdout.read(), process.stderr.read()
        process.stdin.close()
        tap.same((process.returncode, json.loads(out)["totals"]["packets"]), (0, len(packets) - 1),
                 f"{name}: a pipe that goes on is not waited for, and the next file not begun")
        tap.ok(b"stopped there" in err, f"{name}: says so", err)
    fifo = os.path.join(FOLDER.name, "fifo")
    os.mkfifo(fifo)
    process = subprocess.Popen([captures.SOCKTALLY, "read", fifo], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    tap.ok(process.returncode == 1 and not out and b"stopped before its first packet" in err, "Ctrl-C: a FIFO that nobody writes to", err)
    big = os.path.join(FOLDER.name, "big.pcap")
    with open(big, "wb") as file:
        file.write(data)
        for _ in range(3000):
            file.write(data[24:])
    process = subprocess.Popen([captures.SOCKTALLY, "read", "-I", "0.001", "--format", "json", "-o", "/dev/null", big], stderr=subprocess.PIPE)
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    tap.ok(process.returncode == 0 and (not err or b"stopped there" in err), "Ctrl-C: a file", f"{process.returncode} {err}")


def on_terminal(feed, seconds, *arguments):
    """What a terminal on stderr gets while a pipe brings packets for so long."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    process = subprocess.Popen([captures.SOCKTALLY, "read", *arguments, "-"], stdin=subprocess.PIPE,
                               stdout=subprocess.DEVNULL, stderr=theirs)
    os.close(theirs)

    def write():
        end = time.monotonic() + seconds
        process.stdin.write(feed[:24])
        while time.monotonic() < end:
            process.stdin.write(feed[24:])
            process.stdin.flush()
            time.sleep(0.05)
        process.stdin.close()

    writer = threading.Thread(target=write)
    writer.start()
    text = b""
    try:
        while piece := os.read(ours, 4096):
            text += piece
    except OSError:
        pass
    writer.join()
    process.wait()
    return text.decode()


def progress():
    data = pcap(sample())
    tap.same(on_terminal(data, 0.5), "", "progress: nothing for what is quick")
    text = on_terminal(data, 4)
    lines = [line.rstrip() for line in text.split("\r") if line.strip()]
    tap.ok(lines and all(re.fullmatch(r"[\d.]+ k?B at [\d.]+ k?B/s, [\d.]+ k? ?packets", line) for line in lines),
           "progress: bytes, rate and packets of a pipe", repr(lines[:3]))
    tap.ok(all(len(line) < 80 for line in text.split("\r")) and text.endswith("\r" + 78 * " " + "\r"),
           "progress: one line, which is taken away at the end", repr(text[-100:]))


def main():
    tap.time_limit(200)
    several()
    intervals()
    filters()
    stopped()
    progress()
    tap.done()


main()
