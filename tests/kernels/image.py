# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""A guest's file system: an initramfs in cpio's "newc" format, made without root.

The format: Documentation/driver-api/early-userspace/buffer-format.rst of the kernel.
"""
import gzip
import lzma
import os
import re
import stat
import subprocess


class Cpio:
    """Files of any owner and mode go in as root's."""
    def __init__(self, path):
        self.file = open(path, "wb")
        self.inode = 0
        self.folders = set()

    def entry(self, name, mode, data=b""):
        self.inode += 1
        name = name.encode() + b"\0"
        fields = (self.inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name), 0)
        header = b"070701" + b"".join(b"%08x" % field for field in fields) + name
        for part in (header, data):
            self.file.write(part + bytes(-len(part) % 4))

    def folder(self, name, mode=0o755):
        if name and name not in self.folders:
            self.folder(os.path.dirname(name))
            self.folders.add(name)
            self.entry(name, stat.S_IFDIR | mode)

    def text(self, name, text, mode=0o644):
        self.folder(os.path.dirname(name))
        self.entry(name, stat.S_IFREG | mode, text if isinstance(text, bytes) else text.encode())

    def link(self, name, target):
        self.folder(os.path.dirname(name))
        self.entry(name, stat.S_IFLNK | 0o777, target.encode())

    def add(self, path, name):
        """A file, a symbolic link, or a folder with all that is in it."""
        mode = os.lstat(path).st_mode
        if stat.S_ISLNK(mode):
            self.link(name, os.readlink(path))
        elif stat.S_ISDIR(mode):
            self.folder(name, stat.S_IMODE(mode) & 0o1777)
            for child in sorted(os.listdir(path)):
                self.add(os.path.join(path, child), f"{name}/{child}".lstrip("/"))
        elif stat.S_ISREG(mode):
            with open(path, "rb") as file:
                self.text(name, file.read(), stat.S_IMODE(mode) & 0o755)

    def close(self):
        self.entry("TRAILER!!!", 0)
        self.file.close()


def vmlinuz(folder):
    """The kernel itself, of an unpacked one."""
    for where, _, names in sorted(os.walk(folder)):
        for name in names:
            if re.match(r"vmlinu[xz]", name):
                return os.path.join(where, name)
    raise FileNotFoundError(f"{folder}: no kernel in it")


def module_files(folder):
    """{name: path} of all modules of an unpacked kernel."""
    found = {}
    for where, _, names in os.walk(folder):
        for name in names:
            match = re.fullmatch(r"(.+)\.ko(\.xz|\.gz|\.zst)?", name)
            if match:
                found[match[1].replace("-", "_")] = os.path.join(where, name)
    return found


def module(path):
    with open(path, "rb") as file:
        data = file.read()
    if path.endswith(".xz"):
        return lzma.decompress(data)
    if path.endswith(".gz"):
        return gzip.decompress(data)
    if path.endswith(".zst"):
        return subprocess.run(["zstd", "-dc"], input=data, capture_output=True, check=True).stdout
    return data


def modules(folder, wanted):
    """(name, content) of these modules and those that they need, in an order that loads. One that
    isn't there is taken as built in."""
    files = module_files(folder)
    order = {}

    def take(name):
        name = name.replace("-", "_")
        if name in order or name not in files:
            return
        data = module(files[name])
        needs = re.search(rb"\0depends=([^\0]*)\0", data)
        for other in filter(None, needs[1].decode().split(",") if needs else []):
            take(other)
        order[name] = data

    for name in wanted:
        take(name)
    return list(order.items())
