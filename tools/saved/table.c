// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
#include "tools/saved/table.h"
#include "tools/content/content.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int compare_rows(const void *one, const void *other)
{
	const struct saved_row *a = one, *b = other;

	return strcmp(a->name, b->name);
}

void saved_table_sort(struct saved_table *table)
{
	size_t kept = 0;

	if (table->count == table->merged)
		return;
	qsort(table->row, table->count, sizeof(*table->row), compare_rows);
	for (size_t i = 1; i < table->count; i++) {
		if (strcmp(table->row[i].name, table->row[kept].name) != 0) {
			table->row[++kept] = table->row[i];
			continue;
		}
		report_counts_add(&table->row[kept].counts, &table->row[i].counts);
		free(table->row[i].name);
	}
	table->count = table->merged = kept + 1;
}

/*
 * Each report of an interval has the same names: what has come is merged when it is as much as there was,
 * so that the table stays as large as its names are many.
 */
static int make_room(struct saved_table *table)
{
	struct saved_row *row;
	size_t room;

	if (table->count < table->room)
		return 0;
	saved_table_sort(table);
	if (table->count > SAVED_ROWS_MAX)
		return -E2BIG;
	if (table->count < table->room / 2)
		return 0;
	room = table->room ? 2 * table->room : 64;
	row = reallocarray(table->row, room, sizeof(*row));
	if (!row)
		return -ENOMEM;
	table->row = row;
	table->room = room;
	return 0;
}

int saved_table_add(struct saved_table *table, const char *name,
		    const struct socktally_counts *counts)
{
	char *copy;
	int error = make_room(table);

	if (error)
		return error;
	copy = strdup(name ? name : "");
	if (!copy)
		return -ENOMEM;
	table->row[table->count++] = (struct saved_row){.name = copy, .counts = *counts};
	return 0;
}

const struct saved_row *saved_table_find(const struct saved_table *table, const char *name)
{
	const struct saved_row wanted = {.name = (char *)name};

	return table->count
		       ? bsearch(&wanted, table->row, table->count, sizeof(wanted), compare_rows)
		       : NULL;
}

void saved_table_free(struct saved_table *table)
{
	for (size_t i = 0; i < table->count; i++)
		free(table->row[i].name);
	free(table->row);
	*table = (struct saved_table){0};
}
