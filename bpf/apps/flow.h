/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Finding a packet's flow in the flow memory, and what is known of it: for the kernel and natively. */
#ifndef SOCKTALLY_BPF_APPS_FLOW_H
#define SOCKTALLY_BPF_APPS_FLOW_H

#include "bpf/apps/payload.h"
#include "bpf/apps/word.h"
#include "bpf/parse/walk.h"

/* Of a packet, what its flow is known by and what may be looked at. */
struct st_flow_packet {
	__u64 hash;     /* the upper half is in the word, the lower half chooses the bucket */
	__u32 payload;  /* where it starts in the packet */
	__u32 length;   /* of the payload, by the headers; 0: there is none, or not a byte of it */
	__u32 there;    /* bytes of it that can be read */
	__u32 now;      /* the age of a flow that is seen now */
	__u16 from, to; /* ports */
	__u8 transport; /* ST_TCP, ST_UDP */
	__u8 side;      /* 0: it goes from the smaller end to the larger one */
	__u8 begins;    /* a SYN */
	__u8 spare;
};

/* What st_flow_known() says beside a number of an application, or 0: it has none. */
#define ST_FLOW_LOOK 0x100

static __always_inline __u64 st_flow_get64(const __u8 *bytes)
{
	return (__u64)st_get32(bytes) << 32 | st_get32(bytes + 4);
}

static __always_inline __u64 st_flow_mix(__u64 hash)
{
	hash *= 0xd6e8feb86659fd93ull;
	return hash ^ hash >> 32;
}

/* An end of an IPv4 flow is a number of 48 bits, one of an IPv6 flow is hashed to 64. */
static __always_inline __u64 st_flow_end6(const __u8 *address, __u32 port, __u64 key)
{
	return st_flow_mix(st_flow_mix(st_flow_get64(address) ^ key) + st_flow_get64(address + 8)) +
	       port;
}

/*
 * n, t: IP's and the transport's header, the fixed part of each. key: random, so that nobody chooses
 * ports of which all flows come to one bucket.
 */
static __always_inline void st_flow_hash(struct st_flow_packet *flow, const __u8 *n, __u32 tags,
					 __u64 key)
{
	__u64 from, to, smaller, larger;

	if (n[0] >> 4 == 6) {
		from = st_flow_end6(n + 8, flow->from, key);
		to = st_flow_end6(n + 24, flow->to, key);
	} else {
		from = (__u64)st_get32(n + 12) << 16 | flow->from;
		to = (__u64)st_get32(n + 16) << 16 | flow->to;
	}
	flow->side = from > to;
	smaller = flow->side ? to : from;
	larger = flow->side ? from : to;
	smaller = st_flow_mix(smaller ^ key);
	flow->hash = st_flow_mix((smaller + larger) ^ ((__u64)tags << 8 | flow->transport) << 24);
}

/* Where the packet ends by the lengths in IP's header; 0: it doesn't say. */
static __always_inline __u32 st_flow_end(const __u8 *n, __u32 network)
{
	__u32 length = n[0] >> 4 == 6 ? st_get16(n + 4) : st_get16(n + 2);

	if (!length)
		return 0;
	return network + length + (n[0] >> 4 == 6 ? 40 : 0);
}

/* The payload of a packet: what is there ends at `end`, what the headers say is `said`. */
static __always_inline void st_flow_payload(struct st_flow_packet *flow, const __u8 *t,
					    __u32 transport, __u32 end, __u32 said)
{
	__u32 header = 8, length;

	if (said < end)
		said = end;
	if (flow->transport == ST_TCP) {
		header = (t[12] >> 4) * 4;
		flow->begins = t[13] >> 1 & 1;
		if (header < 20)
			header = ST_NO_LIMIT;
	} else {
		length = st_get16(t + 4);
		if (length && transport + length < said)
			said = transport + length;
		if (end > said)
			end = said;
	}
	flow->payload = transport + header;
	flow->there = flow->payload < end ? end - flow->payload : 0;
	flow->length = flow->there ? said - flow->payload : 0;
}

/* The path's last layer, if that is one whose flows are looked at; else 0. */
static __always_inline __u32 st_flow_transport(struct st_path path)
{
	__u32 last = path.lo & 0xff;

	return last == ST_TCP || last == ST_UDP ? last : 0;
}

/* Adds the application, or with 0 nothing, to a path that has room. */
static __always_inline void st_flow_push(struct st_path *path, __u32 app)
{
	if (!app || path->hi >> (8 * (ST_MAX_LAYERS - 9)))
		return;
	path->hi = path->hi << 8 | path->lo >> 56;
	path->lo = path->lo << 8 | app;
}

static __always_inline __u32 st_flow_header(__u32 transport)
{
	return transport == ST_TCP ? 20 : 8;
}

static __always_inline __u64 st_flow_age(__u64 word, __u32 now)
{
	return (now - (word >> ST_FLOW_AGE)) & ST_FLOW_AGE_MASK;
}

/* It is one that ends by age, and has. */
static __always_inline _Bool st_flow_over(__u64 word, __u32 now)
{
	return word & ST_FLOW_ENDS && st_flow_age(word, now) > ST_FLOW_LIFE;
}

/* Where the flow's word is; ST_FLOW_WORDS: nowhere. */
static __always_inline __u32 st_flow_find(const __u64 *bucket, __u64 hash)
{
#pragma GCC unroll 8
	for (__u32 at = 0; at < ST_FLOW_WORDS; at++)
		if (((const volatile __u64 *)bucket)[at] >> ST_FLOW_TAG == hash >> 32)
			return at;
	return ST_FLOW_WORDS;
}

static __always_inline void st_flow_store(__u64 *bucket, __u32 at, __u64 word)
{
	((volatile __u64 *)bucket)[at & (ST_FLOW_WORDS - 1)] = word;
}

static __always_inline __u64 st_flow_load(const __u64 *bucket, __u32 at)
{
	return ((const volatile __u64 *)bucket)[at & (ST_FLOW_WORDS - 1)];
}

static __always_inline __u64 st_flow_seen(__u64 word, __u32 now)
{
	return (word & ~((__u64)ST_FLOW_AGE_MASK << ST_FLOW_AGE)) | (__u64)(now & ST_FLOW_AGE_MASK)
									    << ST_FLOW_AGE;
}

static __always_inline __u32 st_flow_looks(__u64 word, __u32 side)
{
	return word >> ST_FLOW_LOOKS(side) & 3;
}

/*
 * Of a packet whose flow's word is at `at`: the application; 0: none; ST_FLOW_LOOK: st_flow_look() has to
 * say. young: how many words new flows may take, ST_FLOW_WORDS where they may take all.
 */
static __always_inline __u32 st_flow_known(__u64 *bucket, __u32 at, __u32 young,
					   const struct st_flow_packet *flow)
{
	__u64 word;

	if (at >= ST_FLOW_WORDS)
		return flow->length ? ST_FLOW_LOOK : 0;
	word = st_flow_load(bucket, at);
	if (flow->begins || st_flow_over(word, flow->now))
		return ST_FLOW_LOOK;
	if (flow->length && st_flow_looks(word, flow->side) < ST_APP_LOOKS)
		return ST_FLOW_LOOK;
	if (!(word & ST_FLOW_NAMED))
		return 0;
	if (at < young && young < ST_FLOW_WORDS)
		return ST_FLOW_LOOK;
	if (st_flow_age(word, flow->now))
		st_flow_store(bucket, at, st_flow_seen(word, flow->now));
	return word & 0xff;
}

#endif
