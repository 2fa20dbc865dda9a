#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""A scrape of --listen with 1,000 time series: processor time of the command and its server together, and what
goes over the network."""
import subprocess
import time
import urllib.request

import lib
import netns
import packets

PATHS = 200  # with five counters each
PORT = 9390


def scrape(**headers):
    request = urllib.request.Request(f"http://127.0.0.1:{PORT}/metrics",
                                     headers={name.replace("_", "-"): value for name, value in headers.items()})
    with urllib.request.urlopen(request, timeout=20) as reply:
        return reply.read()


def series(text):
    return sum(line.startswith(b"socktally_") and b"{interface" in line for line in text.splitlines())


def main():
    net = netns.Net()
    netns.run("ip", "link", "set", "lo", "up")
    process = lib.Process([lib.SOCKTALLY, "watch", "-i", "near", "--listen", str(PORT)], stdout=subprocess.DEVNULL)
    frames = [packets.frame(text) for text in lib.many_paths(PATHS).values()]
    for _ in range(200):
        time.sleep(0.05)
        try:
            scrape()
            break
        except OSError:
            continue
    netns.send(net.sender("far"), frames)
    time.sleep(0.3)
    count, times = lib.full(200, 5), []
    for _ in range(lib.RUNS):
        before = process.cpu()
        for _ in range(count):
            scrape(Accept_Encoding="gzip")
            time.sleep(0.01)  # a new text each time
        times.append(1000 * (process.cpu() - before) / count)
    text = scrape()
    lib.row("scrape/1,000 series", times, "ms of CPU", goals=[lib.Goal("<=", 2, "value")],
            note=f"{series(text)} series of paths")
    lib.row("scrape/bytes", [len(text) / 1000], "kB", note="as they are")
    lib.row("scrape/compressed", [len(scrape(Accept_Encoding="gzip")) / 1000], "kB")
    process.close()


main()
