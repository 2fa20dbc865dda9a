// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
#include "tools/content/content.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void report_rows_free(struct report_rows *rows)
{
	for (size_t i = 0; i < rows->count; i++)
		free(rows->row[i].path);
	free(rows->row);
	*rows = (struct report_rows){0};
}

int report_rows_add(struct report_rows *rows, const char *path, enum socktally_direction direction,
		    const struct socktally_counts *counts)
{
	struct report_row *row;

	if (rows->count == rows->room) {
		size_t room = rows->room ? 2 * rows->room : 64;

		row = reallocarray(rows->row, room, sizeof(*row));
		if (!row)
			return -ENOMEM;
		rows->row = row;
		rows->room = room;
	}
	row = &rows->row[rows->count];
	row->path = strdup(path);
	if (!row->path)
		return -ENOMEM;
	row->direction = direction == SOCKTALLY_OUT ? SOCKTALLY_OUT : SOCKTALLY_IN;
	row->counts = *counts;
	rows->count++;
	return 0;
}

int report_rows_compare(const void *one, const void *other)
{
	const struct report_row *a = one, *b = other;
	int order = strcmp(a->path, b->path);

	return order ? order : (int)a->direction - (int)b->direction;
}

void report_rows_sort(struct report_rows *rows)
{
	if (rows->count)
		qsort(rows->row, rows->count, sizeof(*rows->row), report_rows_compare);
}

int report_rows_since(const struct report_rows *now, const struct report_rows *last,
		      struct report_rows *since)
{
	size_t old = 0;

	since->row = calloc(now->count ? now->count : 1, sizeof(*since->row));
	if (!since->row)
		return -ENOMEM;
	for (size_t i = 0; i < now->count; i++) {
		struct report_row row = now->row[i];

		while (old < last->count && report_rows_compare(&last->row[old], &row) < 0)
			old++;
		if (old < last->count && !report_rows_compare(&last->row[old], &row))
			report_counts_subtract(&row.counts, &last->row[old].counts);
		if (!report_counts_empty(&row.counts))
			since->row[since->count++] = row;
	}
	return 0;
}

const struct report_amount *report_row_lost(const struct report_rows *rows, size_t i)
{
	const struct report_row *row = &rows->row[i];
	bool later = i && !strcmp(row[-1].path, row->path);
	bool shared = later || (i + 1 < rows->count && !strcmp(row[1].path, row->path));
	const struct report_amount *lost = later ? &row[-1].lost : &row->lost;

	return shared && lost->packets ? NULL : lost;
}
