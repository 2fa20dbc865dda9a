/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Link types of files that put a header of the capturing system around a packet of another link. No
 * socket has them, so the kernel's parser does without.
 */
#ifndef SOCKTALLY_PLUGIN_COUNT_ENVELOPE_H
#define SOCKTALLY_PLUGIN_COUNT_ENVELOPE_H

#include "bpf/table.h"

/* Layers that an envelope adds to a path, at most. */
#define ST_ENVELOPE_LAYERS 2

struct st_envelope {
	__u8 layers[ST_ENVELOPE_LAYERS]; /* its own, by protocols.def; 0: none */
	__u32 header;                    /* its length: there the packet starts */
	__u32 end;                       /* where the packet ends, at most at len */
	__u32 link; /* of the packet: enum st_link; 0: not told, or cut short */
};

/* linktype: one for which st_link_of_linktype() has ST_LINK_ENVELOPE. Reads no byte past len. */
struct st_envelope st_envelope_read(__u32 linktype, const __u8 *data, __u32 len);

#endif
