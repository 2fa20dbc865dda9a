/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The state of the walk through a packet's layers: the path so far, and what comes next. Scalars
 * only, so that the verifier forgets the differences between packets wherever two ways meet.
 */
#ifndef SOCKTALLY_BPF_WALK_H
#define SOCKTALLY_BPF_WALK_H

#include "packet.h"

enum st_protocol {
#define SOCKTALLY_PROTOCOL(NUMBER, SYMBOL, NAME, LAYER, RECOGNISED, SOURCE) ST_##SYMBOL = NUMBER,
#include "../include/socktally/protocols.def"
#undef SOCKTALLY_PROTOCOL
};

struct st_walk {
	struct st_path path;
	__u32 off;  /* where the layer to come starts */
	__u32 end;  /* where the bytes end that the layers around it leave to it */
	__u32 next; /* which one it is: a number in one of the spaces below; 0: none */
};

/* The number spaces in which a layer names the one inside it. */
#define ST_STOP 0
#define ST_ETHERTYPE(type) (0x10000 | (type))
#define ST_IPPROTO(number) (0x20000 | (number))
#define ST_GRETYPE(type) (0x30000 | (type))
#define ST_PPPTYPE(type) (0x40000 | (type))
#define ST_SAP(sap) (0x50000 | (sap))
/* A protocol itself, where nothing but one protocol can follow, or a further part of a layer. */
#define ST_DIRECT(protocol) (0x60000 | (protocol))
#define ST_MORE(protocol) (0x70000 | (protocol))

/*
 * Called with each layer that is put on a path, for a build that wants to know where they are. The
 * protocol and the offset of its header in the packet.
 */
#ifndef ST_ON_LAYER
#define ST_ON_LAYER(protocol, offset)
#endif

/* Whether the path has room for another layer. */
static __always_inline _Bool st_path_has_room(const struct st_walk *walk)
{
	return !(walk->path.hi >> (8 * (ST_MAX_LAYERS - 9)));
}

static __always_inline void st_path_push(struct st_walk *walk, __u32 protocol)
{
	walk->path.hi = walk->path.hi << 8 | walk->path.lo >> 56;
	walk->path.lo = walk->path.lo << 8 | protocol;
	ST_ON_LAYER(protocol, walk->off);
}

static __always_inline __u32 st_left(const struct st_walk *walk)
{
	return walk->end - walk->off;
}

/*
 * A layer begins: its name goes on the path, and the walk ends with it unless its function goes on
 * with st_leave(). False: its fixed header of so many bytes is cut short.
 */
static __always_inline _Bool st_enter(struct st_walk *walk, __u32 protocol, __u32 header)
{
	walk->next = ST_STOP;
#ifdef ST_WHOLE
	if (st_left(walk) < header) return 0;
#endif
	st_path_push(walk, protocol);
	return st_left(walk) >= header;
}

/* The layer's header is this long, and next comes after it: nothing, if that is past the end. */
static __always_inline void st_leave(struct st_walk *walk, __u32 header, __u32 next)
{
	if (st_left(walk) < header)
		return;
	walk->off += header;
	walk->next = next;
}

/* The same where nothing follows if there are no bytes left. */
static __always_inline void st_leave_if_more(struct st_walk *walk, __u32 header, __u32 next)
{
	if (st_left(walk) <= header)
		return;
	walk->off += header;
	walk->next = next;
}

/* Limits what follows to the next so many bytes: the length that a header gives. */
static __always_inline void st_limit(struct st_walk *walk, __u32 length)
{
	if (length < st_left(walk))
		walk->end = walk->off + length;
}

#endif
