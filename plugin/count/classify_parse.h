/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* The kernel's parser, compiled natively: what its two uses, of one packet and of many, share. */
#ifndef SOCKTALLY_PLUGIN_COUNT_CLASSIFY_PARSE_H
#define SOCKTALLY_PLUGIN_COUNT_CLASSIFY_PARSE_H

#include "bpf/parse/packet_native.h"
#include "bpf/parse/parse.h"

/* Headers end long before this; what is longer counts as if it ended there. */
#define ST_LONGEST (1u << 30)

/* A link type that is a layer itself has its name in any case, as the others do. */
static inline struct st_path st_path_or_link(struct st_path path, __u32 link)
{
	if (!path.lo)
		path.lo = st_find(link ^ ST_LINK_LAYER)->found.protocol;
	return path;
}

#endif
