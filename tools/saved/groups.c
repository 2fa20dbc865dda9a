// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* Groups of a report: a row's name is the group's, and the values of its fields. */
#include "tools/saved/reading.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define NAME_MAX_LENGTH 1024

struct group {
	struct saved_side *side;
	char name[NAME_MAX_LENGTH / 2];
	/* of the row that is being read */
	char row[NAME_MAX_LENGTH];
	size_t used, values;
	struct socktally_counts counts;
};

/* "by-name", then ": " or ", " before each value. */
static bool add_text(struct saved_json *json, struct group *group, const char *text)
{
	int length = snprintf(group->row + group->used, sizeof(group->row) - group->used, "%s%s",
			      group->values++ ? ", " : ": ", text);

	if (length < 0 || (size_t)length >= sizeof(group->row) - group->used)
		return saved_json_fail(json, "has a name that is too long");
	group->used += (size_t)length;
	return true;
}

static bool key_element(struct saved_json *json, void *ctx)
{
	char text[32];
	uint64_t number;

	if (saved_json_next(json) == '"')
		return saved_json_string(json) && add_text(json, ctx, json->text);
	if (!saved_json_number(json, &number))
		return false;
	snprintf(text, sizeof(text), "%llu", (unsigned long long)number);
	return add_text(json, ctx, text);
}

static bool row_member(struct saved_json *json, const char *name, void *ctx)
{
	struct group *group = ctx;

	if (!strcmp(name, "key"))
		return saved_json_array(json, key_element, group);
	return saved_take_counter(json, name, &group->counts);
}

/* A row, or with a title `other` or `none`, which have no key. */
static bool take_row(struct saved_json *json, struct group *group, const char *title)
{
	group->counts = (struct socktally_counts){0};
	group->values = 0;
	group->used = (size_t)snprintf(group->row, sizeof(group->row), "%s", group->name);
	if (title && !add_text(json, group, title))
		return false;
	return saved_json_object(json, row_member, group) &&
	       saved_failed(json,
			    saved_table_add(&group->side->groups, group->row, &group->counts));
}

static bool row_element(struct saved_json *json, void *ctx)
{
	return take_row(json, ctx, NULL);
}

static bool group_member(struct saved_json *json, const char *name, void *ctx)
{
	struct group *group = ctx;

	if (!strcmp(name, "name"))
		return saved_take_name(json, group->name, sizeof(group->name));
	if (!strcmp(name, "rows"))
		return saved_json_array(json, row_element, group);
	if (!strcmp(name, "other"))
		return take_row(json, group, "(other)");
	if (!strcmp(name, "none"))
		return take_row(json, group, "(none)");
	return saved_json_skip(json);
}

bool saved_group(struct saved_json *json, struct saved_side *side)
{
	struct group group = {.side = side};

	return saved_json_object(json, group_member, &group);
}
