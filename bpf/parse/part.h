/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The parser in the kernel: a few steps a run. The verifier goes through every step of a program, so
 * one with all of them takes it twice as long. A packet with more layers goes on in another run
 * of the same program: a tail call to a fixed place, which the JIT makes a jump.
 */
#ifndef SOCKTALLY_BPF_PARSE_PART_H
#define SOCKTALLY_BPF_PARSE_PART_H

#include "bpf/parse/parse.h"

#define ST_PART_STEPS 4
#define ST_PARTS (ST_MAX_STEPS / ST_PART_STEPS)

_Static_assert(ST_PARTS *ST_PART_STEPS == ST_MAX_STEPS, "all steps are in a part");

/* Read anew wherever it is asked for: what is kept in a register the verifier tells states apart by. */
static __always_inline __u32 st_part(const struct __sk_buff *skb)
{
	return *(const volatile __u32 *)&skb->cb[ST_CB_PART];
}

/* False: the walk goes on in the next run. */
static __always_inline _Bool st_parse_part(struct st_packet *pkt, struct st_path *path)
{
	struct __sk_buff *skb = pkt->skb;
	__u32 common;

	if (!st_part(skb)) {
		common = st_parse_start(pkt, skb->cb[ST_CB_LINK]);
		/* Not as a constant: of a table's place that it knows the verifier would think anew. */
		*path = (struct st_path){.lo = common ^ pkt->zero};
		if (common)
			return 1;
	}
	if (st_parse_steps(pkt, ST_PART_STEPS) && st_part(skb) < ST_PARTS - 1) {
		skb->cb[ST_CB_PART] = st_part(skb) + 1;
		return 0;
	}
	*path = ST_WALK(pkt)->path;
	return 1;
}

#endif
