# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Descriptors that make who closes them wait: a file of a FUSE server that never answers a flush, and a TCP
socket with SO_LINGER whose peer reads nothing."""
import ctypes
import os
import signal
import socket
import struct
import tempfile

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNS, MS_REC, MS_PRIVATE, MNT_DETACH = 0x20000, 0x4000, 1 << 18, 2
PR_SET_PDEATHSIG = 1
LOOKUP, GETATTR, OPEN, RELEASE, FLUSH, INIT, OPENDIR = 1, 3, 14, 18, 25, 26, 27
ROOT, FILE = 1, 2
PEERS = [] # which read nothing


def attributes(node):
    mode = 0o040755 if node == ROOT else 0o100666
    return struct.pack("=6Q10I", node, 0, 0, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)


def answer(operation, node):
    """The body of a reply; None: there is none."""
    if operation == INIT:
        return struct.pack("=4I2H6I24x", 7, 31, 0, 0, 12, 10, 65536, 1, 0, 0, 0, 0)[:64]
    if operation == LOOKUP:
        return struct.pack("=4Q2I", FILE, 0, 60, 60, 0, 0) + attributes(FILE)
    if operation == GETATTR:
        return struct.pack("=Q2I", 60, 0, 0) + attributes(node)
    if operation in (OPEN, OPENDIR):
        return struct.pack("=Q2I", 1, 0, 0)
    return b"" if operation == RELEASE else None


def serve(device):
    while True:
        request = os.read(device, 1 << 17)
        _, operation, unique, node = struct.unpack_from("=IIQQ", request)
        if operation == FLUSH:
            continue
        body = answer(operation, node)
        error = 0 if body is not None else -38
        os.write(device, struct.pack("=IiQ", 16 + len(body or b""), error, unique) + (body or b""))


def fuse_file():
    """(a descriptor, the server's process); None where there is no FUSE. Needs root. The server ends with us, or by
    itself after a minute, and then whoever waits goes on."""
    reader, writer = os.pipe()
    mine, theirs = socket.socketpair()
    server = os.fork()
    if not server:
        try:
            os.close(reader)
            signal.alarm(60)
            LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if LIBC.unshare(CLONE_NEWNS) or LIBC.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None):
                os._exit(1)
            place = tempfile.mkdtemp(prefix="socktally-test-")
            device = os.open("/dev/fuse", os.O_RDWR)
            if LIBC.mount(b"slow", place.encode(), b"fuse", 0,
                          b"fd=%d,rootmode=40000,user_id=0,group_id=0" % device):
                os._exit(1)
            if not os.fork(): # opens it: the server has to answer meanwhile
                LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
                os.close(device)
                fd = os.open(f"{place}/file", os.O_RDWR)
                LIBC.umount2(place.encode(), MNT_DETACH)
                os.rmdir(place)
                socket.send_fds(theirs, [b"!"], [fd])
                os.write(writer, b"!")
                signal.pause() # it would wait, too
            serve(device)
        finally:
            os._exit(1)
    os.close(writer)
    theirs.close()
    if os.read(reader, 1) != b"!":
        return None
    _, (fd,), *_ = socket.recv_fds(mine, 1, 1)
    return fd, server


def lingering_socket():
    """The last one to close it waits for a minute. Needs "lo" to be up."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(1)
    sender = socket.create_connection(listener.getsockname())
    peer, _ = listener.accept()
    sender.setblocking(False)
    try:
        while True:
            sender.send(bytes(65536))
    except BlockingIOError:
        pass
    sender.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 60))
    listener.close()
    PEERS.append(peer)
    return sender


def release(lingering, file):
    """Nobody waits for these any more."""
    lingering.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 0, 0))
    lingering.close()
    if file:
        os.kill(file[1], signal.SIGKILL)
        os.waitpid(file[1], 0)
