/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* The groups of a meter: counts by the values of header fields. */
#ifndef SOCKTALLY_PLUGIN_GROUPS_GROUPS_H
#define SOCKTALLY_PLUGIN_GROUPS_GROUPS_H

#include "plugin/count/classify.h"
#include "plugin/groups/key.h"
#include "plugin/hooks/hook.h"
#include <socktally/socktally.h>
#include <stdbool.h>

#define ST_GROUP_NAME_MAX 256

struct st_group {
	struct st_group *next; /* in the order in which they were added */
	char *name;
	struct st_group_key key;
	const char *fields[ST_GROUP_KEY_FIELDS]; /* their texts in the key */
	uint32_t rows;                           /* for reports; 0: all */
	struct st_group_sizes sizes;
	/* regions of all CPUs: in a map, or (map -1) in memory */
	int map;
	uint32_t cpus;
	size_t region_size;
	uint8_t *regions;
	struct st_hook *hook; /* in the chain; NULL in user space */
};

static inline struct st_group_region *st_group_region_of(const struct st_group *group, uint32_t cpu)
{
	return (struct st_group_region *)(group->regions + (size_t)cpu * group->region_size);
}

void st_groups_free(struct socktally *meter);

/* NULL: there is none of that name. */
struct st_group *st_group_find(const struct socktally *meter, const char *name);

/* Counts a packet of a capture file in all groups. path: with its application. */
void st_groups_count(struct socktally *meter, const struct st_batch_packet *packet,
		     struct st_path path, const struct st_skb_facts *facts);

/* Calls fn for the rows: as socktally_group_rows(). */
int st_group_rows_report(struct socktally *meter, const struct st_group *group, uint32_t most,
			 socktally_group_row_fn fn, void *ctx);

/* --- hook.c */

/* Makes the regions in a map: 0, or -errno that is noted. */
int st_group_regions_map(struct socktally *meter, struct st_group *group);
/* Puts the group into the chain: 0, or -errno that is noted. */
int st_group_hook_insert(struct socktally *meter, struct st_group *group, int32_t priority);

#endif
