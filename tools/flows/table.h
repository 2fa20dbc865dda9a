/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
#ifndef SOCKTALLY_TOOLS_FLOWS_TABLE_H
#define SOCKTALLY_TOOLS_FLOWS_TABLE_H

#include "plugin/apps/flow_id.h"
#include "tools/flows/flows.h"

struct flows_count {
	uint64_t packets, bytes; /* of both directions */
};

struct flow {
	struct st_flow_id id; /* `from` is the end that has sent the first packet */
	uint32_t hash;
	bool timed; /* start and end are set */
	struct flows_count count;
	struct timespec start, end;
};

struct flows {
	struct flow *flow; /* in the order of their first packets */
	uint32_t count, room;
	uint32_t *index; /* number of a flow + 1, or 0, at its hash or behind it */
	uint32_t mask;
	struct flows_count other; /* packets without ports */
	struct flows_count late;  /* of flows that came when there was no room any more */
};

#endif
