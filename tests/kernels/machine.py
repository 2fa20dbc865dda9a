# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Boots a kernel in qemu, with software emulation, and reads from its console how its tests went."""
import re
import shutil
import subprocess
import time

from packages import Missing

# What is emulated: qemu's program, its Debian package, the machine, and the console's name. Without
# CMPXCHG16B, which qemu 7.2 does not do well: Linux 6.12.95 allocates memory with it, and soon ends in a
# double fault or with a list in disorder, whatever runs there.
MACHINES = {
    "amd64": ("qemu-system-x86_64", "qemu-system-x86", ["-M", "pc", "-cpu", "max,cx16=off"], "ttyS0"),
    "arm64": ("qemu-system-aarch64", "qemu-system-arm", ["-M", "virt", "-cpu", "cortex-a72"],
              "ttyAMA0"),
    "s390x": ("qemu-system-s390x", "qemu-system-misc", ["-cpu", "max"], "ttysclp0"),
}
# A panic ends the guest at once. The log stays off the console: it would stand amid the tests' lines.
COMMAND_LINE = "quiet loglevel=1 panic=-1 oops=panic random.trust_cpu=on net.ifnames=0"

TIMED_OUT = 124  # timeout(1)'s status
END = r"@end (\S+) (\d+) ([\d.]+) ([\d.]+)"


def need(architecture):
    program, package, *_ = MACHINES[architecture]
    if not shutil.which(program):
        raise Missing(f"needs {program}: apt-get install {package}")


class Run:
    """One test in a guest, from its TAP."""
    def __init__(self, name):
        self.name, self.lines = name, []
        self.status = self.seconds = None

    def problem(self):
        """What is wrong with it; "" if nothing."""
        if self.status is None:
            return "the guest ended in it"
        results = [line for line in self.lines if re.match(r"(not )?ok\b", line)]
        plans = [line for line in self.lines if re.match(r"1\.\.\d+", line)]
        failed = [line for line in results if line.startswith("not ok")]
        if failed:
            return f"{len(failed)} of {len(results)} failed"
        if len(plans) != 1:
            return f"{len(plans)} plans, exit status {self.status}" + \
                (" (it took too long)" if self.status == TIMED_OUT else "")
        if int(re.match(r"1\.\.(\d+)", plans[0])[1]) != len(results):
            return f"{len(results)} results, but {plans[0]}"
        if self.status:
            return f"exit status {self.status}"
        return ""

    def count(self):
        return sum(1 for line in self.lines if re.match(r"ok\b", line))

    def skipped(self):
        """Why all of it was skipped, or None."""
        for line in self.lines:
            match = re.match(r"1\.\.0 *# *SKIP *(.*)", line, re.I)
            if match:
                return match[1]
        return None


class Guest:
    """A boot: what it said, test by test. tell(run) is called at the end of each."""
    def __init__(self, tell):
        self.tell = tell
        self.runs, self.said, self.log = [], [], []
        self.kernel = None
        self.ended = False
        self.why = "it ended by itself"
        self.section = self.said

    def line(self, line):
        if line.startswith("@boot "):
            self.kernel = line[len("@boot "):]
        elif line.startswith("@begin "):
            self.runs.append(Run(line.split(" ")[1]))
            self.section = self.runs[-1].lines
        elif self.runs and (ended := re.fullmatch(END, line)):
            self.runs[-1].status = int(ended[2])
            self.runs[-1].seconds = float(ended[4]) - float(ended[3])
            self.section = self.said
            self.tell(self.runs[-1])
        elif line == "@log":
            self.section = self.log
        elif line == "@done":
            self.ended = True
            self.section = self.said
        elif line:
            self.section.append(line)

    def problem(self):
        if not self.kernel:
            return f"it did not come to its first process: {self.why}"
        if not self.ended:
            return f"its tests did not end: {self.why}"
        if self.log:
            return f"the kernel complained: {self.log[0]}"
        return ""


def boot(architecture, kernel, initramfs, seconds, tell, echo=False):
    """Runs a guest to its end, at low priority. seconds: when it is taken as hanging. tell(run) is
    called for each test."""
    program, _, machine, console = MACHINES[architecture]
    command = ["nice", "-n", "10", program, *machine, "-accel", "tcg", "-smp", "2", "-m", "1536",
               "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-serial", "stdio",
               "-kernel", kernel, "-initrd", initramfs,
               "-append", f"console={console} {COMMAND_LINE}"]
    guest = Guest(tell)
    with subprocess.Popen(["timeout", "--foreground", "-k", "5", str(seconds), *command],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT) as process:
        started = time.monotonic()
        for line in process.stdout:
            text = line.decode(errors="replace").rstrip("\r\n")
            if echo:
                print(f"#   {time.monotonic() - started:6.1f} {text}", flush=True)
            guest.line(text)
        if process.wait() == TIMED_OUT:
            guest.why = f"it hung, and was ended after {seconds} seconds"
    if guest.runs and guest.runs[-1].status is None:
        tell(guest.runs[-1])
    return guest
