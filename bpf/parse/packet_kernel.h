/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * How the parser reads a packet in the kernel: headers into a buffer, a part of the packet at a time. Where
 * programs may read in place, st_direct() is a constant 1, and the rest of this is in packet_direct.h.
 */
#ifndef SOCKTALLY_BPF_PARSE_PACKET_KERNEL_H
#define SOCKTALLY_BPF_PARSE_PACKET_KERNEL_H

#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <stddef.h>
#include "bpf/extern.h"
#include "bpf/parse/packet.h"
#include "bpf/parse/packet_direct.h"

struct st_packet {
	struct __sk_buff *skb;
	__u8 *buffer;         /* ST_HEADER_BUFFER bytes of a map's value */
	struct st_walk *walk; /* in a map's value, too */
	__u32 zero;           /* 0, but unknown to the verifier */
	const __u8 *common;   /* the packet, if st_common() has found its path; else NULL */
	struct st_region *region;
};

/*
 * The walk is in a map's value, not in registers or on the stack: the verifier knows nothing about
 * a value that is loaded from a map. So all branches of a layer end in the same verifier state, and
 * it follows the loop's body once a round. Known values would make the states differ, and their
 * number grows exponentially.
 */
#define ST_WALK(pkt) ((pkt)->walk)

_Static_assert(ST_HEADERS_LOAD + ST_WINDOW <= ST_HEADER_BUFFER,
	       "headers and window have to fit the buffer");
_Static_assert(sizeof(struct st_walk) <= sizeof(((struct st_region *)0)->walk), "room for a walk");

/*
 * A packet without a walk: who needs its headers finds them in pkt->common, but in place by st_direct_find(), as
 * the verifier does not take a pointer for reading in place to be other than NULL.
 */
#define ST_NOTE_COMMON(pkt, h, common_, len)                                                       \
	((pkt)->walk->off = st_common_end(common_),                                                \
	 (pkt)->common = st_direct() ? (pkt)->buffer : (h))

/* A compiler barrier: values are stored before it and loaded again after it. */
#define ST_FORGET() __asm__ volatile("" ::: "memory")

/*
 * A word of cb. In assembler, as the compiler may else keep a pointer to it, and the verifier takes no other
 * pointer to the context than the context's own. ST_CB_READ: anew each time.
 */
#define ST_CB_READ(skb, word)                                                                      \
	({                                                                                         \
		__u64 st_value;                                                                    \
		__asm__ volatile("%0 = *(u32 *)(%1 + %2)"                                          \
				 : "=r"(st_value)                                                  \
				 : "r"(skb), "i"(offsetof(struct __sk_buff, cb) + 4 * (word)));    \
		(__u32) st_value;                                                                  \
	})
#define ST_CB_WRITE(skb, word, value)                                                              \
	__asm__ volatile("*(u32 *)(%0 + %1) = %2"                                                  \
			 :                                                                         \
			 : "r"(skb), "i"(offsetof(struct __sk_buff, cb) + 4 * (word)),             \
			   "r"((__u64)(value))                                                     \
			 : "memory")

/* Fills the buffer with what starts at off, of which there are size bytes. */
static __always_inline _Bool st_packet_load(const struct st_packet *pkt, __u32 off, __u32 size)
{
	if (size > ST_HEADERS_LOAD)
		size = ST_HEADERS_LOAD;
	/* The subtraction: verifiers up to Linux 6.2 don't learn from "is not 0". */
	size--;
	__asm__("" : "+r"(size)); /* so that the next line stays: the verifier needs it */
	if (size >= ST_HEADERS_LOAD)
		return 0;
	return !bpf_skb_load_bytes(pkt->skb, off, pkt->buffer, size + 1);
}

static __always_inline void st_packet_start(struct st_packet *pkt, struct __sk_buff *skb, __u32 cpu,
					    struct st_region *region)
{
	__u8 *header_buffer = ST_EXTERN_PTR(header_buffer);

	pkt->skb = skb;
	pkt->buffer = header_buffer + (cpu & ST_EXTERN_U64(cpu_mask)) * ST_HEADER_BUFFER;
	pkt->walk = (struct st_walk *)region->walk;
	pkt->zero = region->zero;
	pkt->common = NULL;
	pkt->region = region;
}

/*
 * The first headers; the attached program may have loaded them already. *len: the packet's length, or 0
 * if it can't be read. *there: how many bytes may be looked at, if the packet has so many; ST_WINDOW at least.
 */
static __always_inline const __u8 *st_packet_open(const struct st_packet *pkt, __u32 *len,
						  __u32 *there)
{
	__u64 address;
	__s64 limit;

	*len = pkt->skb->len;
	*there = ST_HEADERS_LOAD;
	if (st_direct()) {
		limit = st_direct_open(pkt->skb, pkt->region);
		*there = limit < 0 ? ST_DIRECT_COPY : limit + ST_WINDOW;
		if (!st_direct_find(pkt->skb, pkt->region->linear_data, limit, pkt->buffer, 0,
				    ST_WINDOW, &address))
			*len = 0;
		return st_bytes_at(address);
	}
	if (ST_CB_READ(pkt->skb, ST_CB_HEADERS) != 1 && !st_packet_load(pkt, 0, *len))
		*len = 0;
	return pkt->buffer;
}

