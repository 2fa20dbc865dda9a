/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* The eBPF code that finds a packet's key. */
#ifndef SOCKTALLY_PLUGIN_GROUPS_PROGRAM_H
#define SOCKTALLY_PLUGIN_GROUPS_PROGRAM_H

#include "plugin/groups/key.h"
#include "plugin/translate/translate.h"

struct st_group_maps {
	int regions; /* of the group */
	int chain;   /* the meter's regions, which have the chain's state */
};

/*
 * Before: R1 is the context. It puts the key into the CPU's region of the group, with has_key. After: R1 is
 * the context, R2 that region, R3 the chain's, and control falls through. code->header_buffer is set.
 * Returns code->error.
 */
int st_group_program_emit(struct st_code *code, const struct st_group_key *key,
			  const struct st_group_maps *maps);

#endif
