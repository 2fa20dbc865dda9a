// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The chain's first and last program when there are hooks between them. What they know of the packet
 * is in the region of this CPU: see struct socktally_chain.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "bpf/extern.h"
#include "bpf/skb_facts.h"
#include "bpf/tail_call.h"
#include "bpf/parse/packet_kernel.h"

#include "bpf/parse/note.h"

static __always_inline struct socktally_packet *st_packet_of(struct st_walk *walk);
#define ST_ON_LAYER(walk, protocol) st_note_layer(st_packet_of(walk), (walk)->off, protocol)
#include "bpf/apps/look_packet.h"
#include "bpf/parse/segments.h"

/* The walk is in the region, too. */
static __always_inline struct socktally_packet *st_packet_of(struct st_walk *walk)
{
	__u8 *region = (__u8 *)walk - offsetof(struct st_region, walk);

	return &((struct st_region *)region)->chain.packet;
}

/* The application, if there is one and the path has room for it. */
static __always_inline void st_note_app(struct st_region *region, __u32 app)
{
	struct socktally_packet *packet = &region->chain.packet;
	struct st_path path = {packet->path.hi, packet->path.lo};
	__u32 at = packet->layer_count & (SOCKTALLY_PACKET_LAYERS - 1);

	st_flow_push(&path, app);
	if (path.lo == packet->path.lo)
		return;
	packet->path.hi = path.hi;
	packet->path.lo = path.lo;
	packet->layers[at] = app;
	packet->offsets[at] = st_look_of(region)->flow.payload;
	packet->layer_count++;
}

static __always_inline struct st_region *st_region_of(__u32 cpu)
{
	return bpf_map_lookup_elem(ST_EXTERN_PTR(socktally_regions), &cpu);
}

/* Where the chain goes on, by the newest bank. */
static __always_inline void st_chain_start(struct st_region *region, struct __sk_buff *skb,
					   __u32 verdict)
{
	struct st_skb_facts facts = st_skb_facts_of(skb, verdict);
	struct socktally_packet *packet = &region->chain.packet;
	const volatile struct st_bank *bank = ST_EXTERN_PTR(socktally_bank);

	region->chain.next = bank->start;
	region->tally = bank->tally[region->chain.next != ST_CHAIN_BANK(0)];
	packet->length = facts.len;
	packet->tag_length = facts.tag_len;
	packet->verdict = facts.verdict;
	packet->tool_verdict = facts.verdict;
	packet->segments = facts.segments;
	packet->direction = facts.out;
	packet->layer_count = 0;
	((__u64 *)packet->layers)[0] = 0;
	((__u64 *)packet->layers)[1] = 0;
}

/* With the first hook: to one of two constant places, by jumps, where others go through a retpoline. */
static __always_inline void st_chain_go_on(struct __sk_buff *skb, struct st_region *region)
{
	if (region->chain.next++ == ST_CHAIN_BANK(0))
		st_tail_call(skb, ST_CHAIN_BANK(0));
	else
		st_tail_call(skb, ST_CHAIN_BANK(1));
}

/*
 * Of the packet's first bytes, how many are in the header buffer. Further parts of a packet go into the same
 * one; without a walk there is none. Read in place, none is there.
 */
static __always_inline void st_note_headers(const struct st_packet *packet)
{
	const struct st_walk *walk = packet->walk;
	__u32 len = packet->skb->len;

	packet->region->chain.headers = st_direct() || (walk->len && walk->base) ? 0
					: len < ST_HEADERS_LOAD                  ? len
										 : ST_HEADERS_LOAD;
	if (!st_direct())
		packet->region->linear_limit = -1;
}

SEC("socket") int chain_parse(struct __sk_buff *skb)
{
	__u32 cpu = bpf_get_smp_processor_id(), app;
	__u32 verdict = ST_CB_READ(skb, ST_CB_VERDICT);
	struct st_region *region = st_region_of(cpu);
	struct st_packet packet;
	struct st_path *path;

	if (!region)
		return verdict;
	path = (struct st_path *)&region->chain.packet.path;
	if (!ST_CB_READ(skb, ST_CB_PART))
		st_chain_start(region, skb, verdict);
	st_packet_start(&packet, skb, cpu, region);
	if (!st_parse_part(&packet, path)) {
		bpf_tail_call(skb, ST_EXTERN_PTR(socktally_programs), ST_CHAIN_PARSE);
		return verdict;
	}
	ST_FORGET();
	if (!region->chain.packet.layer_count && path->lo)
		st_note_common(&region->chain.packet, *path);
	if (!region->chain.packet.segments)
		region->chain.packet.segments = st_segments(&packet, *path);
	app = st_flow_wanted() ? st_flow_app(&packet, st_look_of(region), *path) : 0;
	st_note_headers(&packet);
	if (st_flow_wanted()) {
		if (app == ST_FLOW_LOOK) {
			bpf_tail_call(skb, ST_EXTERN_PTR(socktally_programs), ST_CHAIN_LOOK_HOOKS);
			app = 0;
		}
		st_note_app(region, app);
	}
	st_chain_go_on(skb, region);
	return verdict;
}

SEC("socket") int chain_look(struct __sk_buff *skb)
{
	struct st_region *region = st_region_of(bpf_get_smp_processor_id());

	if (!region)
		return ST_CB_READ(skb, ST_CB_VERDICT);
	st_note_app(region, st_look_now(skb, st_look_of(region)));
	st_chain_go_on(skb, region);
	return ST_CB_READ(skb, ST_CB_VERDICT);
}

SEC("socket") int chain_tally(struct __sk_buff *skb)
{
	struct st_sizes sizes = {.paths = ST_EXTERN_U64(paths), .slots = ST_EXTERN_U64(slots)};
	struct st_region *region = st_region_of(bpf_get_smp_processor_id());
	const struct socktally_packet *packet;
	struct st_skb_facts facts;
	struct st_path path;

	if (!region)
		return ST_CB_READ(skb, ST_CB_VERDICT);
	packet = &region->chain.packet;
	facts = st_skb_facts_of(skb, packet->verdict);
	facts.segments = packet->segments;
	path = (struct st_path){packet->path.hi, packet->path.lo};
	st_tally(region, sizes, path, &facts);
	return facts.verdict;
}

char st_license[] SEC("license") = "Dual BSD/GPL";
