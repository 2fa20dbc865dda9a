// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The chain's program when there are no hooks: parse and tally in one. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "bpf/extern.h"
#include "bpf/skb_facts.h"
#include "bpf/parse/packet_kernel.h"
#include "bpf/parse/segments.h"

/*
 * socktally_regions: one element a possible CPU, a struct st_region each. A chain program returns the verdict
 * whatever happens: it stands in for the return of the attached program.
 */
SEC("socket") int count(struct __sk_buff *skb)
{
	struct st_sizes sizes = {.paths = ST_EXTERN_U64(paths), .slots = ST_EXTERN_U64(slots)};
	struct st_skb_facts facts = st_skb_facts_of(skb, skb->cb[ST_CB_VERDICT]);
	__u32 cpu = bpf_get_smp_processor_id();
	struct st_region *region = bpf_map_lookup_elem(ST_EXTERN_PTR(socktally_regions), &cpu);
	struct st_packet packet;
	struct st_path path;

	if (!region)
		return facts.verdict;
	st_packet_start(&packet, skb, cpu, region);
	if (!st_parse_part(&packet, &path)) {
		bpf_tail_call(skb, ST_EXTERN_PTR(socktally_programs), ST_CHAIN_COUNT);
		return facts.verdict;
	}
	if (!facts.segments)
		facts.segments = st_segments(&packet, path);
	st_tally(region, sizes, path, &facts);
	return facts.verdict;
}

char st_license[] SEC("license") = "Dual BSD/GPL";
