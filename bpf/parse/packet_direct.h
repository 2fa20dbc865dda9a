/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * How the parser reads a packet in the kernel where it may do so in place (bpf/direct.h): each header where it
 * is. One that is not in the packet's linear part is copied by the helper.
 */
#ifndef SOCKTALLY_BPF_PARSE_PACKET_DIRECT_H
#define SOCKTALLY_BPF_PARSE_PACKET_DIRECT_H

#include "bpf/direct.h"
#include "bpf/parse/packet.h"

/* Bytes that the helper copies where it has to. */
#define ST_DIRECT_COPY 64
_Static_assert(ST_DIRECT_COPY >= ST_WINDOW, "a layer's parser reads so much");

/*
 * The packet's linear part, for all runs of the parser: in the region, so that the verifier does not know the
 * numbers and follow the walk once for each way to them. Behind the limit ST_WINDOW bytes may reach beyond the linear
 * part while the packet goes on elsewhere.
 */
static __always_inline __s64 st_direct_open(const struct __sk_buff *skb, struct st_region *region)
{
	struct st_linear linear = st_linear_of(skb);
	__s64 limit = linear.size;

	limit -= -(__s64)linear.beyond >> 63 & ST_WINDOW;
	region->linear_data = linear.data;
	region->linear_limit = limit;
	return limit;
}

/*
 * Where ST_DIRECT_COPY bytes from off on are to be read, of which only the `wanted` first ones that are before the
 * packet's end mean something, ST_WINDOW at most. buffer: for those that the helper has to copy. False: they can't
 * be read.
 */
static __always_inline _Bool st_direct_find(const struct __sk_buff *skb, __u64 data, __s64 limit,
					    __u8 *buffer, __u32 off, __u32 wanted, __u64 *address)
{
	__u32 left;

	*address = data + off;
	if ((__s64)off <= limit + ST_WINDOW - wanted)
		return 1;
	*address = (__u64)buffer;
	if (off >= skb->len) /* a layer without bytes, as ERSPAN's first type */
		return 1;
	left = skb->len - off - 1;
	if (left > ST_DIRECT_COPY - 1)
		left = ST_DIRECT_COPY - 1;
	/* the verifier has to see the bound, which the compiler takes for granted */
	__asm__("" : "+r"(left));
	return left < ST_DIRECT_COPY && !bpf_skb_load_bytes(skb, off, buffer, left + 1);
}

#endif
