// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The chain's first and last program when there are hooks between them. What they know of the packet
 * is in the region of this CPU: see struct socktally_chain.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "bpf/extern.h"
#include "bpf/skb_facts.h"
#include "bpf/parse/packet_kernel.h"

static __always_inline void st_note_layer(struct st_walk *walk, __u32 protocol);
#define ST_ON_LAYER(walk, protocol) st_note_layer(walk, protocol)
#include "bpf/apps/look_packet.h"
#include "bpf/parse/segments.h"

/* The walk is in the region, too. */
static __always_inline struct socktally_packet *st_packet_of(struct st_walk *walk)
{
	__u8 *region = (__u8 *)walk - offsetof(struct st_region, walk);

	return &((struct st_region *)region)->chain.packet;
}

/* A part of a layer, protocol 0, is no layer; said without a branch, as st_path_push() tells. */
static __always_inline void st_note_layer(struct st_walk *walk, __u32 protocol)
{
	struct socktally_packet *packet = st_packet_of(walk);
	__u32 at = packet->layer_count & (SOCKTALLY_PACKET_LAYERS - 1);

	packet->layers[at] = protocol;
	packet->offsets[at] = walk->off;
	packet->layer_count += (protocol + 255) >> 8;
}

/* The layers of a path that st_common() has found without a walk. */
static __always_inline void st_note_common(struct socktally_packet *packet, struct st_path path)
{
	__u32 network = path.lo >> 8 & 0xff;

	packet->layer_count = 3;
	packet->layers[0] = ST_ETH;
	packet->layers[1] = network;
	packet->layers[2] = path.lo;
	packet->offsets[0] = 0;
	packet->offsets[1] = 14;
	packet->offsets[2] = network == ST_IP ? 14 + 20 : 14 + 40;
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
	const volatile __u64 *bank = ST_EXTERN_PTR(socktally_bank);

	region->chain.next = *bank;
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
	if (st_flow_wanted()) {
		app = st_flow_app(&packet, st_look_of(region), *path);
		if (app == ST_FLOW_LOOK) {
			bpf_tail_call(skb, ST_EXTERN_PTR(socktally_programs), ST_CHAIN_LOOK_HOOKS);
			app = 0;
		}
		st_note_app(region, app);
	}
	bpf_tail_call(skb, ST_EXTERN_PTR(socktally_programs), region->chain.next++);
	return verdict;
}

SEC("socket") int chain_look(struct __sk_buff *skb)
{
	struct st_region *region = st_region_of(bpf_get_smp_processor_id());

	if (!region)
		return ST_CB_READ(skb, ST_CB_VERDICT);
	st_note_app(region, st_look_now(skb, st_look_of(region)));
	bpf_tail_call(skb, ST_EXTERN_PTR(socktally_programs), region->chain.next++);
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
