# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""What the live tests have in common: the traffic, a tool under `socktally run`, the counts."""
import collections
import json
import os
import struct
import subprocess
import tempfile
import time

import netns
import packets
import place
import tap

SOCKTALLY = os.path.abspath(os.environ.get("SOCKTALLY", "build/socktally"))
TAGS = (b"\x81\x00", b"\x88\xa8")  # what the kernel takes out of a received frame

Counts = collections.namedtuple("Counts", "packets bytes accepted_packets accepted_bytes")
Kind = collections.namedtuple("Kind", "packet copies")


def traffic(more=3):
    """The kinds of traffic.txt, each with its own number of copies."""
    with open(place.data("traffic.txt"), encoding="utf-8") as lines:
        kinds = [Kind(packet, more + i) for i, packet in enumerate(packets.read(lines))]
    assert len({kind.packet.data for kind in kinds}) == len(kinds)
    return kinds


def frames(kinds):
    """All copies, the kinds interleaved."""
    most = max(kind.copies for kind in kinds)
    return [kind.packet.data for i in range(most) for kind in kinds if i < kind.copies]


def as_received(data):
    """The frame as a filter sees it on the way in: its outer VLAN tag is not in the bytes."""
    return data[:12] + data[16:] if data[12:14] in TAGS else data


def verdicts(datas, expression, *options):
    """How much of each frame tcpdump takes: libpcap's own word."""
    if not expression:
        return [262144] * len(datas)
    unique = {data: i for i, data in enumerate(dict.fromkeys(datas))}
    with tempfile.TemporaryDirectory() as folder:
        with open(f"{folder}/in", "wb") as file:
            file.write(packets.pcap([packets.Packet(data, len(data), 1, "", "") for data in unique]))
        out = subprocess.run(["tcpdump", "-r", f"{folder}/in", "-w", "-", *options, expression],
                             capture_output=True, check=True).stdout
    # Packet number i has the time of i milliseconds after the first.
    taken = {seconds % 1_700_000_000 * 1000 + micros // 1000
             for seconds, micros, *_ in records(out)}
    return [262144 if unique[data] in taken else 0 for data in datas]


def records(capture):
    """Seconds, microseconds, original length and bytes of each packet of a pcap file, which a tool
    writes in its machine's byte order."""
    order = ">" if capture[:2] == b"\xa1\xb2" else "<"
    offset = 24
    while offset + 16 <= len(capture):
        seconds, micros, size, length = struct.unpack_from(f"{order}IIII", capture, offset)
        yield seconds, micros, length, capture[offset + 16:offset + 16 + size]
        offset += 16 + size


def expected(kinds, direction, expression="", link="eth", snaplen=262144):
    """{(path, direction): Counts} for these kinds, sent or received.

    link "sll": a cooked socket, which counts from the network layer on.
    """
    seen = [as_received(kind.packet.data) if direction == "in" else kind.packet.data
            for kind in kinds]
    table = collections.defaultdict(lambda: Counts(0, 0, 0, 0))
    for kind, data, verdict in zip(kinds, seen, verdicts(seen, expression)):
        less = 14 if link == "sll" else 0
        tag = len(kind.packet.data) - len(data)
        accepted = min(verdict, snaplen, len(data) - less)
        cell = Counts(1, len(kind.packet.data) - less, bool(accepted),
                      accepted + tag if accepted else 0)
        path = kind.packet.path
        if link == "sll":
            path = "sll" + path[3:]
        table[path, direction] = Counts(*(a + b * kind.copies
                                          for a, b in zip(table[path, direction], cell)))
    return dict(table)


def counts(report):
    """The same table from a JSON report."""
    return {(row["path"], row["direction"]): Counts(*(row[name] for name in Counts._fields))
            for row in report["paths"]}


def total(table):
    return Counts(*(sum(column) for column in zip(*table.values()))) if table else Counts(0, 0, 0, 0)


class Tool:
    """A capture tool, metered or plain, in a folder of its own, with its output in files there."""
    def __init__(self, command, metered=True, ready="listening on", stdout=None, options=()):
        self.folder = tempfile.TemporaryDirectory(prefix="socktally-test-")
        os.chmod(self.folder.name, 0o777)
        self.report_file = self.path("report")
        if metered:
            command = [SOCKTALLY, "run", "--format", "json", "-o", self.report_file, *options, "--",
                       *command]
        self.stderr_file, self.stdout_file = self.path("stderr"), self.path("stdout")
        with open(self.stderr_file, "wb") as stderr, open(self.stdout_file, "wb") as file:
            self.process = netns.start(command, stdout=file if stdout is None else stdout,
                                       stderr=stderr, cwd=self.folder.name)
        if ready:
            netns.wait_for(self.stderr_file, ready, self.process)

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def read(self, name):
        with open(self.path(name), "rb") as file:
            return file.read()

    def stop(self, settle=0.3, seconds=20):
        """Ctrl-C, once what was sent has arrived. Returns the exit status."""
        time.sleep(settle)
        netns.interrupt(self.process)
        return self.wait(seconds)

    def stop_with(self, number, seconds=20):
        """Another signal, to the program that was started alone."""
        self.process.send_signal(number)
        return self.wait(seconds)

    def wait(self, seconds=20):
        return self.process.wait(seconds * tap.PATIENCE)

    def files(self):
        """What the tool itself has written."""
        return sorted(set(os.listdir(self.folder.name)) - {"report"})

    def reports(self):
        return [json.loads(line) for line in self.read("report").splitlines()]

    def report(self):
        """The only report; tells what the tool said if there is none."""
        try:
            report, = self.reports()
            return report
        except (OSError, ValueError) as error:
            tap.diag(f"no report: {error}\n{self.read('stderr').decode(errors='replace')}")
            return {"paths": [], "totals": {}, "source": {}}


def pids(group, comm):
    """Processes of that name in the group."""
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{entry}/comm", encoding="ascii", errors="replace") as file:
                if file.read().strip() == comm and os.getpgid(int(entry)) == group:
                    found.append(int(entry))
        except OSError:
            continue
    return found


def cpu_of(groups):
    """Processor time that these process groups have had, in ticks, and whether one wants more."""
    ticks, busy = 0, False
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{entry}/stat", encoding="ascii", errors="replace") as file:
                fields = file.read().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) in groups:
            ticks += int(fields[11]) + int(fields[12])
            busy = busy or fields[0] == "R"
    return ticks, busy


def settle(tools, quiet=1.3, seconds=20):
    """Waits until the tools have dealt with all that they were sent: a ring's block is handed over
    after a second at the latest, and then none of them has anything to do."""
    groups = {tool.process.pid for tool in tools}
    deadline = time.monotonic() + seconds
    last, since = None, 0
    while time.monotonic() < deadline:
        ticks, busy = cpu_of(groups)
        if busy or ticks != last:
            last, since = ticks, time.monotonic()
        elif time.monotonic() - since > quiet:
            return
        time.sleep(0.05)


def need(*tools):
    netns.need("ip", *tools)
    if not os.access(SOCKTALLY, os.X_OK):
        raise FileNotFoundError(f"{SOCKTALLY}: build it first, or set SOCKTALLY")
