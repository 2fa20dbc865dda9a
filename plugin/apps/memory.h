/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* The flow memory (bpf/apps/flow.h) of packets that are counted without a kernel. */
#ifndef SOCKTALLY_PLUGIN_APPS_MEMORY_H
#define SOCKTALLY_PLUGIN_APPS_MEMORY_H

#include "bpf/apps/word.h"
#include "plugin/count/classify.h"

struct st_flow_memory;

/* A growing one takes 24 bytes a flow and more, at most 4,194,304 flows: 96 MiB. */
#define ST_FLOW_GROWN (1 << 22)

/* flows: as many as there is room for, a power of two; 0: it grows. key: 0: random. NULL: no memory. */
struct st_flow_memory *st_flow_memory_open(uint32_t flows, uint64_t key);
void st_flow_memory_close(struct st_flow_memory *memory);

/*
 * Adds to the path of each packet, up to ST_BATCH, the application that its flow was recognised as, if it
 * was. The packets come in the order of their arrival, with paths and places from st_classify_batch().
 */
void st_flow_recognise(struct st_flow_memory *memory, const struct st_batch_packet *packets,
		       const struct st_flow_place *places, size_t count, struct st_path *paths);

#endif
