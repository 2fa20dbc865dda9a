/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* One step of the walk: what a layer's function finds out, and what is done with it. */
#ifndef SOCKTALLY_BPF_PARSE_WALK_H
#define SOCKTALLY_BPF_PARSE_WALK_H

#include "bpf/parse/dispatch.h"
#include "bpf/parse/packet.h"

/* More than any packet's length, and less than the largest number. */
#define ST_NO_LIMIT 0x7fffffff
/* As bytes that are missing: it's not this layer after all. */
#define ST_NOT_THIS 0x7fffffff

/*
 * What a layer's function says. It may look at ST_WINDOW bytes, also where the packet is shorter:
 * what it makes of bytes past the end does not matter, as header then reaches past the end too.
 */
struct st_step {
	__u32 missing; /* 0, or ST_NOT_THIS */
	__u32 header;  /* whole length of the header */
	__u32 more;    /* bytes that have to follow it for next to be looked at */
	__u32 limit;   /* length of header and contents, as the header says */
	__u32 next;    /* code of what is inside; ST_STOP: nothing that the path shows */
};

/*
 * Called with each layer that is put on a path, while walk->off is where its header is: for a build
 * that wants to know.
 */
#ifndef ST_ON_LAYER
#define ST_ON_LAYER(walk, protocol)
#endif

static __always_inline _Bool st_path_has_room(const struct st_walk *walk)
{
	return !(walk->path.hi >> (8 * (ST_MAX_LAYERS - 9)));
}

/*
 * shift: 8, or 0 to put nothing on the path. Not a branch, as there the verifier would go on with two
 * states instead of one.
 */
static __always_inline void st_path_push(struct st_walk *walk, __u32 protocol, __u32 shift)
{
	walk->path.hi = walk->path.hi << shift | walk->path.lo >> 1 >> (63 - shift);
	walk->path.lo = walk->path.lo << shift | protocol;
	ST_ON_LAYER(walk, protocol);
}

/* A step over a header of fixed length. */
static __always_inline void st_step_init(struct st_step *step, __u32 fixed)
{
	step->missing = 0;
	step->header = fixed;
	step->more = 0;
	step->limit = ST_NO_LIMIT;
	step->next = ST_STOP;
}

/*
 * Takes the step. fixed: the length of the header's fixed part. False: it is cut short, and the path
 * ends with the layer around it.
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
