// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The chain's programs when there are no hooks: parse and tally in one, and before the tally, look. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "bpf/extern.h"
#include "bpf/skb_facts.h"
#include "bpf/apps/packet.h"
#include "bpf/apps/look_packet.h"
#include "bpf/parse/segments.h"

static __always_inline struct st_region *st_region_of(__u32 cpu)
{
	return bpf_map_lookup_elem(ST_EXTERN_PTR(socktally_regions), &cpu);
}

static __always_inline void st_tally_packet(struct st_region *region, struct st_path path,
					    const struct st_skb_facts *facts)
{
	struct st_sizes sizes = {.paths = ST_EXTERN_U64(paths), .slots = ST_EXTERN_U64(slots)};

	st_tally(region, sizes, path, facts);
}

/*
 * socktally_regions: one element a possible CPU, a struct st_region each. A chain program returns the verdict
 * whatever happens: it stands in for the return of the attached program.
 */
SEC("socket") int count(struct __sk_buff *skb)
{
	struct st_skb_facts facts = st_skb_facts_of(skb, ST_CB_READ(skb, ST_CB_VERDICT));
	__u32 cpu = bpf_get_smp_processor_id(), app;
	struct st_region *region = st_region_of(cpu);
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
	if (st_flow_wanted()) {
		app = st_flow_app(&packet, st_look_of(region), path);
		if (app == ST_FLOW_LOOK) {
			st_look_later(region, path, facts.segments);
			bpf_tail_call(skb, ST_EXTERN_PTR(socktally_programs), ST_CHAIN_LOOK);
		}
		st_flow_push(&path, app & 0xff);
	}
	st_tally_packet(region, path, &facts);
	return facts.verdict;
}

SEC("socket") int count_look(struct __sk_buff *skb)
{
	struct st_skb_facts facts = st_skb_facts_of(skb, ST_CB_READ(skb, ST_CB_VERDICT));
	struct st_region *region = st_region_of(bpf_get_smp_processor_id());
	struct st_path path;

	if (!region)
		return facts.verdict;
	path = st_look_of(region)->path;
	facts.segments = st_look_of(region)->segments;
	st_flow_push(&path, st_look_now(skb, st_look_of(region)));
	st_tally_packet(region, path, &facts);
	return facts.verdict;
}

char st_license[] SEC("license") = "Dual BSD/GPL";
