// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
#include "tools/report/groups.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Rows in a report for people where no number is given. */
#define SHOWN_TO_PEOPLE 20

static void group_free(struct report_group *group)
{
	for (size_t i = 0; i < group->count; i++) {
		for (size_t field = 0; field < group->field_count; field++)
			free(group->row[i].key[field].text);
		free(group->row[i].key);
	}
	for (size_t field = 0; field < group->field_count; field++)
		free(group->fields[field]);
	free(group->fields);
	free(group->row);
	free(group->name);
}

void report_groups_free(struct report_groups *groups)
{
	for (size_t i = 0; i < groups->count; i++)
		group_free(&groups->group[i]);
	free(groups->group);
	*groups = (struct report_groups){0};
}

static int group_add(struct report_groups *groups, const char *name, const char *const *fields,
		     size_t field_count, size_t most)
{
	struct report_group *group =
		reallocarray(groups->group, groups->count + 1, sizeof(*groups->group));

	if (!group)
		return -ENOMEM;
	groups->group = group;
	group += groups->count++;
	*group = (struct report_group){.name = strdup(name), .most = most};
	group->fields = calloc(field_count, sizeof(*group->fields));
	if (!group->name || !group->fields)
		return -ENOMEM;
	for (size_t i = 0; i < field_count; i++) {
		group->fields[i] = strdup(fields[i]);
		if (!group->fields[i])
			return -ENOMEM;
		group->field_count++;
	}
	return 0;
}

/* A row without values, which the caller sets. NULL: no memory. */
static struct report_group_row *row_add(struct report_group *group)
{
	struct report_group_row *row;

	if (group->count == group->room) {
		size_t room = group->room ? 2 * group->room : 16;

		row = reallocarray(group->row, room, sizeof(*row));
		if (!row)
			return NULL;
		group->row = row;
		group->room = room;
	}
	row = &group->row[group->count];
	*row = (struct report_group_row){.key = calloc(group->field_count, sizeof(*row->key))};
	if (!row->key)
		return NULL;
	group->count++;
	return row;
}

/* --- from the meter */

static int take_row(void *ctx, const struct socktally_group_row *from)
{
	struct report_group *group = ctx;
	struct report_group_row *row;

	if (from->kind != SOCKTALLY_GROUP_ROW) {
		report_counts_add(from->kind == SOCKTALLY_GROUP_NONE ? &group->none : &group->other,
				  &from->counts);
		return 0;
	}
	row = row_add(group);
	if (!row)
		return -ENOMEM;
	row->direction = from->direction == SOCKTALLY_OUT ? SOCKTALLY_OUT : SOCKTALLY_IN;
	row->counts = from->counts;
	row->missing_bytes = from->missing_bytes;
	for (size_t i = 0; i < group->field_count; i++) {
		row->key[i].text = strdup(from->key[i].text);
		if (!row->key[i].text)
			return -ENOMEM;
		row->key[i].is_number = from->key[i].type == SOCKTALLY_UNSIGNED;
	}
	return 0;
}

static int take_group(void *ctx, const struct socktally_group *group)
{
	return group_add(ctx, group->name, group->fields, group->field_count, group->rows);
}

int report_groups_read(struct report_groups *groups, struct socktally *meter)
{
	int error = socktally_groups(meter, take_group, groups);

	for (size_t i = 0; i < groups->count && !error; i++)
		error = socktally_group_rows(meter, groups->group[i].name, UINT32_MAX, take_row,
					     &groups->group[i]);
	return error;
}

/* All that the group has counted. */
static struct socktally_counts group_sum(const struct report_group *group, size_t rows)
{
	struct socktally_counts sum = group->none;

	for (size_t i = 0; i < rows; i++)
		report_counts_add(&sum, &group->row[i].counts);
	return sum;
}

bool report_groups_within(const struct report_groups *groups, const struct socktally_counts *totals)
{
	for (size_t i = 0; i < groups->count; i++) {
		struct socktally_counts sum = group_sum(&groups->group[i], groups->group[i].count);

		report_counts_add(&sum, &groups->group[i].other);
		if (sum.packets > totals->packets || sum.segments > totals->segments ||
		    sum.bytes > totals->bytes)
			return false;
	}
	return true;
}

