/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* The making of a decision: its parts among themselves. */
#ifndef SOCKTALLY_PLUGIN_CLASSES_RULESET_PLAN_H
#define SOCKTALLY_PLUGIN_CLASSES_RULESET_PLAN_H

#include "plugin/classes/ruleset/ruleset.h"

struct st_key {
	uint64_t words[ST_KEY_WORDS];
	uint32_t list;
};

/* A field's value as its bytes lie in the packet, the way a key has it. */
uint32_t st_key_part(const struct st_field *field, uint32_t value);

/* A list of these numbers (which it sorts): its index, and how long it is; -errno. */
int st_list_make(struct st_ruleset *decision, uint32_t *numbers, size_t count, uint32_t *length);

/* Gives the fields of a table their places in the key. False: there are too many. */
bool st_table_plan(const struct st_fields *fields, struct st_table *table);

/* Adds a planned table with these keys, all different: its index, or -errno. */
int st_table_make(struct st_ruleset *decision, struct st_table *table, const struct st_key *keys,
		  size_t count);

/* In ways whose ranges differ much, replaces these by the prefixes that they are made of. */
int st_conjunctions_split_ranges(struct st_fields *fields, struct st_conjunctions *ways);

/* Makes the ops for these ways (which it changes). */
int st_plan_conjunctions(struct st_ruleset *decision, struct st_conjunctions *ways);

#endif
