// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
#include "tools/diff/compare.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const char *const diff_titles[DIFF_KINDS] = {
	[DIFF_PATHS] = "path",
	[DIFF_APPLICATIONS] = "application",
	[DIFF_CLASSES] = "class",
	[DIFF_GROUPS] = "group",
};
const char *const diff_members[DIFF_KINDS] = {
	[DIFF_PATHS] = "paths",
	[DIFF_APPLICATIONS] = "applications",
	[DIFF_CLASSES] = "classes",
	[DIFF_GROUPS] = "groups",
};

static struct diff_amount amount(const struct diff_side *side,
				 const struct socktally_counts *counts)
{
	return (struct diff_amount){
		.packets =
			side->taken == DIFF_ACCEPTED ? counts->accepted_packets : counts->packets,
		.bytes = side->cut || (side->taken == DIFF_ACCEPTED && side->counts.sockets)
				 ? counts->accepted_bytes
				 : counts->bytes,
	};
}

/*
 * Where a socket is compared with a file: what its filter accepted. Its bytes are whole packets, and so are
 * those of the file, unless the filter itself cuts packets: then it is what was captured, on both sides.
 */
static void choose_counts(struct diff *diff)
{
	struct diff_side *a = &diff->a, *b = &diff->b;
	bool mixed =
		(a->counts.sockets && b->counts.files) || (b->counts.sockets && a->counts.files);

	a->taken = b->taken = mixed ? DIFF_ACCEPTED : DIFF_SEEN;
	a->cut = b->cut = mixed && (a->counts.cut || b->counts.cut);
	a->totals = amount(a, &a->counts.totals);
	b->totals = amount(b, &b->counts.totals);
}

static uint64_t distance(uint64_t a, uint64_t b)
{
	return a > b ? a - b : b - a;
}

static int compare_rows(const void *one, const void *other)
{
	const struct diff_row *a = one, *b = other;
	uint64_t packets_a = distance(a->a.packets, a->b.packets);
	uint64_t packets_b = distance(b->a.packets, b->b.packets);
	uint64_t bytes_a = distance(a->a.bytes, a->b.bytes);
	uint64_t bytes_b = distance(b->a.bytes, b->b.bytes);

	if (packets_a != packets_b)
		return packets_a > packets_b ? -1 : 1;
	if (bytes_a != bytes_b)
		return bytes_a > bytes_b ? -1 : 1;
	return strcmp(a->name, b->name);
}

static bool same(const struct diff_amount *a, const struct diff_amount *b)
{
	return a->packets == b->packets && a->bytes == b->bytes;
}

static int add_row(struct diff_table *table, const char *name, const struct diff_amount *a,
		   const struct diff_amount *b)
{
	struct diff_row *row = &table->row[table->count];

	if (same(a, b)) {
		table->equal += a->packets != 0;
		return 0;
	}
	*row = (struct diff_row){.name = strdup(name), .a = *a, .b = *b};
	if (!row->name)
		return -ENOMEM;
	table->count++;
	return 0;
}

/* Both are sorted. */
static int join(struct diff *diff, enum diff_kind kind, struct saved_table *a,
		struct saved_table *b)
{
	struct diff_table *table = &diff->tables[kind];
	size_t at_a = 0, at_b = 0;
	int error = 0;

	saved_table_sort(a);
	saved_table_sort(b);
	table->row = calloc(a->count + b->count + 1, sizeof(*table->row));
	if (!table->row)
		return -ENOMEM;
	while (!error && (at_a < a->count || at_b < b->count)) {
		int order = at_a == a->count   ? 1
			    : at_b == b->count ? -1
					       : strcmp(a->row[at_a].name, b->row[at_b].name);
		const char *name = order > 0 ? b->row[at_b].name : a->row[at_a].name;
		struct diff_amount of_a = {0}, of_b = {0};

		if (order <= 0)
			of_a = amount(&diff->a, &a->row[at_a++].counts);
		if (order >= 0)
			of_b = amount(&diff->b, &b->row[at_b++].counts);
		error = add_row(table, name, &of_a, &of_b);
	}
	qsort(table->row, table->count, sizeof(*table->row), compare_rows);
	diff->equal &= !table->count;
	return error;
}

/* A path's last layer, whatever is around it. */
static int last_layers(const struct saved_table *paths, struct saved_table *layers)
{
	int error = 0;

	for (size_t i = 0; i < paths->count && !error; i++) {
		const char *colon = strrchr(paths->row[i].name, ':');

		error = saved_table_add(layers, colon ? colon + 1 : paths->row[i].name,
					&paths->row[i].counts);
	}
	return error;
}

static int class_table(const struct saved_side *side, struct saved_table *table)
{
	int error = 0;

	for (size_t i = 0; i < side->class_count && !error; i++)
		error = saved_table_add(table, side->class[i].name, &side->class[i].counts);
	return error;
}

static int join_made(struct diff *diff, enum diff_kind kind)
{
	struct saved_table a = {0}, b = {0};
	int error;

	if (kind == DIFF_APPLICATIONS) {
		error = last_layers(&diff->a.counts.paths, &a);
		if (!error)
			error = last_layers(&diff->b.counts.paths, &b);
	} else {
		error = class_table(&diff->a.counts, &a);
		if (!error)
			error = class_table(&diff->b.counts, &b);
	}
	if (!error)
		error = join(diff, kind, &a, &b);
	saved_table_free(&a);
	saved_table_free(&b);
	return error;
}

/* Packets of a socket are whole. */
static int align(struct diff *diff)
{
	struct saved_side *a = &diff->a.counts, *b = &diff->b.counts;
	int result = 0;

	if (b->shortest_cut && !a->shortest_cut)
		result = saved_align(&a->paths, &b->paths, b->shortest_cut);
	else if (a->shortest_cut && !b->shortest_cut)
		result = saved_align(&b->paths, &a->paths, a->shortest_cut);
	diff->shortened = result > 0 ? result : 0;
	return result < 0 ? result : 0;
}

int diff_compare(struct diff *diff)
{
	int error;

	choose_counts(diff);
	error = align(diff);
	if (error)
		return error;
	diff->equal = same(&diff->a.totals, &diff->b.totals);
	error = join(diff, DIFF_PATHS, &diff->a.counts.paths, &diff->b.counts.paths);
	if (!error)
		error = join_made(diff, DIFF_APPLICATIONS);
	if (!error)
		error = join_made(diff, DIFF_CLASSES);
	if (!error)
		error = join(diff, DIFF_GROUPS, &diff->a.counts.groups, &diff->b.counts.groups);
	return error;
}

void diff_free(struct diff *diff)
{
	for (int kind = 0; kind < DIFF_KINDS; kind++) {
		for (size_t i = 0; i < diff->tables[kind].count; i++)
			free(diff->tables[kind].row[i].name);
		free(diff->tables[kind].row);
	}
	saved_side_free(&diff->a.counts);
	saved_side_free(&diff->b.counts);
}
