/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the kernel knows about a packet besides its bytes. */
#ifndef SOCKTALLY_BPF_SKB_FACTS_H
#define SOCKTALLY_BPF_SKB_FACTS_H

#include <linux/bpf.h>
#include "bpf/tally.h"

/* __sk_buff.pkt_type */
#define ST_PACKET_OUTGOING 4

/*
 * segments may be 0: not known yet, see bpf/parse/segments.h. gso_size says whether there are several at
 * all: the last packet of a GSO_PARTIAL series has a gso_segs that is not its own.
 */
static __always_inline struct st_skb_facts st_skb_facts_of(const struct __sk_buff *skb,
							   __u32 verdict)
{
	return (struct st_skb_facts){
		.len = skb->len,
		.segments = skb->gso_size ? skb->gso_segs : 1,
		.verdict = verdict,
		.accepted = verdict != 0,
		.tag_len = skb->vlan_present ? 4 : 0,
		.out = skb->pkt_type == ST_PACKET_OUTGOING,
	};
}

#endif
