/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A packet whose flow is not just known: it begins or ends a flow, is looked at, or confirms a flow. */
#ifndef SOCKTALLY_BPF_APPS_STEP_H
#define SOCKTALLY_BPF_APPS_STEP_H

#include "bpf/apps/flow.h"
#include "bpf/apps/look.h"

/*
 * How gladly a word is given up: an empty one, then the oldest of flows that end by age, then the oldest
 * of the others. Known TCP flows can't be recognised again later, most others can.
 */
static __always_inline __u32 st_flow_worth(__u64 word, __u32 now)
{
	return (__u32)(!word) << 16 | (word & ST_FLOW_ENDS ? 1u << 12 : 0) |
	       (__u32)st_flow_age(word, now);
}

/* The word, of first..last, to be taken for a flow. Without branches: they would be verifier states. */
static __always_inline __u32 st_flow_place(const __u64 *bucket, __u32 first, __u32 last, __u32 now)
{
	__u32 at = first, best = st_flow_worth(st_flow_load(bucket, first), now);

#pragma GCC unroll 8
	for (__u32 i = 0; i < ST_FLOW_WORDS; i++) {
		__u32 worth, better;

		if (i <= first || i > last)
			continue;
		worth = st_flow_worth(st_flow_load(bucket, i), now);
		better = (__u32)((__s32)(best - worth) >> 31);
		__asm__("" : "+r"(better));
		best ^= (best ^ worth) & better;
		at ^= (at ^ i) & better;
	}
	return at;
}

/* Forgets the flow: all its words, as two CPUs may have made one each. */
static __always_inline void st_flow_forget(__u64 *bucket, __u64 hash)
{
#pragma GCC unroll 8
	for (__u32 at = 0; at < ST_FLOW_WORDS; at++)
		if (st_flow_load(bucket, at) >> ST_FLOW_TAG == hash >> 32)
			st_flow_store(bucket, at, 0);
}

/* The flow's word after a look that has said `result`; word: what it was, 0 if it is new. */
static __always_inline __u64 st_flow_word(const struct st_flow_packet *flow, __u64 word,
					  __u32 result)
{
	const __u64 looks = 15ull << ST_FLOW_LOOKS(0);
	__u32 name = result & 0xff;
	__u64 next;

	if (word & ST_FLOW_NAMED && !(result & ST_APP_FOUND))
		name = word & 0xff;
	next = flow->hash >> ST_FLOW_TAG << ST_FLOW_TAG | name;
	next |= (__u64)(result >> 8 & 0x3f) << 14;
	next |= flow->transport == ST_TCP ? 0 : ST_FLOW_ENDS;
	next |= result & ST_APP_FOUND ? ST_FLOW_NAMED : word & ST_FLOW_NAMED;
	if (result & ST_APP_NEVER || (result & (ST_APP_FOUND | ST_APP_MORE)) == ST_APP_FOUND)
		next |= looks;
	else
		next |= (word & looks) + (1ull << ST_FLOW_LOOKS(flow->side));
	return st_flow_seen(next, flow->now);
}

/* What the packet's payload says; payload->bytes are there, the rest is filled in here. */
static __always_inline __u32 st_flow_ask(const struct st_flow_packet *flow, __u64 word,
					 struct st_app_payload *payload)
{
	payload->length = flow->length;
	payload->there = flow->there < ST_APP_BLOCK ? flow->there : ST_APP_BLOCK;
	payload->from = flow->from;
	payload->to = flow->to;
	payload->transport = flow->transport;
	payload->side = flow->side;
	payload->nth = st_flow_looks(word, flow->side);
	payload->other = st_flow_looks(word, !flow->side);
	return st_app_look(payload, (word & 0xff) | (word >> 14 & 0x3f) << 8);
}

/*
 * at, young: as for st_flow_known(), which has said ST_FLOW_LOOK. Returns the application, or 0. *placed:
 * the flow's word if that has changed its place; else ST_FLOW_WORDS.
 */
static __always_inline __u32 st_flow_look(__u64 *bucket, __u32 at, __u32 young,
					  const struct st_flow_packet *flow,
					  struct st_app_payload *payload, __u32 *placed)
{
	__u64 word = at < ST_FLOW_WORDS ? st_flow_load(bucket, at) : 0;
	const __u64 before = word;
	__u32 first = 0, last = young - 1;

	*placed = ST_FLOW_WORDS;
	if (word && (flow->begins || st_flow_over(word, flow->now))) {
		st_flow_forget(bucket, flow->hash);
		word = 0;
		at = ST_FLOW_WORDS;
	}
	if (flow->length && st_flow_looks(word, flow->side) < ST_APP_LOOKS)
		word = st_flow_word(flow, word, st_flow_ask(flow, word, payload));
	if (!word)
		return 0;
	if (at < young && young < ST_FLOW_WORDS && before & ST_FLOW_NAMED) { /* it lives */
		st_flow_store(bucket, at, 0);
		first = young;
		last = ST_FLOW_WORDS - 1;
		at = ST_FLOW_WORDS;
	}
	if (at >= ST_FLOW_WORDS)
		*placed = at = st_flow_place(bucket, first, last, flow->now);
	st_flow_store(bucket, at, st_flow_seen(word, flow->now));
	return word & ST_FLOW_NAMED ? word & 0xff : 0;
}

#endif
