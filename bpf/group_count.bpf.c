// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Counts a packet in a group. The generated code in front of this function (plugin/groups/program.c) has
 * put the packet's key into this CPU's region of the group, and falls through into it: so it has more than
 * the context in its registers.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "bpf/extern.h"
#include "bpf/groups.h"
#include "bpf/tail_call.h"

/* region, chain: of this CPU */
SEC("socket")
int group_count(struct __sk_buff *skb, struct st_group_region *region, struct st_region *chain)
{
	const struct st_group_sizes sizes = {.keys = ST_EXTERN_U64(group_keys),
					     .words = ST_EXTERN_U64(group_words)};
	const struct socktally_packet *packet = &chain->chain.packet;

	st_group_tally(region, sizes,
		       &(struct st_skb_facts){
			       .len = packet->length,
			       .segments = packet->segments,
			       .verdict = packet->verdict,
			       .tag_len = packet->tag_length,
			       .accepted = packet->verdict != 0,
			       .out = ST_GROUP_MASKED(packet->direction, 1),
		       });
	if (chain->chain.next == chain->tally) /* mostly: groups are the last hooks */
		st_tail_call(skb, ST_CHAIN_TALLY);
	else
		bpf_tail_call(skb, ST_EXTERN_PTR(socktally_programs), chain->chain.next++);
	return skb->cb[ST_CB_VERDICT];
}

char st_license[] SEC("license") = "Dual BSD/GPL";
