# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""container.py COMMAND...: runs it as root of a user namespace of its own, with all users mapped, as
container engines do: it may do in its own network what it likes, and nothing to the host."""
import ctypes
import os
import sys

CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWNET = 0x00020000, 0x10000000, 0x40000000
USERS = "0 0 65536"


def main():
    ready, mapped = os.pipe(), os.pipe()
    child = os.fork()
    if not child:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.unshare(CLONE_NEWNS | CLONE_NEWUSER | CLONE_NEWNET):
            sys.exit(f"unshare: {os.strerror(ctypes.get_errno())}")
        os.write(ready[1], b"x")
        os.read(mapped[0], 1)
        os.execvp(sys.argv[1], sys.argv[1:])
    os.close(ready[1])
    if os.read(ready[0], 1):
        for name in ("uid_map", "gid_map"):
            with open(f"/proc/{child}/{name}", "w", encoding="ascii") as file:
                file.write(USERS)
        os.write(mapped[1], b"x")
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


main()
