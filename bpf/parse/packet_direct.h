/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * How the parser reads a packet in the kernel where it may do so in place (bpf/direct.h): each header where it
 * is. One that is not in the packet's linear part is copied by the helper.
 */
#ifndef SOCKTALLY_BPF_PARSE_PACKET_DIRECT_H
#define SOCKTALLY_BPF_PARSE_PACKET_DIRECT_H

#include "bpf/direct.h"
#include "bpf/parse/packet.h"

/* Bytes behind the pointer that st_direct_at() returns. */
#define ST_DIRECT_WINDOW 64
_Static_assert(ST_DIRECT_WINDOW >= ST_WINDOW, "a layer's parser reads so much");

/*
 * The packet's linear part, for all runs of the parser: in the region, so that the verifier does not know the
 * numbers and follow the walk once for each way to them. Behind the limit the window might reach beyond the
 * linear part and into bytes of the packet that are elsewhere.
 */
static __always_inline __s64 st_direct_open(const struct __sk_buff *skb, struct st_region *region)
{
	struct st_linear linear = st_linear_of(skb);
	__s64 limit = linear.size;

	limit -= -(__s64)linear.beyond >> 63 & ST_DIRECT_WINDOW;
	region->linear_data = linear.data;
	region->linear_limit = limit;
	return limit;
}

/*
 * Where ST_DIRECT_WINDOW bytes from off on are to be read, of which only those before the packet's end mean
 * something. buffer: for those that the helper has to copy. False: they can't be read.
 */
static __always_inline _Bool st_direct_find(const struct __sk_buff *skb, __u64 data, __s64 limit,
					    __u8 *buffer, __u32 off, __u64 *address)
{
	__u32 left;

	*address = data + off;
	if ((__s64)off <= limit)
		return 1;
	*address = (__u64)buffer;
	left = skb->len - off - 1;
	if (left > ST_DIRECT_WINDOW - 1)
		left = ST_DIRECT_WINDOW - 1;
	/* the verifier has to see the bound, which the compiler takes for granted */
	__asm__("" : "+r"(left));
	return left < ST_DIRECT_WINDOW && !bpf_skb_load_bytes(skb, off, buffer, left + 1);
}

#endif
