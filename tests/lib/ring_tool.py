# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""ring_tool.py INTERFACE FILE: a capture tool with a TPACKET_V3 ring of 64 KiB, without libpcap. It writes a
pcap file until SIGINT, and asks for no statistics."""
import mmap
import select
import signal
import socket
import struct
import sys

SOL_PACKET, PACKET_RX_RING, PACKET_VERSION, TPACKET_V3 = 263, 5, 10, 2
BLOCK, BLOCKS, FRAME = 16384, 4, 2048
USER, KERNEL = 1, 0
running = True


def stop(_number, _frame):
    global running
    running = False


def packets_of(block):
    """Offset, seconds, nanoseconds, captured and whole length of each packet in it."""
    count, offset = struct.unpack_from("II", block, 12)
    for _ in range(count):
        following, seconds, nanoseconds, size, length = struct.unpack_from("IIIII", block, offset)
        mac = struct.unpack_from("H", block, offset + 24)[0]
        yield offset + mac, seconds, nanoseconds, size, length
        offset += following


def main(interface, path):
    signal.signal(signal.SIGINT, stop)
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    sock.setsockopt(SOL_PACKET, PACKET_VERSION, struct.pack("i", TPACKET_V3))
    sock.setsockopt(SOL_PACKET, PACKET_RX_RING,
                    struct.pack("IIIIIII", BLOCK, BLOCKS, FRAME, BLOCK * BLOCKS // FRAME, 100, 0, 0))
    ring = memoryview(mmap.mmap(sock.fileno(), BLOCK * BLOCKS))
    sock.bind((interface, 3))
    ready = select.poll()
    ready.register(sock, select.POLLIN)
    with open(path, "wb") as file:
        file.write(struct.pack("IHHiIII", 0xa1b23c4d, 2, 4, 0, 0, 65535, 1))
        print("listening on", interface, file=sys.stderr, flush=True)
        number = 0
        while running:
            block = ring[number * BLOCK:(number + 1) * BLOCK]
            if not struct.unpack_from("I", block, 8)[0] & USER:
                ready.poll(100)
                continue
            for at, seconds, nanoseconds, size, length in packets_of(block):
                file.write(struct.pack("IIII", seconds, nanoseconds, size, length))
                file.write(block[at:at + size])
            struct.pack_into("I", block, 8, KERNEL)
            number = (number + 1) % BLOCKS


main(*sys.argv[1:])
