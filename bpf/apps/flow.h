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

/* Beside a number of an application, and 0: it has none. */
#define ST_FLOW_LOOK 0x100

static __always_inline __u64 st_flow_mix(__u64 hash)
{
	hash *= 0xd6e8feb86659fd93ull;
	return hash ^ hash >> 32;
}

/*
 * n: the fixed part of IP's header; from, to: the ports. key: random, so that nobody chooses ports of which
 * all flows come to one bucket. Bytes are in the machine's order: to hash them, one is as good as the other.
 * Without a branch on the direction, which no CPU could foresee.
 */
static __always_inline void st_flow_hash(struct st_flow_packet *flow, const __u8 *n, __u64 from,
					 __u64 to, __u32 tags, __u64 key)
{
	const __u64 more = (__u64)tags << 8 | flow->transport;

	if (n[0] >> 4 == 6) {
		from *= 0x9e3779b97f4a7c15ull;
		to *= 0x9e3779b97f4a7c15ull;
		from += (st_raw64(n + 8) ^ key) * 0xd6e8feb86659fd93ull + st_raw64(n + 16);
		to += (st_raw64(n + 24) ^ key) * 0xd6e8feb86659fd93ull + st_raw64(n + 32);
	} else {
		from |= (__u64)st_raw32(n + 12) << 16;
		to |= (__u64)st_raw32(n + 16) << 16;
	}
	flow->side = ((to >> 1) - (from >> 1)) >> 63;
	flow->hash = st_flow_mix((st_flow_mix(from ^ key) + st_flow_mix(to ^ key)) ^ more << 24);
}

/* Where the packet ends by the lengths in IP's header; 0: it doesn't say. */
static __always_inline __u32 st_flow_end(const __u8 *n, __u32 network)
{
	__u32 length = n[0] >> 4 == 6 ? st_get16(n + 4) : st_get16(n + 2);

	if (!length)
		return 0;
	return network + length + (n[0] >> 4 == 6 ? 40 : 0);
}

/* t: the transport's header, at `transport`. Sets what st_flow_hash() and st_flow_lengths() go on with. */
static __always_inline void st_flow_ports(struct st_flow_packet *flow, const __u8 *t,
					  __u32 transport)
{
	__u32 header = 8, length = st_get16(t + 4);

	flow->from = st_get16(t);
	flow->to = st_get16(t + 2);
	flow->begins = 0;
	flow->length = length ? transport + length : ST_NO_LIMIT;
	if (flow->transport == ST_TCP) {
		header = (t[12] >> 4) * 4;
		flow->begins = t[13] >> 1 & 1;
		flow->length = ST_NO_LIMIT;
		if (header < 20)
			header = ST_NO_LIMIT - 0xffff;
	}
	flow->payload = transport + header;
}

/* What is there of the packet ends at `end`, 0: where it does by IP's header, which is `said`. */
static __always_inline void st_flow_lengths(struct st_flow_packet *flow, __u32 end, __u32 said)
{
	if (!end)
		end = said;
	if (said < end)
		said = end;
	if (flow->length < said)
		said = flow->length;
	if (end > said)
		end = said;
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

/* Where the header of that layer starts, after the walk. */
static __always_inline __u32 st_flow_start(__u32 transport, const struct st_walk *walk)
{
	return transport == ST_TCP ? walk->off - 20 : walk->transport;
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

/* What a word says of a packet that changes nothing but when the flow was last seen. */
static __always_inline __u32 st_flow_say(__u64 *bucket, __u32 at, __u64 word, __u32 now)
{
	if (st_flow_age(word, now))
		st_flow_store(bucket, at, st_flow_seen(word, now));
	return word & ST_FLOW_NAMED ? word & 0xff : 0;
}

/* A new flow that was recognised lives on with its second packet, among those that are not new. */
static __always_inline _Bool st_flow_moves(__u64 word, __u32 at, __u32 young)
{
	return word & ST_FLOW_NAMED && at < young && young < ST_FLOW_WORDS;
}

/*
 * Of a packet whose flow's word is at `at`, if that flow isn't looked at any more: the application, or 0: none;
 * else ST_FLOW_LOOK. Of flow only `begins` and `now` are needed. young: how many words of a bucket new flows
 * may take, ST_FLOW_WORDS where they may take all.
 */
static __always_inline __u32 st_flow_settled(__u64 *bucket, __u32 at, __u32 young,
					     const struct st_flow_packet *flow)
{
	__u64 word;

	if (at >= ST_FLOW_WORDS)
		return ST_FLOW_LOOK;
	word = st_flow_load(bucket, at);
	if ((word & ST_FLOW_LOOKED) != ST_FLOW_LOOKED || flow->begins ||
	    st_flow_over(word, flow->now) || st_flow_moves(word, at, young))
		return ST_FLOW_LOOK;
	return st_flow_say(bucket, at, word, flow->now);
}

/* The same of one that may be looked at: ST_FLOW_LOOK: st_flow_look() has to say. */
static __always_inline __u32 st_flow_known(__u64 *bucket, __u32 at, __u32 young,
					   const struct st_flow_packet *flow)
{
	__u64 word;

	if (at >= ST_FLOW_WORDS)
		return flow->length ? ST_FLOW_LOOK : 0;
	word = st_flow_load(bucket, at);
	if (flow->begins || st_flow_over(word, flow->now) || st_flow_moves(word, at, young) ||
	    (flow->length && st_flow_looks(word, flow->side) < ST_APP_LOOKS))
		return ST_FLOW_LOOK;
	return word & ST_FLOW_NAMED ? st_flow_say(bucket, at, word, flow->now) : 0;
}

#endif
