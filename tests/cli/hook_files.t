#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Object files of hooks: their types and source lines are in the kernel, timers run, and what can't be
loaded is refused with the reason."""
import glob
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile

import netns
import place
import tap

CLANG = os.environ.get("CLANG", "clang")
SOCKTALLY = os.environ["SOCKTALLY"]
NO_TIMERS = (5, 15)


def compiled(name, folder, source=None, *options):
    if source:
        with open(os.path.join(folder, f"{name}.bpf.c"), "w", encoding="ascii") as file:
            file.write(source)
    path = os.path.join(folder, f"{name}.bpf.o")
    done = subprocess.run([CLANG, "-O2", "-g", "-Wall", *options, "-target", "bpf", "-I",
                           os.path.join(place.SOURCES, "include"), "-c",
                           f"{folder}/{name}.bpf.c" if source else place.data(f"{name}.bpf.c"), "-o", path],
                          capture_output=True, text=True, check=False)
    if done.returncode:
        tap.diag(done.stderr)
    return path


def watch(*hooks, seconds="0.05"):
    options = [word for hook in hooks for word in ("--hook", hook)]
    return subprocess.run([SOCKTALLY, "watch", "-i", "lo", "-c", seconds, "--format", "json", *options],
                          capture_output=True, text=True, check=False)


def refused(hook, reason, name):
    done = watch(hook)
    tap.ok(done.returncode == 1 and done.stderr.count("\n") == 1 and re.search(reason, done.stderr), name,
           f"status {done.returncode}: {done.stderr}")


def is_older(release):
    return tuple(int(part) for part in re.findall(r"\d+", os.uname().release)[:2]) < release


def bpftool(*arguments):
    done = subprocess.run(["bpftool", "-j", *arguments], capture_output=True, text=True, check=False)
    return json.loads(done.stdout) if done.returncode == 0 else {"error": done.stderr + done.stdout}


class Running:
    """A meter with a hook while packets come."""

    def __init__(self, hook):
        self.process = netns.start([SOCKTALLY, "watch", "-i", "lo", "--format", "json", "--hook", hook],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    def ids(self, kind):
        found = []
        for path in glob.glob(f"/proc/{self.process.pid}/fdinfo/*"):
            try:
                with open(path, encoding="ascii") as file:
                    found += [int(number) for number in re.findall(rf"{kind}:\s+(\d+)", file.read())]
            except OSError:
                pass
        return found

    def dump(self, name, until):
        """What bpftool shows of a map, once that is so, while packets come."""
        dumped = None
        for _ in range(500):
            self.sock.sendto(bytes(100), ("127.0.0.1", 9))
            maps = {bpftool("map", "show", "id", str(number)).get("name"): number
                    for number in self.ids("map_id")}
            if name in maps:
                dumped = bpftool("map", "dump", "id", str(maps[name]))
                if isinstance(dumped, list) and until(json.dumps(dumped)):
                    break
            if self.process.poll() is not None:
                break
            netns.time.sleep(0.02)
        return dumped

    def report(self):
        netns.interrupt(self.process)
        out, err = self.process.communicate()
        if err:
            tap.diag(err)
        return {hook["name"]: hook for hook in json.loads(out)["hooks"]}


def typed(file):
    """bpftool shows maps and programs by names of the source."""
    meter = Running(f"{file}:typed")
    dumped = meter.dump("by_path", lambda text: "packets" in text)
    value = dumped[0].get("formatted", {}).get("value", {}) if dumped else {}
    tap.ok(isinstance(value.get("lengths"), list) and value["lengths"][1] == 7 and value.get("packets", 0) > 0,
           "a map's values have their members' names", dumped)
    dumped = meter.dump(".bss", lambda text: "last_length" in text)
    tap.ok("last_length" in json.dumps(dumped) and "other" in json.dumps(dumped),
           "and global variables theirs", dumped)
    lines = [line for number in meter.ids("prog_id")
             for line in json.dumps(bpftool("prog", "dump", "xlated", "id", str(number), "linum")).splitlines()]
    tap.ok(any("last_length = packet->length" in line for line in lines), "programs have their source lines")
    row, = [row for row in meter.report()["typed"]["rows"] if row["map"] == ".bss"]
    tap.ok(row["other"] == 5 and row["last_length"] >= 100, "variables are in the report, each from its place", row)


def timed(file):
    if is_older(NO_TIMERS):
        tap.skip("timers", "came with Linux 5.15")
        return
    meter = Running(f"{file}:timed")
    dumped = meter.dump("timed_map", lambda text: re.search('"ticks": [1-9]', text))
    rows = meter.report()["timed"]["rows"]
    tap.ok(any(row.get("ticks", 0) > 0 for row in rows), "a timer in a map's value runs", f"{dumped} {rows}")


def reasons(file, folder):
    line = next(number for number, text in enumerate(open(place.data("loaded.bpf.c"), encoding="ascii"), 1)
                if "/* mistake */" in text)
    refused(f"{file}:mistaken", rf"map_value_or_null.*loaded\.bpf\.c:{line}: return value->packets",
            "a mistake is told with file, line and text")
    refused(f"{file}:locked", "socket filter progs cannot use bpf_spin_lock",
            "spin locks, which the kernel does not have for socket filters")
    refused(f"{file}:relocated", r"relocated needs relocation .*CO-RE.*take types from <linux",
            "relocations by the kernel's types")
    tap.same(watch(f"{file}:calling").returncode, 0, "a function that is not static is taken")
    tap.same(watch(f"{file}:ringed").returncode, 0, "a ring buffer of 16 MiB takes 16 MiB")
    plain = compiled("plain", folder, '#include <socktally/hook.bpf.h>\n__u32 seen;\n'
                     'SOCKTALLY_HOOK(plain, skb, packet)\n{\n\tseen++;\n\treturn SOCKTALLY_PASS;\n}\n', "-g0")
    tap.same(watch(plain).returncode, 0, "a file without types and source lines is taken")


FORGOTTEN = """#include <socktally/hook.bpf.h>
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} forgotten;
SOCKTALLY_HOOK(x, skb, packet)
{
	__u32 key = 0;
	__u64 *value = bpf_map_lookup_elem(&forgotten, &key);

	if (value)
		++*value;
	return SOCKTALLY_PASS;
}
"""

PRINTS = """#include <socktally/hook.bpf.h>
long bpf_printk(const char *, ...);
SOCKTALLY_HOOK(x, skb, packet)
{
	bpf_printk("packet");
	return SOCKTALLY_PASS;
}
"""

ONE = """#include <socktally/hook.bpf.h>
__u32 seen;
SOCKTALLY_HOOK(one, skb, packet)
{
	seen++;
	return %s;
}
"""


def beginners(folder):
    """The commonest mistakes."""
    refused(compiled("forgotten", folder, FORGOTTEN), r'forgotten.*SEC\("\.maps"\)', 'SEC(".maps") forgotten')
    refused(compiled("prints", folder, PRINTS), r"bpf_printk.*<bpf/bpf_helpers.h>", "bpf_printk() without its header")
    for name, verdict, warns in (("one", "1", True), ("some", "packet->length > 50", True), ("two", "2", False),
                                 ("pass", "SOCKTALLY_PASS", False), ("cut", "SOCKTALLY_CUT(seen)", False)):
        done = watch(compiled(name, folder, ONE % verdict))
        tap.same((done.returncode, "cuts packets to 1 byte" in done.stderr, done.stderr.count("\n")),
                 (0, warns, int(warns)), f"return {verdict}: {'a warning' if warns else 'nothing to say'}")
    away = shutil.copy(SOCKTALLY, os.path.join(folder, "socktally"))
    source = os.path.join(folder, "one.bpf.c")
    done = subprocess.run([away, "watch", "-i", "lo", "-c", "0.05", "--hook", source],
                          capture_output=True, text=True, check=False)
    if os.path.exists("/usr/local/include/socktally/hook.bpf.h") or done.returncode == 0:
        tap.skip("a hook's source without its headers", "they are installed")
    else:
        tap.ok("the package libsocktally-dev" in done.stderr, "a hook's source without its headers", done.stderr)


def main():
    netns.need("bpftool")
    if not shutil.which(CLANG):
        tap.skip_all("needs clang")
    netns.Net()
    netns.run("ip", "link", "set", "lo", "up")
    with tempfile.TemporaryDirectory(prefix="socktally-test-") as folder:
        file = compiled("loaded", folder)
        typed(file)
        timed(file)
        reasons(file, folder)
        beginners(folder)
    tap.done()


if __name__ == "__main__":
    sys.exit(main())
