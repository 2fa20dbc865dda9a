#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""A sniffer in Python, metered through the plugin table; prints the counts as a tree.

    sudo ./python.py eth0 10 [/usr/local/lib/libsocktally.so]
"""
import ctypes
import select
import socket
import sys
import time

ETH_P_ALL = 3
Meter = ctypes.c_void_p


class Counts(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in
                ("packets", "segments", "bytes", "accepted_packets", "accepted_bytes")]


class Cell(ctypes.Structure):
    _fields_ = [("path", ctypes.c_char_p), ("layers", ctypes.POINTER(ctypes.c_uint8)),
                ("layer_count", ctypes.c_uint32), ("direction", ctypes.c_uint32),
                ("counts", Counts)]


CellFunction = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.POINTER(Cell))


class Sink(ctypes.Structure):  # the first callback is all that is needed: sz says so
    _fields_ = [("sz", ctypes.c_size_t), ("cell", CellFunction)]


class Plugin(ctypes.Structure):  # as far as it is needed
    _fields_ = [
        ("abi", ctypes.c_uint32), ("size", ctypes.c_uint32),
        ("name", ctypes.c_char_p), ("version", ctypes.c_char_p),
        ("create", ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(Meter), ctypes.c_void_p)),
        ("destroy", ctypes.CFUNCTYPE(None, Meter)),
        ("error", ctypes.CFUNCTYPE(ctypes.c_char_p, Meter)),
        ("attach", ctypes.CFUNCTYPE(ctypes.c_int, Meter, ctypes.c_int, ctypes.c_void_p)),
        ("set_filter", ctypes.CFUNCTYPE(ctypes.c_int, Meter, ctypes.c_int, ctypes.c_void_p,
                                        ctypes.c_size_t)),
        ("detach", ctypes.CFUNCTYPE(ctypes.c_int, Meter, ctypes.c_int)),
        ("snapshot", ctypes.CFUNCTYPE(ctypes.c_int, Meter, ctypes.POINTER(Sink),
                                      ctypes.c_void_p)),
    ]


def load(file):
    plugin = Plugin.in_dll(ctypes.CDLL(file), "socktally_plugin")
    if plugin.abi != 1 or plugin.size < ctypes.sizeof(Plugin):
        sys.exit(f"{file}: has ABI {plugin.abi} and {plugin.size} bytes: this needs another one")
    return plugin


def count(plugin, meter):
    """{("eth", "ip"): packets}: of each path and of all that it begins with."""
    sums = {}

    @CellFunction
    def add(_ctx, cell):
        layers = tuple(cell.contents.path.decode().split(":"))
        for depth in range(1, len(layers) + 1):
            sums[layers[:depth]] = sums.get(layers[:depth], 0) + cell.contents.counts.packets
        return 0

    plugin.snapshot(meter, ctypes.byref(Sink(ctypes.sizeof(Sink), add)), None)
    return sums


def read_packets(sock, seconds):
    end, number = time.monotonic() + seconds, 0
    while (left := end - time.monotonic()) > 0:
        if select.select([sock], [], [], left)[0]:
            sock.recv(65536)
            number += 1
    return number


def main():
    if len(sys.argv) not in (3, 4):
        sys.exit("usage: python.py INTERFACE SECONDS [LIBRARY]")
    plugin = load(sys.argv[3] if len(sys.argv) == 4 else "libsocktally.so.1")
    meter = Meter()
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as sock:
        if plugin.create(ctypes.byref(meter), None):
            sys.exit(f"python.py: {plugin.error(None).decode()}")
        if plugin.attach(meter, sock.fileno(), None):
            sys.exit(f"python.py: {plugin.error(meter).decode()}")
        sock.bind((sys.argv[1], ETH_P_ALL))
        print(f"python.py: listening on {sys.argv[1]}", file=sys.stderr, flush=True)
        number = read_packets(sock, float(sys.argv[2]))
        for layers, packets in sorted(count(plugin, meter).items()):
            print(f"{'  ' * (len(layers) - 1)}{layers[-1]}: {packets}")
        print(f"{number} packets read")
    plugin.destroy(meter)


main()
