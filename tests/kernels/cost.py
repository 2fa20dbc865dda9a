# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""What a packet costs in this kernel, in units of the empty program, as TAP. No figure is judged."""
import json
import os
import subprocess

import packets
import tap

PACKETS = {"eth:arp": "eth/arp/pad(60)", "eth:ip:tcp": "eth/ip/tcp/pad(64)",
           "eth:ip:udp:vxlan:eth:ip:tcp": "eth/ip/udp(dport=4789)/vxlan/eth/ip/tcp/data(40)"}


def interpreted():
    """Whether programs are not compiled to machine code here."""
    out = subprocess.run([os.environ["SOCKTALLY"], "features", "--format", "json"], capture_output=True,
                         text=True, check=True)
    return not {each["name"]: each["there"] for each in json.loads(out.stdout)["features"]}["jit"]


def main():
    how = "interpreted: " if interpreted() else ""
    lines = "".join(f"p{i} {packets.frame(text).hex()}\n" for i, text in enumerate(PACKETS.values()))
    # Some emulated machines have no better clock than the kernel's tick of 4 ms.
    done = subprocess.run([os.path.join(os.environ["BUILDDIR"], "bench/chain"), "7", "100000"],
                          input=lines, capture_output=True, text=True, check=False)
    mean = {}
    for line in done.stdout.splitlines():
        packet, program, *figures = line.split()
        mean[packet, program] = sum(map(float, figures)) / len(figures)
    for i, path in enumerate(PACKETS):
        have = [mean.get((f"p{i}", program)) for program in ("empty", "tutorial", "filter", "whole")]
        if tap.ok(all(have), f"{path}: all programs ran",
                  f"status {done.returncode}: {done.stderr or done.stdout[:300]}"):
            empty, *others = have
            tutorial, own, whole = (figure / empty for figure in others)
            tap.diag(f"measured {path}: {how}empty {empty:.0f} ns = 1, tutorial filter {tutorial:.2f}, "
                     f"tool's filter alone {own:.2f}, whole {whole:.2f}")
    tap.done()


main()
