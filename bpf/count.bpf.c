// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The chain's program when there are no hooks: parse and tally in one. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "extern.h"
#include "packet_kernel.h"
#include "parse.h"
#include "tally.h"

/* __sk_buff.pkt_type */
#define ST_PACKET_OUTGOING 4

/*
 * cells: one element a possible CPU, a struct st_region each. A chain program returns the verdict
 * whatever happens: it stands in for the return of the attached program.
 */
SEC("socket") int count(struct __sk_buff *skb)
{
	struct st_sizes sizes = {.paths = ST_EXTERN_U64(paths), .slots = ST_EXTERN_U64(slots)};
	struct st_packet_facts facts = {
		.len = skb->len,
		.segments = skb->gso_segs ?: 1,
		.verdict = skb->cb[ST_CB_VERDICT],
		.accepted = skb->cb[ST_CB_VERDICT] != 0,
		.tag_len = skb->vlan_present ? 4 : 0,
		.out = skb->pkt_type == ST_PACKET_OUTGOING,
	};
	__u32 cpu = bpf_get_smp_processor_id();
	struct st_region *region = bpf_map_lookup_elem(ST_EXTERN_PTR(cells), &cpu);
	struct st_packet packet;

	if (region) {
		st_packet_start(&packet, skb, region->block);
		st_tally(region, sizes, st_parse(&packet, skb->cb[ST_CB_LINK]), &facts);
	}
	return facts.verdict;
}

char st_license[] SEC("license") = "Dual BSD/GPL";