/* The ethertype of a VLAN tag in the metadata, or 0. */
static __always_inline __u32 st_packet_tag(const struct st_packet *pkt)
{
	return pkt->skb->vlan_present ? bpf_ntohs(pkt->skb->vlan_proto) : 0;
}

/* The identifier in that tag, with its priority. */
static __always_inline __u32 st_packet_vlan(const struct st_packet *pkt)
{
	return pkt->skb->vlan_tci;
}

/* The ethertype of a packet that starts with its network layer. */
static __always_inline __u32 st_packet_ethertype(const struct st_packet *pkt)
{
	return bpf_ntohs(pkt->skb->protocol);
}

_Static_assert(ST_LINK_BYTES <= ST_WINDOW, "the link header goes where a window may reach");

/* The first ST_LINK_BYTES of the link header, which may lie before the packet; NULL: not there. */
static __always_inline const __u8 *st_packet_link(const struct st_packet *pkt)
{
	__u8 *link = pkt->buffer + ST_HEADERS_LOAD;

	if (bpf_skb_load_bytes_relative(pkt->skb, 0, link, ST_LINK_BYTES, BPF_HDR_START_MAC))
		link = NULL;
	/*
	 * The caller has to test this pointer. Without the barrier the compiler tests the helper's
	 * result a second time, and verifiers up to Linux 6.2 no longer know by then that it is 0.
	 */
	__asm__("" : "+r"(link));
	return link;
}

static __always_inline _Bool st_packet_next(const struct st_packet *pkt, struct st_walk *walk)
{
	walk->base = walk->off;
	walk->size = walk->len - walk->off;
	ST_FORGET();
	return st_packet_load(pkt, walk->base, walk->size);
}

/*
 * ST_WINDOW bytes from walk->off, off < len, of which only those before the packet's end mean
 * something. False: can't be read.
 */
static __always_inline _Bool st_packet_at(const struct st_packet *pkt, struct st_walk *walk,
					  const __u8 **h)
{
	__u32 at = walk->off - walk->base;
	__u64 address;

	if (st_direct()) {
		ST_FORGET();
		if (!st_direct_find(pkt->skb, pkt->region->linear_data, pkt->region->linear_limit,
				    pkt->buffer, walk->off, ST_WINDOW, &address))
			return 0;
		*h = st_bytes_at(address);
		return 1;
	}
	if (at > ST_HEADERS_LOAD - ST_WINDOW && walk->len - walk->base > ST_HEADERS_LOAD &&
	    !st_packet_next(pkt, walk))
		return 0;
	/* One bounds check after all three branches: one verifier state instead of three. */
	ST_FORGET();
	at = walk->off - walk->base;
	if (at > ST_HEADERS_LOAD)
		return 0;
	*h = pkt->buffer + at;
	return 1;
}

/*
 * pair: see struct st_ports; 0: none, and the verifier drops the code. Without a branch, which would give
 * the verifier two states to follow.
 */
#define ST_PORT_REPLACE(port, name)                                                                \
	do {                                                                                       \
		__u64 st_pair = ST_EXTERN_U64(name), st_same;                                      \
                                                                                                   \
		if (st_pair) {                                                                     \
			st_same = (__s64)(((port) ^ (st_pair >> 16)) - 1) >> 63;                   \
			__asm__("" : "+r"(st_same));                                               \
			(port) ^= ((port) ^ (st_pair & 0xffff)) & st_same;                         \
		}                                                                                  \
	} while (0)

static __always_inline __u32 st_standard_port(const struct st_ports *ports, __u32 udp_port)
{
	__u64 port = udp_port;

	(void)ports;
	ST_PORT_REPLACE(port, port0);
	ST_PORT_REPLACE(port, port1);
	ST_PORT_REPLACE(port, port2);
	ST_PORT_REPLACE(port, port3);
	ST_PORT_REPLACE(port, port4);
	ST_PORT_REPLACE(port, port5);
	ST_PORT_REPLACE(port, port6);
	ST_PORT_REPLACE(port, port7);
	return port;
}

static __always_inline const struct st_ports *st_packet_ports(const struct st_packet *pkt)
{
	(void)pkt;
	return NULL;
}

/* h + at, which is no constant: a pointer for reading in place is good for constants only. */
static __always_inline const __u8 *st_at(const __u8 *h, __u32 at)
{
	return st_bytes_at((__u64)h + at);
}

static __always_inline __u32 st_get16(const __u8 *bytes)
{
	return bpf_ntohs(*(const __u16 *)bytes);
}

/* In the machine's byte order. */
static __always_inline __u16 st_raw16(const __u8 *bytes)
{
	return *(const __u16 *)bytes;
}

static __always_inline __u32 st_raw32(const __u8 *bytes)
{
	return *(const __u32 *)bytes;
}

static __always_inline __u64 st_raw64(const __u8 *bytes)
{
	return *(const __u64 *)bytes;
}

static __always_inline __u64 st_get64(const __u8 *bytes)
{
	return bpf_be64_to_cpu(*(const __u64 *)bytes);
}

static __always_inline __u32 st_get32(const __u8 *bytes)
{
	return bpf_ntohl(*(const __u32 *)bytes);
}

#include "bpf/parse/any_link.h"

#endif
