// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * sample=PATH:1/N: the tool gets one in N of these packets, or all packets of one in N flows.
 */
#include "bpf/hooks/flow.h"
#include "bpf/hooks/pattern.h"

const volatile struct st_pattern pattern;
const volatile __u32 n = 1;
const volatile __u32 inner;

/* What has matched so far, and may still reach the tool. */
__u64 matched;

static __always_inline int is_sampled(const struct socktally_packet *packet)
{
	return packet->verdict && st_pattern_matches(&pattern, packet);
}

/* The first of each N, whichever CPUs they come on. Needs Linux 5.12. */
SOCKTALLY_HOOK(sample, skb, packet)
{
	if (!is_sampled(packet) || !n)
		return SOCKTALLY_PASS;
	return __sync_fetch_and_add(&matched, 1) % n ? SOCKTALLY_DROP : SOCKTALLY_PASS;
}

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} matched_on_cpu SEC(".maps");

/* The same for each CPU by itself. */
SOCKTALLY_HOOK(sample_on_cpu, skb, packet)
{
	__u32 first = 0;
	__u64 *own = bpf_map_lookup_elem(&matched_on_cpu, &first);

	if (!own || !is_sampled(packet) || !n)
		return SOCKTALLY_PASS;
	return (*own)++ % n ? SOCKTALLY_DROP : SOCKTALLY_PASS;
}

static __always_inline __u64 mix(__u64 hash, __u64 value)
{
	hash = (hash ^ value) * 0x9e3779b97f4a7c15ull;
	return hash ^ hash >> 32;
}

static __always_inline __u64 end_hash(const struct socktally_address *address, __u32 port)
{
	__u64 hash = mix(1, port);

	for (int i = 0; i < 16; i += 4)
		hash = mix(hash, (__u32)address->bytes[i] << 24 |
					 (__u32)address->bytes[i + 1] << 16 |
					 (__u32)address->bytes[i + 2] << 8 | address->bytes[i + 3]);
	return hash;
}

/* By a hash that is the same for both directions. What has no IP header is one flow. */
SOCKTALLY_HOOK(sample_flows, skb, packet)
{
	struct st_flow flow;
	__u64 hash;

	if (!is_sampled(packet) || !n)
		return SOCKTALLY_PASS;
	st_flow_read(skb, packet, inner, &flow);
	hash = mix(end_hash(&flow.source, flow.source_port) +
			   end_hash(&flow.destination, flow.destination_port),
		   flow.protocol);
	return (__u32)(hash >> 16) % n ? SOCKTALLY_DROP : SOCKTALLY_PASS;
}
