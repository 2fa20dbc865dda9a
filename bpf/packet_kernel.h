/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* How the parser reads a packet in the kernel: a block of headers at a time. */
#ifndef SOCKTALLY_BPF_PACKET_KERNEL_H
#define SOCKTALLY_BPF_PACKET_KERNEL_H

#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "packet.h"

struct st_packet {
	struct __sk_buff *skb;
	__u8 *block;	/* ST_BLOCK bytes of a map's value */
	__u32 len;	/* of the packet */
	__u32 base;	/* where in the packet the block starts */
	__u32 ethertype; /* of a packet without a link header */
	__u32 tag;	/* ethertype of a VLAN tag in the metadata, or 0 */
};

/*
 * Loads the block with what starts at off, off < len. The size takes a way through memory because
 * the verifier would otherwise trace it back to its origin and tell states apart by it, which costs
 * it many times the work.
 */
static __always_inline long st_packet_load(struct st_packet *pkt, __u32 off)
{
	__u32 size = pkt->len - off;

	if (size > ST_BLOCK_LOAD)
		size = ST_BLOCK_LOAD;
	*(volatile __u32 *)pkt->block = size;
	size = *(volatile __u32 *)pkt->block;
	if (size - 1 >= ST_BLOCK_LOAD)
		return -1;
	pkt->base = off;
	return bpf_skb_load_bytes(pkt->skb, off, pkt->block, size);
}

/* A packet that can't be read has length 0. */
static __always_inline void st_packet_start(struct st_packet *pkt, struct __sk_buff *skb,
					    __u8 *block)
{
	pkt->skb = skb;
	pkt->block = block;
	pkt->len = skb->len;
	pkt->ethertype = bpf_ntohs(skb->protocol);
	pkt->tag = skb->vlan_present ? bpf_ntohs(skb->vlan_proto) : 0;
	if (st_packet_load(pkt, 0))
		pkt->len = 0;
}

/*
 * ST_WINDOW bytes from off, off < len, of which only those before the packet's end mean something.
 * NULL: can't be read.
 */
static __always_inline const __u8 *st_packet_at(struct st_packet *pkt, __u32 off)
{
	__u32 at = off - pkt->base;

	if (at > ST_BLOCK_LOAD - ST_WINDOW && pkt->len - pkt->base > ST_BLOCK_LOAD) {
		if (st_packet_load(pkt, off))
			return NULL;
		at = 0;
	}
	if (at > ST_BLOCK_LOAD)
		return NULL;
	return pkt->block + at;
}

static __always_inline __u32 st_get16(const __u8 *bytes)
{
	return bpf_ntohs(*(const __u16 *)bytes);
}

static __always_inline __u32 st_get32(const __u8 *bytes)
{
	return bpf_ntohl(*(const __u32 *)bytes);
}

#endif
