/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Looking at a packet's payload in the kernel, in a program of its own behind a tail call: packets of flows
 * that are known never come to it.
 */
#ifndef SOCKTALLY_BPF_APPS_LOOK_PACKET_H
#define SOCKTALLY_BPF_APPS_LOOK_PACKET_H

#include "bpf/apps/packet.h"
#if ST_APP_IN_KERNEL
#include "bpf/apps/step.h"
#endif

/* Leaves for the next program what look->flow doesn't have. */
static __always_inline void st_look_later(struct st_region *region, struct st_path path,
					  __u32 segments)
{
	struct st_look *look = st_look_of(region);

	look->path = path;
	look->segments = segments;
}

#if ST_APP_IN_KERNEL
/* The start of the payload, and zeros behind it. False: can't be read. */
static __always_inline _Bool st_look_load(struct __sk_buff *skb, struct st_look *look)
{
	__u64 *bytes = (__u64 *)look->payload.bytes;
	__u32 there = look->flow.there;

#pragma GCC unroll 16
	for (__u32 i = 0; i < sizeof(look->payload.bytes) / 8; i++)
		bytes[i] = 0;
	if (there > ST_APP_BLOCK)
		there = ST_APP_BLOCK;
	/* as in st_packet_load() */
	there--;
	__asm__("" : "+r"(there));
	if (there >= ST_APP_BLOCK)
		return 0;
	return !bpf_skb_load_bytes(skb, look->flow.payload, look->payload.bytes, there + 1);
}

/* What the packet's flow is now; 0: it isn't known. */
static __always_inline __u32 st_look_now(struct __sk_buff *skb, struct st_look *look)
{
	__u64 *bucket = st_flow_bucket(look->flow.hash);
	__u32 placed;

	if (look->flow.length && !st_look_load(skb, look))
		return 0;
	return st_flow_look(bucket, st_flow_find(bucket, look->flow.hash), ST_FLOW_YOUNG,
			    &look->flow, &look->payload, &placed);
}
#else
static __always_inline __u32 st_look_now(struct __sk_buff *skb, struct st_look *look)
{
	(void)skb, (void)look;
	return 0;
}
#endif

#endif
