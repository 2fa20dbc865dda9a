#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
"""bcc_count.py INTERFACE: what a first program with BCC comes to, for the same job: a socket filter that
counts by IP protocol. At SIGINT it prints how many packets."""
import signal
import sys

from bcc import BPF  # Debian's python3-bpfcc, so Debian's Python runs this

TEXT = """
#include <bcc/proto.h>

BPF_ARRAY(counts, u64, 256);

int count(struct __sk_buff *skb)
{
    u8 *cursor = 0;
    u32 protocol = 0;
    struct ethernet_t *ethernet = cursor_advance(cursor, sizeof(*ethernet));

    if (ethernet->type == 0x0800) {
        struct ip_t *ip = cursor_advance(cursor, sizeof(*ip));
        protocol = ip->nextp;
    }
    counts.increment(protocol);
    return 0;
}
"""

signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
bpf = BPF(text=TEXT)
BPF.attach_raw_socket(bpf.load_func("count", BPF.SOCKET_FILTER), sys.argv[1])
signal.sigwait({signal.SIGINT})
print(f"{sum(value.value for value in bpf['counts'].values())} packets")
