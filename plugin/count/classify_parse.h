/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* The kernel's parser, compiled natively: shared by classify.c and classify_batch.c. */
#ifndef SOCKTALLY_PLUGIN_COUNT_CLASSIFY_PARSE_H
#define SOCKTALLY_PLUGIN_COUNT_CLASSIFY_PARSE_H

#include "bpf/parse/packet_native.h"
#include "bpf/parse/parse.h"
#include "plugin/count/envelope.h"

/* A longer packet is parsed as if it ended here: headers end long before. */
#define ST_LONGEST (1u << 30)

/*
 * Starts the walk of a packet in a header that a file has around it, see envelope.h. walk->len is set.
 * Returns the link of what is inside, at walk->off; 0: nothing.
 */
static inline __u32 st_envelope_open(struct st_walk *walk, __u32 link, const __u8 *data)
{
	const struct st_envelope envelope =
		st_envelope_read(link ^ ST_LINK_ENVELOPE, data, walk->len);

	for (__u32 i = 0; i < ST_ENVELOPE_LAYERS && envelope.layers[i]; i++)
		st_path_push(walk, envelope.layers[i], 8);
	walk->off = envelope.header;
	walk->end = envelope.end;
	return envelope.link;
}

/* st_parse() for what is inside the header that a file has around a packet. */
static inline struct st_path st_parse_inside(struct st_packet *packet, __u32 link)
{
	struct st_walk *walk = &packet->walk;
	const __u8 *h;

	*walk = (struct st_walk){.len = packet->len};
	link = st_envelope_open(walk, link, packet->data);
	if (link) {
		st_packet_at(packet, walk, &h);
		st_link(walk, packet, h, link);
		st_parse_steps(packet, ST_MAX_STEPS - ST_ENVELOPE_LAYERS);
		st_name_unread(walk);
	}
	return walk->path;
}

/* A packet of a file. */
static inline struct st_path st_parse_file(struct st_packet *packet, __u32 link)
{
	return link & ST_LINK_ENVELOPE ? st_parse_inside(packet, link) : st_parse(packet, link);
}

#endif