/* --- since the last report */

struct place {
	const struct report_group_row *row;
	size_t field_count;
};

static int compare_keys(const void *one, const void *other)
{
	const struct place *a = one, *b = other;

	for (size_t i = 0; i < a->field_count; i++) {
		int order = strcmp(a->row->key[i].text, b->row->key[i].text);

		if (order)
			return order;
	}
	return (int)a->row->direction - (int)b->row->direction;
}

/* The rows in the order of their keys; malloc'ed. */
static struct place *rows_sorted(const struct report_group *group)
{
	struct place *places = calloc(group->count + 1, sizeof(*places));

	for (size_t i = 0; places && i < group->count; i++)
		places[i] = (struct place){&group->row[i], group->field_count};
	if (places && group->count)
		qsort(places, group->count, sizeof(*places), compare_keys);
	return places;
}

/* Most bytes first; then in the order of their keys, so that the same counts give the same report. */
static int compare_rows(const void *one, const void *other)
{
	const struct report_group_row *a = one, *b = other;

	if (a->counts.bytes != b->counts.bytes)
		return a->counts.bytes > b->counts.bytes ? -1 : 1;
	return 0;
}

static int row_since(const struct place *now, const struct place *last, struct report_group *since)
{
	struct socktally_counts counts = now->row->counts;
	struct report_group_row *row;

	/* with fewer packets than before it was without a cell meanwhile, and began anew */
	if (last && counts.packets >= last->row->counts.packets)
		report_counts_subtract(&counts, &last->row->counts);
	if (!counts.packets)
		return 0;
	row = row_add(since);
	if (!row)
		return -ENOMEM;
	row->direction = now->row->direction;
	row->counts = counts;
	row->missing_bytes = now->row->missing_bytes;
	for (size_t i = 0; i < since->field_count; i++) {
		row->key[i] = now->row->key[i];
		row->key[i].text = strdup(now->row->key[i].text);
		if (!row->key[i].text)
			return -ENOMEM;
	}
	return 0;
}

static int group_since(const struct report_group *now, const struct report_group *last,
		       struct report_group *since)
{
	struct place *places = rows_sorted(now), *old = rows_sorted(last);
	int error = places && old ? 0 : -ENOMEM;
	size_t at = 0;

	for (size_t i = 0; i < now->count && !error; i++) {
		while (at < last->count && compare_keys(&old[at], &places[i]) < 0)
			at++;
		error = row_since(&places[i],
				  at < last->count && !compare_keys(&old[at], &places[i]) ? &old[at]
											  : NULL,
				  since);
	}
	free(places);
	free(old);
	since->none = now->none;
	report_counts_subtract(&since->none, &last->none);
	return error;
}

int report_groups_since(const struct report_groups *now, const struct report_groups *last,
			struct report_groups *since)
{
	static const struct report_group nothing;
	int error = 0;

	for (size_t i = 0; i < now->count && !error; i++) {
		const struct report_group *group = &now->group[i];

		error = group_add(since, group->name, (const char *const *)group->fields,
				  group->field_count, group->most);
		if (!error)
			error = group_since(group, i < last->count ? &last->group[i] : &nothing,
					    &since->group[i]);
	}
	return error;
}

void report_groups_show(struct report_groups *groups, enum report_format format,
			const struct socktally_counts *totals)
{
	for (size_t i = 0; i < groups->count; i++) {
		struct report_group *group = &groups->group[i];
		struct socktally_counts sum;

		/* a stable sort: rows are in the order of their keys */
		if (group->count)
			qsort(group->row, group->count, sizeof(*group->row), compare_rows);
		group->shown = group->most                      ? group->most
			       : report_format_is_words(format) ? SHOWN_TO_PEOPLE
								: group->count;
		if (group->shown > group->count)
			group->shown = group->count;
		sum = group_sum(group, group->shown);
		group->other = *totals;
		report_counts_subtract(&group->other, &sum);
	}
}
