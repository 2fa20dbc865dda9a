/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Counting without a kernel. */
#ifndef SOCKTALLY_PLUGIN_COUNT_PACKETS_H
#define SOCKTALLY_PLUGIN_COUNT_PACKETS_H

#include "plugin/count/classify.h"
#include <socktally/socktally.h>

/*
 * socktally_count() for up to ST_BATCH packets, all incoming, and twice as fast where they differ.
 * The meter is one of SOCKTALLY_OPEN_USERSPACE.
 */
int st_count_batch(struct socktally *meter, const struct st_batch_packet *packets, size_t count);

/*
 * What st_count_batch() would count them as. places: NULL, or where each packet's flow is told. The packets
 * have come after all that were counted before.
 */
void st_recognise(struct socktally *meter, const struct st_batch_packet *packets, size_t count,
		  struct st_path *paths, struct st_flow_place *places);

#endif
