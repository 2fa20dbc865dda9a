// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * The parser for many packets at once. When packets are parsed one by one, the jump to each layer's
 * parser is mispredicted where packets differ, and that costs more than the parser itself. Here the
 * packets wait in a queue for each parser, and a parser handles its whole queue in one loop.
 */
#include "plugin/count/classify.h"
#include "plugin/count/classify_parse.h"

/* The queue of packets that are done: no parser's. */
#define ENDED 63

enum {
#define ST_PARSER(PARSER) +1
	PARSERS = 0
#include "bpf/parse/parsers.def"
#undef ST_PARSER
};
_Static_assert(PARSERS <= ENDED, "a bit of `waiting` for each parser");
_Static_assert(ST_BEHIND >= ST_WINDOW, "a layer's function may look past a packet's end");
/* With that many layers the path has room for the last step, too, and need not be asked. */
_Static_assert(1 + ST_MAX_STEPS <= ST_MAX_LAYERS, "steps are what ends a walk");

/*
 * The walks of all packets, as one array for each member: each is loaded by itself, so no load
 * waits for a wider store before it.
 */
struct batch {
	struct st_path *paths;
	const struct st_ports *ports;
	struct st_flow_place *places; /* its `network` and `transport` */
	const struct st_batch_packet *packets;
	const __u8 *header[ST_BATCH]; /* of the layer to come */
	__u32 left[ST_BATCH];         /* bytes from there */
	__u32 next[ST_BATCH];         /* as in struct st_walk */
	__u32 steps[ST_BATCH];        /* that it has taken */
	__u64 waiting;                /* bits: the queues in which there is somebody */
	__u32 counts[ENDED + 1];
	__u16 queues[ENDED + 1][ST_BATCH];
};

/* Puts packet i into the queue of its next layer's parser. walk: offsets from batch->header[i]. */
static __always_inline void enqueue(struct batch *batch, __u32 i, const struct st_walk *walk)
{
	const struct st_entry *entry = st_find(walk->next);
	__u32 parser = entry->code == walk->next ? entry->found.parser : ENDED;

	batch->paths[i].hi = walk->path.hi;
	batch->paths[i].lo = walk->path.lo;
	batch->header[i] += walk->off;
	batch->left[i] = walk->end - walk->off;
	batch->next[i] = walk->next;
	batch->queues[parser][batch->counts[parser]++] = (__u16)i;
	batch->waiting |= 1ull << parser;
}

/*
 * Members that are the same in all entries of a parser become constants of its loop: most parsers
 * have one protocol.
 */
