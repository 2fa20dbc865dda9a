/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The parser in the kernel takes ST_PART_STEPS steps in one run. A packet with more layers goes on
 * in another run of the same program, by a tail call to a fixed place, which the JIT makes a jump.
 * Why: the verifier follows every step of the loop, and a program with all steps takes it twice as
 * long.
 */
#ifndef SOCKTALLY_BPF_PARSE_PART_H
#define SOCKTALLY_BPF_PARSE_PART_H

#include "bpf/parse/parse.h"

#define ST_PART_STEPS 4
#define ST_PARTS (ST_MAX_STEPS / ST_PART_STEPS)

_Static_assert(ST_PARTS *ST_PART_STEPS == ST_MAX_STEPS, "parts have all steps");

/*
 * The number of this run. Loaded each time, never kept in a register: the verifier would keep a
 * separate state for each value that it knows.
 */
static __always_inline __u32 st_part(const struct __sk_buff *skb)
{
	return ST_CB_READ(skb, ST_CB_PART);
}

/* False: the walk goes on in the next run. */
static __always_inline _Bool st_parse_part(struct st_packet *pkt, struct st_path *path)
{
	struct __sk_buff *skb = pkt->skb;
	__u32 common;

	if (!st_part(skb)) {
		common = st_parse_start(pkt, ST_CB_READ(skb, ST_CB_LINK));
		/*
		 * st_common() returns one of a few constants. The verifier would follow the
		 * rest of the program once for each: the XOR with a 0 that it doesn't know makes
		 * the value unknown.
		 */
		*path = (struct st_path){.lo = common ^ pkt->zero};
		if (st_direct()) /* the packet's start is not in the buffer: see classes/program.c */
			ST_WALK(pkt)->base = 1;
		if (common)
			return 1;
	}
	if (st_parse_steps(pkt, ST_PART_STEPS) && st_part(skb) < ST_PARTS - 1) {
		ST_CB_WRITE(skb, ST_CB_PART, st_part(skb) + 1);
		return 0;
	}
	st_name_unread(ST_WALK(pkt));
	st_name_link(ST_WALK(pkt), ST_CB_READ(skb, ST_CB_LINK));
	ST_FORGET();
	*path = ST_WALK(pkt)->path;
	return 1;
}

#endif
