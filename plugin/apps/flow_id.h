/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Whose flow a packet is, in full. */
#ifndef SOCKTALLY_PLUGIN_APPS_FLOW_ID_H
#define SOCKTALLY_PLUGIN_APPS_FLOW_ID_H

#include "plugin/count/classify.h"
#include <stdbool.h>

struct st_flow_end {
	uint8_t address[16]; /* of IPv4 the first four bytes, then zeros */
	uint16_t port;
};

struct st_flow_id {
	struct st_flow_end from, to;
	uint16_t version;    /* 4 or 6 */
	uint8_t transport;   /* SOCKTALLY_TCP, ... */
	uint8_t application; /* the layer behind it: SOCKTALLY_TLS, ...; 0: there is none */
	uint32_t tags;       /* VLANs, 12 bits each, the innermost lowest */
};
_Static_assert(sizeof(struct st_flow_id) == 44, "no padding");

/*
 * By what st_recognise() has found: the innermost addresses and ports, and the layer behind them. False: the
 * packet has no ports.
 */
bool st_flow_id(const struct st_batch_packet *packet, const struct st_flow_place *place,
		struct st_path path, struct st_flow_id *id);

#endif
