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

#endif
