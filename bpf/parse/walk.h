/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* One step of the walk: what a layer's parser returns, and how it moves the walk on. */
#ifndef SOCKTALLY_BPF_PARSE_WALK_H
#define SOCKTALLY_BPF_PARSE_WALK_H

#include "bpf/parse/dispatch.h"
#include "bpf/parse/packet.h"

/* Longer than any packet; far enough from the largest number that a sum does not wrap. */
#define ST_NO_LIMIT 0x7fffffff
/* st_step.missing: this is not that layer after all. */
#define ST_NOT_THIS 0x7fffffff

/* A build may define this. Called for each layer added to the path; its header is at walk->off. */
#ifndef ST_ON_LAYER
#define ST_ON_LAYER(walk, protocol)
#endif

static __always_inline _Bool st_path_has_room(const struct st_walk *walk)
{
	return !(walk->path.hi >> (8 * (ST_MAX_LAYERS - 9)));
}

/*
 * Adds a layer to the path. shift: 8, or 0 (with protocol 0) to add nothing. This is no branch,
 * because a branch would give the verifier two states to follow instead of one.
 */
static __always_inline void st_path_push(struct st_walk *walk, __u32 protocol, __u32 shift)
{
	walk->path.hi = walk->path.hi << shift | walk->path.lo >> 1 >> (63 - shift);
	walk->path.lo = walk->path.lo << shift | protocol;
	ST_ON_LAYER(walk, protocol);
}

/*
 * After the walk: where a layer names the next one by a number that isn't known, the number is the path's
 * last part, in three bytes: see protocols.def.
 */
static __always_inline void st_name_unread(struct st_walk *walk)
{
	const __u32 named = 1 << (ST_ETHERTYPE(0) >> 16) | 1 << (ST_GRETYPE(0) >> 16) |
			    1 << (ST_PPPTYPE(0) >> 16) | 1 << (ST_SAP(0) >> 16) |
			    1 << (ST_IPPROTO(0) >> 16);
	__u32 code = walk->next, space = code >> 16 & 31, name = ST_TYPE0 + (code >> 14 & 3);

	if (!(named >> space & 1) || st_find(code)->code == code ||
	    walk->path.hi >> (8 * (ST_MAX_LAYERS - 8 - 3)))
		return;
	if (space == ST_IPPROTO(0) >> 16)
		name = ST_NUMBER;
	st_path_push(walk, name, 8);
	st_path_push(walk, 0x80 | (code >> 7 & 0x7f), 8);
	st_path_push(walk, 0x80 | (code & 0x7f), 8);
}

/* A header of this length, and nothing after it. */
static __always_inline void st_step_init(struct st_step *step, __u32 fixed)
{
	step->missing = 0;
	step->header = fixed;
	step->more = 0;
	step->limit = ST_NO_LIMIT;
	step->next = ST_STOP;
}

/*
 * Takes the step. fixed: the length of the header's fixed part. False: that part is cut short; the
 * layer is not on the path, and the walk ends.
 */
static __always_inline _Bool st_advance(struct st_walk *walk, const struct st_step *step,
					__u32 fixed, __u32 protocol, __u32 shift)
{
	__u32 left = walk->end - walk->off;

	if (left < fixed + step->missing)
		return 0;
	st_path_push(walk, protocol, shift);
	if (step->limit < left)
		walk->end = walk->off + step->limit;
	ST_FORGET();
	left = walk->end - walk->off;
	walk->next = left < step->header + step->more ? ST_STOP : step->next;
	walk->off += step->header;
	return 1;
}

#endif
