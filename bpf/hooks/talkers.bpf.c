// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * talkers: who sends to whom how much, by flow or by pair of hosts. When the map is full the flow that
 * was silent for longest makes room.
 */
#include "bpf/hooks/flow.h"

const volatile __u32 inner; /* 1: of the innermost IP header, not the outermost */

struct counts {
	__u64 packets;
	__u64 bytes;
};

struct hosts {
	struct socktally_address source;
	struct socktally_address destination;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct st_flow);
	__type(value, struct counts);
} flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct hosts);
	__type(value, struct counts);
} hosts SEC(".maps");

static __always_inline void talker_count(void *map, const void *key,
					 const struct socktally_packet *packet)
{
	struct counts none = {0}, *found = bpf_map_lookup_elem(map, key);

	if (!found) {
		bpf_map_update_elem(map, key, &none, BPF_NOEXIST);
		found = bpf_map_lookup_elem(map, key);
	}
	if (found) {
		__sync_fetch_and_add(&found->packets, 1);
		__sync_fetch_and_add(&found->bytes, socktally_bytes(packet));
	}
}

SOCKTALLY_HOOK(talkers_by_flow, skb, packet)
{
	struct st_flow flow;

	if (st_flow_read(skb, packet, inner, &flow))
		talker_count(&flows, &flow, packet);
	return SOCKTALLY_PASS;
}

SOCKTALLY_HOOK(talkers_by_host, skb, packet)
{
	struct st_flow flow;
	struct hosts pair;

	if (!st_flow_read(skb, packet, inner, &flow))
		return SOCKTALLY_PASS;
	pair.source = flow.source;
	pair.destination = flow.destination;
	talker_count(&hosts, &pair, packet);
	return SOCKTALLY_PASS;
}
