#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""What sends fastest here: packets a second from one CPU, onto a veth that nobody listens to. The
other rows use the sender of this folder that is fastest."""
import json
import signal
import subprocess
import time

import lib
import netns

NAMED = {"eth:ip:udp": "eth/ip/udp/data(22)"}


def received(net, interface):
    with net.inside(net.far):
        text = subprocess.run(["ip", "-j", "-s", "link", "show", interface], check=True,
                              capture_output=True).stdout
    return json.loads(text)[0]["stats64"]["rx"]["packets"]


def ours(method):
    said = lib.Flood(NAMED, "-m", method, "-t", lib.full(0.5, 0.05)).send()
    return said["sent"] / said["seconds"] / 1e6


def trafgen(folder):
    """Through a ring that it shares with the kernel."""
    count = lib.full(400_000, 2000)
    data = ",".join(f"0x{byte:02x}" for byte in lib.packets.frame(NAMED["eth:ip:udp"]))
    with open(folder.path("trafgen"), "w", encoding="ascii") as file:
        file.write("{" + data + "}\n")
    ended = lib.timed(["trafgen", "--dev", "near", "--conf", folder.path("trafgen"), "--num", count,
                       "--cpus", 1, "--qdisc-path"], cpu=0)
    return count / ended.seconds / 1e6


def xdp_trafficgen(net):
    """Live frames redirected to the interface; what has come in at its other end, or why not."""
    before = received(net, "far")
    process = subprocess.Popen(["xdp-trafficgen", "udp", "near"], stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE, text=True)
    seconds = lib.full(1, 0.5)
    time.sleep(seconds)
    if process.poll() is not None:
        return None, process.stderr.read().strip().splitlines()[-1]
    process.send_signal(signal.SIGINT)
    process.communicate()
    return (received(net, "far") - before) / seconds / 1e6, ""


def main():
    net = netns.Net()
    folder = lib.Folder()
    live = [ours("live") for _ in range(lib.RUNS)]
    lib.row("sender/live frames", live, "Mpps", ("sendmmsg on a packet socket",
                                                 [ours("send") for _ in live]))
    if lib.have("sender/trafgen", "trafgen", "netsniff-ng"):
        lib.row("sender/trafgen", [trafgen(folder) for _ in range(lib.full(5, 1))], "Mpps",
                ("live frames", live[:5]))
    if not lib.have("sender/xdp-trafficgen", "xdp-trafficgen", "xdp-tools"):
        return
    with net.inside(net.far):  # whoever gets redirected frames has to run NAPI
        subprocess.run(["ethtool", "-K", "far", "gro", "on"], check=False)
    rates = [xdp_trafficgen(net) for _ in range(lib.full(5, 1))]
    if None in [rate for rate, _ in rates]:
        lib.absent("sender/xdp-trafficgen", f"does not start here: {rates[0][1]}")
    else:
        lib.row("sender/xdp-trafficgen", [rate for rate, _ in rates], "Mpps",
                ("live frames", live[:5]))


main()