static __always_inline struct st_found found_of_parser(enum st_parser parser, struct st_found found)
{
	struct st_found any = {0}, all = {.protocol = 255, .shift = 255, .fixed = 255};

#define ADD(PARSER, PROTOCOL, SHIFT, FIXED)                                                        \
	if (parser == ST_PARSER_##PARSER) {                                                        \
		any.protocol |= (PROTOCOL), all.protocol &= (PROTOCOL);                            \
		any.shift |= (SHIFT), all.shift &= (SHIFT);                                        \
		any.fixed |= (FIXED), all.fixed &= (FIXED);                                        \
	}
#define ST_CODE(CODE, PARSER, PROTOCOL, FIXED) ADD(PARSER, ST_##PROTOCOL, 8, FIXED)
#define ST_PART(CODE, PARSER, FIXED) ADD(PARSER, 0, 0, FIXED)
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

/* What a flow is told by, at the layer's header. */
static __always_inline void note_place(struct batch *batch, __u32 i, enum st_parser parser,
				       const struct st_walk *walk)
{
	const __u32 off = (__u32)(batch->header[i] - batch->packets[i].data);

	switch (parser) {
	case ST_PARSER_IP:
	case ST_PARSER_IPV6:
		batch->places[i].network = off;
		break;
	case ST_PARSER_UDP:
	case ST_PARSER_UDPLITE:
		batch->places[i].transport = off;
		break;
	case ST_PARSER_VLAN:
	case ST_PARSER_IEEE8021AD:
		batch->places[i].tags = batch->places[i].tags << 12 | walk->tags;
		break;
	default:
		break;
	}
}

static __always_inline void take_steps(struct batch *batch, enum st_parser parser)
{
	const __u32 count = batch->counts[parser];

	/* A packet that needs this parser again is queued in a place that has been read already. */
	batch->counts[parser] = 0;
	for (__u32 at = 0; at < count; at++) {
		const __u32 i = batch->queues[parser][at];
		struct st_found found = found_of_parser(parser, st_find(batch->next[i])->found);
		struct st_walk walk = {
			.path = {.hi = batch->paths[i].hi, .lo = batch->paths[i].lo},
			.end = batch->left[i],
		};
		struct st_step step;

		if (batch->steps[i]++ == ST_MAX_STEPS)
			continue;
		st_step_init(&step, found.fixed);
		st_layer(&walk, &step, batch->header[i], parser, batch->ports);
		note_place(batch, i, parser, &walk);
		if (!st_advance(&walk, &step, found.fixed, found.protocol, found.shift))
			walk.next = ST_STOP;
		enqueue(batch, i, &walk);
	}
}

/* A function for each parser, so that its constants and state stay in registers. */
#define ST_PARSER(PARSER)                                                                          \
	static __attribute__((noinline)) void take_steps_##PARSER(struct batch *batch)             \
	{                                                                                          \
		take_steps(batch, ST_PARSER_##PARSER);                                             \
	}
#include "bpf/parse/parsers.def"
#undef ST_PARSER

static void (*const take_steps_of[PARSERS])(struct batch *batch) = {
#define ST_PARSER(PARSER) take_steps_##PARSER,
#include "bpf/parse/parsers.def"
#undef ST_PARSER
};

/*
 * st_common() is tried first while it mostly succeeds: then its branch is predicted well. After
 * this many failures in a batch it is no longer tried.
 */
#define UNCOMMON_MOST 16

/* Of a packet in a header that a file has around it. */
static __attribute__((noinline)) void start_inside(struct batch *batch, __u32 i,
						   struct st_walk *walk, __u32 link)
{
	const struct st_packet without_tag = {.ports = batch->ports};

	link = st_envelope_open(walk, link, batch->header[i]);
	if (link)
		st_link(walk, &without_tag, batch->header[i] + walk->off, link);
	else
		walk->off = 0;
	batch->steps[i] = ST_ENVELOPE_LAYERS;
}

/* What the walk would note of a packet with this path. */
static __always_inline void place_common(struct st_flow_place *place, const __u8 *data,
					 __u32 common, __u32 len)
{
	struct st_walk walk;

	st_common_walk(&walk, data, common, len);
	*place = (struct st_flow_place){
		.network = walk.network,
		.transport = walk.transport,
		.off = walk.off,
		.end = walk.end,
	};
}

static __always_inline void start(struct batch *batch, __u32 link,
				  const struct st_batch_packet *packets, size_t count)
{
	const struct st_packet without_tag = {.ports = batch->ports};
	__u32 uncommon = link == ST_LINK_ETH ? 0 : UNCOMMON_MOST;

	for (__u32 i = 0; i < count; i++) {
		__u32 len = packets[i].caplen < ST_LONGEST ? packets[i].caplen : ST_LONGEST;
		struct st_walk walk = {.len = len, .end = len};

		if (uncommon < UNCOMMON_MOST) {
			batch->paths[i] = (struct st_path){
				.lo = st_common(&without_tag, packets[i].data, len, len)};
			if (batch->paths[i].lo) {
				batch->header[i] = NULL;
				place_common(&batch->places[i], packets[i].data,
					     (__u32)batch->paths[i].lo, len);
				continue;
			}
			uncommon++;
		}
		batch->places[i].tags = 0;
		batch->header[i] = packets[i].data;
		batch->steps[i] = 0;
		if (link & ST_LINK_ENVELOPE)
			start_inside(batch, i, &walk, link);
		else
			st_link(&walk, &without_tag, packets[i].data, link);
		enqueue(batch, i, &walk);
	}
}

/* Where the walks have ended. */
static void note_ends(const struct batch *batch, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct st_flow_place *place = &batch->places[i];

		if (!batch->header[i])
			continue;
		place->off = (__u32)(batch->header[i] - batch->packets[i].data);
		place->end = place->off + batch->left[i];
	}
}

/* Packets that were common are in no queue. */
static void name_unread(struct batch *batch)
{
	for (__u32 at = 0; at < batch->counts[ENDED]; at++) {
		const __u32 i = batch->queues[ENDED][at];
		struct st_walk walk = {
			.path = {.hi = batch->paths[i].hi, .lo = batch->paths[i].lo},
			.next = batch->next[i],
		};

		if (walk.next == ST_STOP)
			continue;
		st_name_unread(&walk);
		batch->paths[i].hi = walk.path.hi;
		batch->paths[i].lo = walk.path.lo;
	}
}

void st_classify_batch(const struct st_ports *ports, __u32 link,
		       const struct st_batch_packet *packets, size_t count, struct st_path *paths,
		       struct st_flow_place *places)
{
	struct st_flow_place unused[ST_BATCH];
	struct batch batch;
	__u64 waiting;

	batch.paths = paths;
	batch.ports = ports && ports->count ? ports : NULL;
	batch.places = places ? places : unused;
	batch.packets = packets;
	batch.waiting = 0;
	for (__u32 parser = 0; parser <= ENDED; parser++)
		batch.counts[parser] = 0;
	if (link == ST_LINK_ETH)
		start(&batch, ST_LINK_ETH, packets, count);
	else
		start(&batch, link, packets, count);
	while ((waiting = batch.waiting & ~(1ull << ENDED))) {
		/* Parsers of outer layers first, LAST at the end: this makes the queues long. */
		__u32 parser =
			waiting & ~1ull ? (__u32)__builtin_ctzll(waiting & ~1ull) : ST_PARSER_LAST;

		batch.waiting = waiting & ~(1ull << parser);
		take_steps_of[parser](&batch);
	}
	if (places)
		note_ends(&batch, count);
	name_unread(&batch);
	for (__u32 i = 0; st_link_code(link) && i < count; i++)
		if (!paths[i].lo)
			paths[i].lo = st_find(st_link_code(link))->found.protocol;
}
