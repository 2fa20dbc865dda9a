/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* One step of the walk: what a layer's function finds out, and what is done with it. */
#ifndef SOCKTALLY_BPF_WALK_H
#define SOCKTALLY_BPF_WALK_H

#include "packet.h"

enum {
#define SOCKTALLY_PROTOCOL(NUMBER, SYMBOL, NAME, LAYER, RECOGNISED, SOURCE) ST_##SYMBOL = NUMBER,
#include "../include/socktally/protocols.def"
#undef SOCKTALLY_PROTOCOL
};

/* The number spaces in which a layer names the one inside it. */
#define ST_STOP 0
#define ST_ETHERTYPE(type) (0x10000 | (type))
#define ST_IPPROTO(number) (0x20000 | (number))
#define ST_GRETYPE(type) (0x30000 | (type))
#define ST_PPPTYPE(type) (0x40000 | (type))
#define ST_SAP(sap) (0x50000 | (sap))
/* A protocol itself, where nothing else can follow, and further parts of its header. */
#define ST_DIRECT(protocol) (0x60000 | (protocol))
#define ST_MORE(protocol) (0x70000 | (protocol))
#define ST_LAST(protocol) (0x80000 | (protocol))

/* More than any packet's length, less than the largest number: the verifier can't compute with it. */
#define ST_NO_LIMIT 0x7fffffff
/* As a fixed length: it's not this layer after all. */
#define ST_NOT_THIS 0x7fffffff

/*
 * What a layer's function says. It may look at ST_WINDOW bytes, also where the packet is shorter:
 * what it makes of bytes past the end does not matter, as header then reaches past the end too.
 */
struct st_step {
	__u32 protocol; /* the name that goes on the path; ignored for part */
	__u32 fixed;	/* bytes that have to be there for it: the header's fixed part */
	__u32 header;	/* whole length of the header */
	__u32 more;	/* bytes that have to follow it for next to be looked at */
	__u32 limit;	/* length of header and contents, as the header says */
	__u32 next;	/* what is inside; ST_STOP: nothing that the path shows */
	_Bool part;	/* the further part of a layer that is on the path already */
};

/*
 * Called with each layer that is put on a path and the offset of its header, for a build that wants
 * to know where the layers are.
 */
#ifndef ST_ON_LAYER
#define ST_ON_LAYER(walk, protocol)
#endif

static __always_inline _Bool st_path_has_room(const struct st_walk *walk)
{
	return !(walk->path.hi >> (8 * (ST_MAX_LAYERS - 9)));
}

static __always_inline void st_path_push(struct st_walk *walk, __u32 protocol)
{
	walk->path.hi = walk->path.hi << 8 | walk->path.lo >> 56;
	walk->path.lo = walk->path.lo << 8 | protocol;
	ST_ON_LAYER(walk, protocol);
}

/* A layer with nothing inside that the path would show. */
static __always_inline struct st_step st_last(__u32 protocol, __u32 fixed)
{
	return (struct st_step){.protocol = protocol, .fixed = fixed, .limit = ST_NO_LIMIT};
}

/* A layer of fixed length, and what is inside. */
static __always_inline struct st_step st_simple(__u32 protocol, __u32 header, __u32 next)
{
	return (struct st_step){
		.protocol = protocol,
		.fixed = header,
		.header = header,
		.limit = ST_NO_LIMIT,
		.next = next,
	};
}

static __always_inline void st_advance(struct st_walk *walk, struct st_step step)
{
	__u32 left = walk->end - walk->off;

	if (left < step.fixed) {
		walk->next = ST_STOP;
		return;
	}
	if (!step.part)
		st_path_push(walk, step.protocol);
	if (step.limit < left) {
		left = step.limit;
		walk->end = walk->off + left;
	}
	walk->next = left < step.header + step.more ? ST_STOP : step.next;
	walk->off += step.header;
}

/* The outermost layer has its name in any case: the link type says so, not the packet. */
static __always_inline void st_advance_link(struct st_walk *walk, struct st_step step)
{
	if (walk->end < step.fixed)
		st_path_push(walk, step.protocol);
	else
		st_advance(walk, step);
}

#endif
