// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* tcpflags: what TCP segments say beside their data, of the innermost TCP header. */
#include <socktally/hook.bpf.h>

enum { FIN = 1, SYN = 2, RST = 4, PSH = 8, ACK = 16, URG = 32, ECE = 64, CWR = 128 };

/* Packets; one may be in several. */
struct tcpflags {
	__u64 packets;
	__u64 syn; /* without ACK */
	__u64 syn_ack;
	__u64 fin;
	__u64 rst;
	__u64 psh;
	__u64 urg;
	__u64 ece;
	__u64 cwr;
	__u64 zero_window; /* without SYN, FIN and RST, which have a meaning of their own */
	__u64 no_flags;
};

enum direction { in, out, directions };

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, directions);
	__type(key, enum direction);
	__type(value, struct tcpflags);
} tcpflags SEC(".maps");

static __always_inline void flags_count(struct tcpflags *counts, __u32 flags, __u32 window)
{
	counts->packets++;
	counts->syn += (flags & (SYN | ACK)) == SYN;
	counts->syn_ack += (flags & (SYN | ACK)) == (SYN | ACK);
	counts->fin += !!(flags & FIN);
	counts->rst += !!(flags & RST);
	counts->psh += !!(flags & PSH);
	counts->urg += !!(flags & URG);
	counts->ece += !!(flags & ECE);
	counts->cwr += !!(flags & CWR);
	counts->zero_window += !window && !(flags & (SYN | FIN | RST));
	counts->no_flags += !flags;
}

SOCKTALLY_HOOK(tcpflags_by_direction, skb, packet)
{
	enum direction direction = packet->direction ? out : in;
	int layer = socktally_find_last(packet, SOCKTALLY_TCP);
	struct tcpflags *counts;
	__u8 header[4]; /* data offset and reserved, flags, window: from byte 12 on */

	if (layer < 0 ||
	    socktally_load(skb, socktally_offset(packet, layer) + 12, header, sizeof(header)))
		return SOCKTALLY_PASS;
	counts = bpf_map_lookup_elem(&tcpflags, &direction);
	if (counts)
		flags_count(counts, header[1], header[2] | header[3]);
	return SOCKTALLY_PASS;
}

/* Reading in place is for programs with such a license. */
char st_license[] SEC("license") = "Dual BSD/GPL";
