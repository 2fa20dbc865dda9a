/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* What the files of the rule set compiler share. */
#ifndef SOCKTALLY_PLUGIN_CLASSES_RULESET_PLAN_H
#define SOCKTALLY_PLUGIN_CLASSES_RULESET_PLAN_H

#include "plugin/classes/ruleset/ruleset.h"

struct st_key {
	uint64_t words[ST_KEY_WORDS];
	uint32_t list;
};

/* A field's value in a key: in the byte order of the packet. */
uint32_t st_key_part(const struct st_field *field, uint32_t value);

/*
 * Makes a list of these numbers, and sorts them: its index in `lists`, or -errno. *length: its
 * length.
 */
int st_list_make(struct st_ruleset *ruleset, uint32_t *numbers, size_t count, uint32_t *length);

/* Places the fields of a table in its key. False: there are too many. */
bool st_table_plan(const struct st_fields *fields, struct st_table *table);

/* Adds a table with these keys, all different: its index, or -errno. */
int st_table_make(struct st_ruleset *ruleset, struct st_table *table, const struct st_key *keys,
		  size_t count);

/*
 * Where many different ranges of a field occur, replaces each by the prefixes that make it up,
 * except of a filter that would become too many conjunctions.
 */
int st_conjunctions_split_ranges(struct st_fields *fields, struct st_conjunctions *conjunctions,
				 size_t filter_count);

/* Makes the ops for these conjunctions, which it changes. */
int st_plan_conjunctions(struct st_ruleset *ruleset, struct st_conjunctions *conjunctions);

#endif
