// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * The parser for many packets at once. One by one, each layer is a jump to its function that the
 * processor guesses wrong where packets differ, and that costs more than what the function does. Here
 * packets whose next layer is of the same kind wait together, and take that step one after another.
 */
#include "plugin/count/classify.h"
#include "plugin/count/classify_parse.h"

/* Where packets go that have come to their end: not a kind. */
#define ENDED 31

enum {
#define ST_KIND(KIND) +1
	KINDS = 0
#include "bpf/parse/parsers.def"
#undef ST_KIND
};
_Static_assert(KINDS <= ENDED, "a bit for each kind");
_Static_assert(ST_BEHIND >= ST_WINDOW, "a layer's function may look past a packet's end");
/* With that many layers the path has room for the last step, too, and need not be asked. */
_Static_assert(1 + ST_MAX_STEPS <= ST_MAX_LAYERS, "steps are what ends a walk");

/* One array for each part of a packet's walk: stored and loaded by the part, which costs no wait. */
struct batch {
	struct st_path *paths;
	const __u8 *header[ST_BATCH]; /* of the layer to come */
	__u32 left[ST_BATCH];         /* bytes from there */
	__u32 next[ST_BATCH];         /* as in struct st_walk */
	__u32 steps[ST_BATCH];        /* that it has taken */
	__u32 waiting;                /* bits: the queues in which there is somebody */
	__u32 counts[ENDED + 1];
	__u16 queues[ENDED + 1][ST_BATCH];
};

/* walk: from the packet's header on. */
static __always_inline void enqueue(struct batch *batch, __u32 i, const struct st_walk *walk)
{
	const struct st_entry *entry = st_find(walk->next);
	__u32 kind = entry->code == walk->next ? entry->found.kind : ENDED;

	batch->paths[i].hi = walk->path.hi;
	batch->paths[i].lo = walk->path.lo;
	batch->header[i] += walk->off;
	batch->left[i] = walk->end - walk->off;
	batch->next[i] = walk->next;
	batch->queues[kind][batch->counts[kind]++] = (__u16)i;
	batch->waiting |= 1u << kind;
}

/* What all layers of a kind have in common is a constant: a kind mostly is one protocol. */
static __always_inline struct st_found found_of_kind(enum st_kind kind, struct st_found found)
{
	struct st_found any = {0}, all = {.protocol = 255, .shift = 255, .fixed = 255};

#define ADD(KIND, PROTOCOL, SHIFT, FIXED)                                                          \
	if (kind == ST_KIND_##KIND) {                                                              \
		any.protocol |= (PROTOCOL), all.protocol &= (PROTOCOL);                            \
		any.shift |= (SHIFT), all.shift &= (SHIFT);                                        \
		any.fixed |= (FIXED), all.fixed &= (FIXED);                                        \
	}
#define ST_CODE(CODE, KIND, PROTOCOL, FIXED) ADD(KIND, ST_##PROTOCOL, 8, FIXED)
#define ST_PART(CODE, KIND, FIXED) ADD(KIND, 0, 0, FIXED)
#include "bpf/parse/dispatch.def"
#undef ST_CODE
#undef ST_PART
#undef ADD
	if (any.protocol == all.protocol)
		found.protocol = any.protocol;
	if (any.shift == all.shift)
		found.shift = any.shift;
	if (any.fixed == all.fixed)
		found.fixed = any.fixed;
	return found;
}

static __always_inline void take_steps(struct batch *batch, enum st_kind kind)
{
	const __u32 count = batch->counts[kind];

	/* Who comes back to this queue goes where somebody has been taken from it. */
	batch->counts[kind] = 0;
	for (__u32 at = 0; at < count; at++) {
		const __u32 i = batch->queues[kind][at];
		struct st_found found = found_of_kind(kind, st_find(batch->next[i])->found);
		struct st_walk walk = {
			.path = {.hi = batch->paths[i].hi, .lo = batch->paths[i].lo},
			.end = batch->left[i],
		};
		struct st_step step;

		if (batch->steps[i]++ == ST_MAX_STEPS)
			continue;
		st_step_init(&step, found.fixed);
		st_layer(&step, batch->header[i], kind);
		if (!st_advance(&walk, &step, found.fixed, found.protocol, found.shift))
			walk.next = ST_STOP;
		enqueue(batch, i, &walk);
	}
}

/* A function for each kind, so that what it is made of stays in registers. */
#define ST_KIND(KIND)                                                                              \
	static __attribute__((noinline)) void take_steps_##KIND(struct batch *batch)               \
	{                                                                                          \
		take_steps(batch, ST_KIND_##KIND);                                                 \
	}
#include "bpf/parse/parsers.def"
#undef ST_KIND

static void (*const take_steps_of[KINDS])(struct batch *batch) = {
#define ST_KIND(KIND) take_steps_##KIND,
#include "bpf/parse/parsers.def"
#undef ST_KIND
};

/*
 * Where nearly all packets need no walk, asking that first is a branch that is guessed well, and else
 * one that is not: after so many in a batch that did need one, they are not asked any more.
 */
#define UNCOMMON_MOST 16

static __always_inline void start(struct batch *batch, __u32 link,
				  const struct st_batch_packet *packets, size_t count)
{
	const struct st_packet without_tag = {0};
	__u32 uncommon = link == ST_LINK_ETH ? 0 : UNCOMMON_MOST;

	for (__u32 i = 0; i < count; i++) {
		__u32 len = packets[i].caplen < ST_LONGEST ? packets[i].caplen : ST_LONGEST;
		struct st_walk walk = {.len = len, .end = len};

		if (uncommon < UNCOMMON_MOST) {
			batch->paths[i] = (struct st_path){
				.lo = st_common(&without_tag, packets[i].data, len)};
			if (batch->paths[i].lo)
				continue;
			uncommon++;
		}
		batch->header[i] = packets[i].data;
		batch->steps[i] = 0;
		st_link(&walk, &without_tag, packets[i].data, link);
		enqueue(batch, i, &walk);
	}
}

void st_classify_batch(__u32 link, const struct st_batch_packet *packets, size_t count,
		       struct st_path *paths)
{
	struct batch batch;
	__u32 waiting;

	batch.paths = paths;
	batch.waiting = 0;
	for (__u32 kind = 0; kind <= ENDED; kind++)
		batch.counts[kind] = 0;
	if (link == ST_LINK_ETH)
		start(&batch, ST_LINK_ETH, packets, count);
	else
		start(&batch, link, packets, count);
	while ((waiting = batch.waiting & ~(1u << ENDED))) {
		/* Outer layers first, and last those with nothing inside: the more there are together. */
		__u32 kind = waiting & ~1u ? (__u32)__builtin_ctz(waiting & ~1u) : ST_KIND_LAST;

		batch.waiting = waiting & ~(1u << kind);
		take_steps_of[kind](&batch);
	}
	for (__u32 i = 0; link & ST_LINK_LAYER && i < count; i++)
		paths[i] = st_path_or_link(paths[i], link);
}
