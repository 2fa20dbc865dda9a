/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* The groups of a meter: counts by the values of header fields. */
#ifndef SOCKTALLY_PLUGIN_GROUPS_GROUPS_H
#define SOCKTALLY_PLUGIN_GROUPS_GROUPS_H

#include "plugin/count/classify.h"
#include "plugin/groups/key.h"
#include "plugin/hooks/hook.h"
#include <socktally/socktally.h>
#include <stdbool.h>

/* --- to be called from outside */

struct socktally_group_opts {
	size_t sz;          /* sizeof(struct socktally_group_opts) */
	const char *name;   /* up to 255 characters; NULL: as fields */
	const char *fields; /* "ip.dst/24,tcp.dstport", see socktally_group_fields() */
	uint32_t keys;  /* room for so many different values, on each CPU; 0: 4096; at most 65536 */
	uint32_t rows;  /* that reports show at most; 0: all */
	uint32_t flags; /* none yet: 0 */
	int32_t priority; /* of its hook; 0: SOCKTALLY_PRIORITY_LAST, where the verdict is final */
};

struct socktally_group {
	const char *name;
	const char *const *fields; /* each as it was given: "ip.dst/24" */
	uint32_t field_count;
	uint32_t keys; /* that there is room for on each CPU */
	uint32_t rows; /* as it was given */
	uint32_t reserved;
};
typedef int (*socktally_group_fn)(void *ctx, const struct socktally_group *group);

enum socktally_group_kind {
	SOCKTALLY_GROUP_ROW = 0,
	SOCKTALLY_GROUP_OTHER =
		1, /* what the table could not hold, and rows that were not asked for */
	SOCKTALLY_GROUP_NONE = 2, /* packets that lack one of the fields */
};

struct socktally_group_row {
	uint32_t kind;                     /* enum socktally_group_kind */
	uint32_t direction;                /* enum socktally_direction */
	const struct socktally_field *key; /* the value of each field; NULL for other and none */
	uint32_t key_count;
	uint32_t reserved;
	struct socktally_counts counts;
	uint64_t missing_bytes; /* of this key that may be counted in `other`, at most */
};
typedef int (*socktally_group_row_fn)(void *ctx, const struct socktally_group_row *row);

typedef int (*socktally_group_field_fn)(void *ctx, const char *name, const char *help);

int socktally_group_add(struct socktally *meter, const struct socktally_group_opts *opts);
int socktally_group_remove(struct socktally *meter, const char *name, socktally_group_row_fn last,
			   void *ctx);
int socktally_groups(struct socktally *meter, socktally_group_fn fn, void *ctx);
/* most: rows at most, those with most bytes; 0: as many as the group's options say */
int socktally_group_rows(struct socktally *meter, const char *name, uint32_t most,
			 socktally_group_row_fn fn, void *ctx);
int socktally_group_fields(socktally_group_field_fn fn, void *ctx);

/* --- the rest is for this folder and the meter */

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
