#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""Whatever a tool does to its packet socket, in whatever order: each call returns what it returns
without socktally, errno included, and the same packets are received. And all of them are counted."""
import netns
import shim
import tap

# steps of socket_steps; how many of the six frames are counted at each "ready", all together
CASES = [
    # the orders that tools have
    ("socket:raw:0 bind:near:0 bind:near:3 filter:reject packets filter:udp ready packets", 6),
    ("socket:raw:0 filter:udp bind:near:3 ready packets", 6),
    ("socket:raw:3 bind:near:3 filter:udp ready packets name", 6),
    ("socket:raw:3 filter:udp bind:near:3 ready packets", 6),
    ("socket:raw:3 bind:near:0 ready packets name", 6),
    ("socket:raw:0 bind:near:3 ready packets", 6),
    ("socket:raw:3 filter:udp lock filter:reject detach ready packets", 6),
    ("socket:dgram:3 bind:near:3 filter:udp ready packets", 6),
    ("socket:dgram:0 bind:near:3 filter:snap ready packets", 6),
    ("socket:raw:800 ready packets name", 5),
    ("socket:raw:0 bind:near:800 ready packets", 5),
    ("socket:dgram:806 ready packets", 1),
    ("socket:nonblock:3 bind:near:3 ready packets", 6),
    ("socket:raw:0 name bind:near:0 name ready packets", None),
    ("socket:raw:0 name bind:lo:3 name bind:near:3 name bind:none:3 name ready packets", 6),
    ("socket:raw:0 bind:none:3 name ready packets", 0),
    ("socket:raw:3 bind:lo:3 ready packets", 0),
    # filters, one after the other
    ("socket:raw:0 bind:near:3 filter:udp ready packets filter:reject ready packets detach ready "
     "packets filter:snap ready packets", 24),
    ("socket:raw:0 bind:near:3 detach filter:udp detach detach ready packets", 6),
    ("socket:raw:3 get:0 get:10 filter:udp get:0 get:4 get:3 get:1 get:100 get:-1 get:4096 get:5000 "
     "get:9999 get:badlength detach get:0 get:4 filter:reject get:0 get:1", 0),
    ("socket:raw:0 get:0 get:4 filter:udp get:0 get:4 bind:near:3 get:4", 0),
    ("socket:raw:0 bind:near:3 filter:udp lock lock get:0 get:4 filter:udp filter:invalid detach "
     "detach:short bind:near:3 ready packets", 6),
    ("socket:raw:0 bind:near:3 lock filter:udp detach ready packets", 6),
    ("socket:raw:0 lock filter:udp bind:near:3 detach ready packets", None),
    ("socket:raw:0 bind:near:3 filter:400 ready packets get:0", 6),
    ("socket:raw:0 bind:near:3 filter:udp filter:4096 get:0 ready packets", None),
    ("socket:raw:0 bind:near:3 filter:udp filter:hatype get:0 get:4 ready packets", None),
    ("socket:raw:0 bind:near:3 filter:hatype detach ready packets detach", 6),
    ("socket:raw:0 bind:near:3 filter:hatype filter:udp ready packets get:4", 6),
    ("socket:raw:0 bind:near:3 ebpf ready packets get:0 filter:udp ready packets get:4", 6),
    ("socket:raw:0 bind:near:3 ebpf detach detach ready packets", 6),
    ("socket:raw:0 ebpf bind:near:3 ready packets detach get:0", None),
    # wrong use
    ("socket:raw:0 bind:near:3 filter:invalid filter:noreturn filter:empty filter:null filter:wild "
     "filter:badpointer filter:short detach:short detach:badpointer ready packets", 6),
    ("socket:raw:0 bind:near:3 filter:udp filter:invalid filter:noreturn filter:empty filter:null "
     "filter:wild filter:badpointer filter:short detach:short detach:badpointer get:4 ready packets",
     6),
    ("socket:raw:0 bind:short:3 bind:badpointer:3 bind:family:3 bind:none:3 ready packets name", 0),
    ("socket:bad:3 bind:near:3 filter:udp detach get:0", None),
    ("socket:bad:0 filter:udp", None),
    ("socket:packet:3 filter:udp get:0 detach detach", None),
    ("socket:raw:0 close bind:near:3 filter:udp detach get:4", None),
    # the same socket under other numbers
    ("socket:raw:0 bind:near:3 dup filter:udp dup get:4 ready packets", 6),
    ("socket:raw:0 pass bind:near:3 filter:udp pass get:4 detach ready packets", 6),
    # no descriptor is left
    ("socket:raw:0 bind:near:3 filter:udp fill get:0 get:4 get:3 get:-1 get:9999 get:badlength free get:4 "
     "ready packets", 6),
    ("socket:raw:0 filter:400 bind:near:3 fill get:0 get:400 get:4096 free detach ready packets get:1", 6),
    # several
    ("socket:raw:3 filter:udp bind:near:3 socket:dgram:0 bind:near:800 ready packets", 11),
    ("socket:raw:0 bind:near:3 close socket:raw:0 bind:near:3 ready packets", 6),
]


def main():
    shim.need()
    tap.time_limit(600)
    net = netns.Net()
    netns.run("ip", "link", "set", "lo", "up")
    sender = net.sender("far")
    brokers = len(shim.processes("broker"))
    for text, packets in CASES:
        steps = text.split()
        plain = shim.run("plain", steps, sender)
        for way in "run", "preload":
            metered = shim.run(way, steps, sender)
            # an ifindex of the namespace, a packet's fields: nothing in the output varies
            tap.same(metered.out, plain.out, f"{way}: {text}")
            tap.same(metered.status, plain.status, f"{way}: status {plain.status}")
            count = shim.packets_of(metered.report)
            if packets is None:
                tap.ok(len(shim.lines_of(metered.err)) <= 1, f"{way}: said once", metered.err)
            else:
                tap.same(count or 0, packets, f"{way}: {packets} packets counted")
    tap.ok(shim.gone(brokers), "no broker is left behind")
    tap.done()


main()
