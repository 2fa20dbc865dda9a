# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Debian packages of other suites and architectures: fetched and unpacked, never installed.

apt runs with a configuration of its own (sources, state, cache), so the machine's is left alone.
Where the mirror is, the machine's own sources say; what it sends is checked against Debian's keys.
"""
import os
import shutil
import subprocess
import time

KEYS = "/usr/share/keyrings/debian-archive-keyring.gpg"
FRESH = 24 * 3600  # seconds for which lists of packages are taken as they are


class Missing(Exception):
    """What an entry needs can't be had here; the text says what and why."""


def output(*command):
    """What a command prints; its own complaint in the exception if it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False,
                              stdin=subprocess.DEVNULL, env={**os.environ, "LC_ALL": "C"})
    except FileNotFoundError as error:
        raise Missing(f"needs {command[0]}") from error
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.startswith("E:")]
        raise Missing(f"{command[0]}: {(lines or done.stderr.splitlines() or ['failed'])[0]}")
    return done.stdout


def own_suite():
    """The suite that this machine is of, which is what the project's build runs on."""
    with open("/etc/os-release", encoding="utf-8") as lines:
        fields = dict(line.rstrip().split("=", 1) for line in lines if "=" in line)
    if fields.get("ID") != "debian" or not fields.get("VERSION_CODENAME"):
        raise Missing("this machine is no Debian release")
    return fields["VERSION_CODENAME"].strip('"')


def archive(suite):
    """The address of the archive that has the suite, by where the machine's own one comes from."""
    own = own_suite() + ("-security" if suite.endswith("-security") else "")
    lines = output("apt-get", "indextargets", "--format", "$(RELEASE) $(REPO_URI)",
                   "Created-By: Packages").splitlines()
    for release, address in (line.split(" ", 1) for line in lines):
        if release == own:
            return address
    raise Missing(f"apt's sources have no {own}")


class Suites:
    """Packages of some suites for one architecture."""
    def __init__(self, folder, architecture, suites):
        for tool, package in (("apt-get", "apt"), ("dpkg-deb", "dpkg")):
            if not shutil.which(tool):
                raise Missing(f"needs {tool} ({package})")
        if not os.path.exists(KEYS):
            raise Missing(f"needs {KEYS} (debian-archive-keyring)")
        self.name = f"{'+'.join(suites)} {architecture}"
        self.folder = os.path.join(folder, f"{suites[0]}-{architecture}")
        for part in ("lists/partial", "archives/partial", "empty/partial"):
            os.makedirs(os.path.join(self.folder, part), exist_ok=True)
        self.write("status", "")  # nothing is installed: dependencies are resolved from scratch
        self.write("sources", "".join(f"deb [signed-by={KEYS}] {archive(suite)} {suite} main\n"
                                      for suite in suites))
        settings = {
            "Dir::Etc::sourcelist": f"{self.folder}/sources", "Dir::Etc::sourceparts": "-",
            "Dir::Etc::preferences": "-", "Dir::Etc::preferencesparts": "-",
            "Dir::State": self.folder, "Dir::State::lists": f"{self.folder}/lists",
            "Dir::State::status": f"{self.folder}/status", "Dir::Cache": self.folder,
            "Dir::Cache::archives": f"{self.folder}/archives", "APT::Sandbox::User": "",
            "APT::Architecture": architecture, "APT::Architectures": architecture,
            "APT::Get::List-Cleanup": "no", "Debug::NoLocking": "yes", "Acquire::Retries": "3"}
        self.options = [part for name, value in settings.items() for part in ("-o", f"{name}={value}")]
        self.update()

    def write(self, name, text):
        with open(os.path.join(self.folder, name), "w", encoding="utf-8") as file:
            file.write(text)

    def update(self):
        stamp = os.path.join(self.folder, "updated")
        if os.path.exists(stamp) and 0 <= time.time() - os.path.getmtime(stamp) < FRESH:
            return
        output("apt-get", *self.options, "update", "--error-on=any")
        self.write("updated", "")

    def field(self, package, field):
        """A field of the newest version of a package."""
        text = output("apt-cache", *self.options, "--no-all-versions", "show", package)
        for line in text.splitlines():
            if line.startswith(f"{field}: "):
                return line.split(": ", 1)[1]
        raise Missing(f"{self.name}: no package {package}")

    def needs(self, package, *prefixes):
        """The names of what a package depends on, those that begin so."""
        names = [need.split()[0] for need in self.field(package, "Depends").split(",")]
        return [name for name in names if name.startswith(prefixes)]

    def fetch(self, *packages):
        """The packages and all that they depend on: the paths of their files."""
        install = ["apt-get", *self.options, "-y", "--no-install-recommends", "install", *packages]
        # It leaves out what it finds fetched.
        lines = output(*install, "--print-uris", "-o", f"Dir::Cache::archives={self.folder}/empty")
        names = [line.split(" ")[1] for line in lines.splitlines() if line.startswith("'")]
        paths = [os.path.join(self.folder, "archives", name) for name in names]
        if not all(map(os.path.exists, paths)):
            output(*install, "--download-only")
        return paths

    def fetch_one(self, package):
        """A package without what it depends on: its file."""
        archives = os.path.join(self.folder, "archives")
        line = output("apt-get", *self.options, "--print-uris", "download", package)
        path = os.path.join(archives, line.split(" ")[1])
        if not os.path.exists(path):
            done = subprocess.run(["apt-get", *self.options, "download", package], cwd=archives,
                                  capture_output=True, text=True, check=False)
            if done.returncode or not os.path.exists(path):
                raise Missing(f"{self.name}: {package} can't be fetched: {done.stderr.strip()}")
        return path


def unpack(files, folder):
    """Into a folder, unless exactly these are there already."""
    names = "".join(f"{os.path.basename(file)}\n" for file in sorted(files))
    stamp = f"{folder}.list"
    if os.path.exists(stamp):
        with open(stamp, encoding="utf-8") as file:
            if file.read() == names:
                return
        os.unlink(stamp)
    shutil.rmtree(folder, ignore_errors=True)
    for file in files:
        output("dpkg-deb", "-x", file, folder)
    with open(stamp, "w", encoding="utf-8") as file:
        file.write(names)
