/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* The flows of a capture file, with what each one was recognised as. */
#ifndef SOCKTALLY_TOOLS_FLOWS_FLOWS_H
#define SOCKTALLY_TOOLS_FLOWS_FLOWS_H

#include "plugin/count_packets.h"
#include <stdbool.h>
#include <stdio.h>
#include <time.h>

struct flows;

/* Flows at most, of some 130 bytes each: half a GiB. */
#define FLOWS_MOST (1u << 22)

/* NULL: no memory. */
struct flows *flows_open(void);
void flows_close(struct flows *flows);

/*
 * Counts a packet in its flow: the innermost addresses and ports, in both directions, and the VLANs. time:
 * NULL, or when it came. False: there is no memory for it.
 */
bool flows_add(struct flows *flows, const struct st_batch_packet *packet,
	       const struct st_flow_place *place, struct st_path path, const struct timespec *time);

/* Writes all flows, a line each, in the order of their first packets. */
void flows_write_text(FILE *out, const struct flows *flows);
void flows_write_json(FILE *out, const struct flows *flows);

#endif
