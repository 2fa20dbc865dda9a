# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Two runs of a tool, held against each other and against what was sent."""
import collections
import difflib
import json
import os
import re
import struct
import subprocess
import tempfile

import live
import packets
import tap
import tool_run

PCAP_MAGIC = (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1")
PCAPNG_MAGIC = b"\x0a\x0d\x0d\x0a"

# What differs from run to run with any tool: times, dates, process numbers, names of temporary files and
# of these folders.
VARIES = [(re.compile(pattern), text) for pattern, text in (
    (rb"\d\d:\d\d:\d\d([.,]\d+)?", b"TIME"),
    (rb"_20\d{12}", b"_DATE"),
    (rb"\d{4}[-/]\d\d[-/]\d\d", b"DATE"),
    (rb"(Mon|Tue|Wed|Thu|Fri|Sat|Sun),? (\w{3} +\d+|\d+ \w{3})( TIME)?( \d{4})?", b"DATE"),
    (rb"\b\d{10}[.]\d+\b", b"TIME"),
    (rb"\b\d+([.]\d+)? ?(seconds?|secs?|msec|usec|ms|s|us)\b", b"DURATION"),
    (rb"(?i:\bpid)[ =:]*\d+", b"PID"),
    (rb"\[\d+\]:?", b"PID"),
    (rb"/tmp/socktally-test-\w+", b"FOLDER"),
    (rb"_(near|any|lo|\d_interfaces)\w+\.", b"_CAPTURE."),
)]
OBSERVED = re.compile(r"(\d*)(in|out)\b")
OURS = re.compile(rb"^socktally: .*\n", re.M)


def masked(content):
    for pattern, text in VARIES:
        content = pattern.sub(text, content)
    return content


def blocks(content):
    """Type and body of a pcapng file's blocks."""
    offset = 0
    while offset + 12 <= len(content):
        kind, size = struct.unpack_from("<II", content, offset)
        yield kind, content[offset + 8:offset + size - 4]
        offset += max(size, 12)


def packets_of(content):
    """What a capture file has in it, but for the times."""
    if content[:4] in PCAP_MAGIC:
        return [content[:24]] + [record[2:] for record in live.records(content)]
    if content[:4] == PCAPNG_MAGIC:
        return [(*struct.unpack_from("<I8xII", body), body[20:])
                for kind, body in blocks(content) if kind == 6]
    return None


def cleaned(content, how):
    if how == "no":
        return ""
    found = packets_of(content)
    if found is not None:
        return found
    text = masked(OURS.sub(b"", content)).decode(errors="backslashreplace")
    if how in ("numbers", "words"):
        text = re.sub(r" *\d+([.]\d+)?", " N", text)
    if how == "lines":
        return sorted(text.splitlines())
    if how == "words":
        return sorted(set(text.split()))
    return text


def difference(have, want):
    """The first lines that differ."""
    if isinstance(have, str) and isinstance(want, str):
        have, want = have.splitlines(), want.splitlines()
    have, want = [[str(item)[:300] for item in side] for side in (have, want)]
    return "\n".join(list(difflib.unified_diff(want, have, "plain", "metered", lineterm="", n=0))[:20])


def same(have, want, name):
    tap.ok(have == want, name, "" if have == want else difference(have, want))


def last_match(pattern, result):
    text = b"".join([result["stdout"], result["stderr"], *result["files"].values()])
    found = re.findall(pattern.encode(), text)
    return found[-1] if found else None


def compare(case, name, plain, metered):
    options = case.options
    same([str(metered["status"])], [str(plain["status"])], f"{name}: exit status {plain['status']}")
    for stream in ("stdout", "stderr"):
        if options[stream] != "no":
            same(cleaned(metered[stream], options[stream]), cleaned(plain[stream], options[stream]),
                 f"{name}: {stream}")
    if options["files"] != "no":
        files(name, options["files"], plain["files"], metered["files"])
    if options["see"]:
        have, want = (last_match(options["see"], result) for result in (metered, plain))
        tap.ok(want is not None and have == want, f"{name}: it sees {want}", f"have {have}")
    for what in ("promiscuous", "sockets", "left"):
        same([metered[what]], [plain[what]], f"{name}: {what} afterwards as without")
    lines = [line.decode(errors="replace") for line in OURS.findall(metered["stderr"])]
    if options["says"]:
        tap.ok(len(lines) == 1 and re.search(options["says"], lines[0]),
               f"{name}: says in one line why", lines)
    else:
        tap.same(lines, [], f"{name}: nothing to say")


def files(name, how, plain, metered):
    """The names, but for times and numbers in them, and the contents in that order."""
    names = [[masked(file.encode()) for file in sorted(side)] for side in (metered, plain)]
    same(*names, f"{name}: files")
    if len(plain) == len(metered):
        for have, want in zip(sorted(metered), sorted(plain)):
            same(cleaned(metered[have], how), cleaned(plain[want], how), f"{name}: file {want}")


def observed(seen, terms):
    """The table of what an observer saw, classified from a file. terms: [(times, direction)]."""
    table = {}
    for times, direction in terms:
        frames = [data for way, data in seen if way == direction]
        with tempfile.NamedTemporaryFile(prefix="socktally-test-", suffix=".pcap") as file:
            file.write(packets.pcap([packets.Packet(data, len(data), 1, "", "") for data in frames]))
            file.flush()
            read = subprocess.run([live.SOCKTALLY, "read", "--format", "json", file.name],
                                  capture_output=True, check=True)
        for row in json.loads(read.stdout)["paths"]:
            table[row["path"], direction] = live.Counts(times * row["packets"], times * row["bytes"], 0, 0)
    return table


def sent(case, expression):
    """The table of what was sent past the tool."""
    kinds, talk = tool_run.incoming(case.traffic == "few")
    link = case.options["link"]
    table = collections.defaultdict(lambda: live.Counts(0, 0, 0, 0))

    def add(kinds, direction):
        for key, cell in live.expected(kinds, direction, expression, link=link).items():
            table[key] = live.Counts(*map(sum, zip(table[key], cell)))

    if case.traffic in ("in", "few", "both"):
        add(kinds + talk, "in")
    if case.traffic == "both":
        add(tool_run.outgoing(), "out")
    if case.traffic == "lo":
        add(tool_run.on_lo(), "in")
        add(tool_run.on_lo(), "out")
    return dict(table)


def tally(case, name, metered):
    how, expression = case.options["tally"], case.options["filter"]
    reports = [json.loads(line) for line in metered["report"].splitlines()]
    if how == "none":
        tap.ok(not sum(report["totals"]["packets"] for report in reports), f"{name}: no tally")
        return
    if len(reports) != 1:
        tap.ok(False, f"{name}: one report", f"{len(reports)} of them")
        return
    have = live.counts(reports[0])
    if how == "some":
        tap.ok(have, f"{name}: metered")
        return
    terms = [(int(times or 1), direction) for times, direction in OBSERVED.findall(how)]
    known = expression != "?" and not terms
    want = observed(metered["observed"], terms) if terms else sent(case, expression if known else "")
    times, fields = int(case.options["sockets"]), 3 if known else 2
    tap.same({key: cell[:fields] for key, cell in have.items()},
             {key: tuple(times * number for number in cell[:fields]) for key, cell in want.items()},
             f"{name}: every cell as sent, {live.total(have).packets} packets")


def shown(value):
    """As much of it as helps."""
    if isinstance(value, dict):
        return {name: shown(content) for name, content in value.items()}
    return value[:3000].decode(errors="backslashreplace") if isinstance(value, bytes) else value
