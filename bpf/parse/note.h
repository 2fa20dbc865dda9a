/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Notes which layers a packet has and where they start, while the parser walks through it. */
#ifndef SOCKTALLY_BPF_PARSE_NOTE_H
#define SOCKTALLY_BPF_PARSE_NOTE_H

#include "bpf/parse/packet.h"

/* A part of a layer, protocol 0, is no layer; said without a branch, as st_path_push() tells. */
static __always_inline void st_note_layer(struct socktally_packet *packet, __u32 off,
					  __u32 protocol)
{
	__u32 at = packet->layer_count & (SOCKTALLY_PACKET_LAYERS - 1);

	packet->layers[at] = protocol;
	packet->offsets[at] = off;
	packet->layer_count += (protocol + 255) >> 8;
}

/* The layers of a path that st_common() has found without a walk. */
static __always_inline void st_note_common(struct socktally_packet *packet, struct st_path path)
{
	__u32 network = path.lo >> 8 & 0xff;

	packet->layer_count = 3;
	packet->layers[0] = ST_ETH;
	packet->layers[1] = network;
	packet->layers[2] = path.lo;
	packet->offsets[0] = 0;
	packet->offsets[1] = 14;
	packet->offsets[2] = network == ST_IP ? 14 + 20 : 14 + 40;
}

#endif
