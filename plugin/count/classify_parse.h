/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* The kernel's parser, compiled natively: shared by classify.c and classify_batch.c. */
#ifndef SOCKTALLY_PLUGIN_COUNT_CLASSIFY_PARSE_H
#define SOCKTALLY_PLUGIN_COUNT_CLASSIFY_PARSE_H

#include "bpf/parse/packet_native.h"
#include "bpf/parse/parse.h"

/* A longer packet is parsed as if it ended here: headers end long before. */
#define ST_LONGEST (1u << 30)

/* Where the link type is a layer, that layer is on the path even if its header is cut short. */
static inline struct st_path st_path_or_link(struct st_path path, __u32 link)
{
	if (!path.lo)
		path.lo = st_find(link ^ ST_LINK_LAYER)->found.protocol;
	return path;
}

#endif
