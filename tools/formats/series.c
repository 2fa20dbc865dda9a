// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
#include "tools/formats/series.h"

#include <errno.h>
#include <stdlib.h>

static int more_bytes(const void *one, const void *other)
{
	const struct report_row *const *a = one, *const *b = other;

	if ((*a)->counts.bytes != (*b)->counts.bytes)
		return (*a)->counts.bytes < (*b)->counts.bytes ? 1 : -1;
	return report_rows_compare(*a, *b);
}

/* Takes as many of the new rows as there is room for, those with most bytes first. */
static int admit(struct report_series *series, const struct report_row **news, size_t count)
{
	size_t room = series->max - series->known.count;
	int error = 0;

	if (count > room)
		qsort(news, count, sizeof(*news), more_bytes);
	for (size_t i = 0; i < count && i < room && !error; i++)
		error = report_rows_add(&series->known, news[i]->path, news[i]->direction,
					&news[i]->counts);
	report_rows_sort(&series->known);
	return error;
}

static bool is_known(const struct report_series *series, const struct report_row *row)
{
	return series->known.count && bsearch(row, series->known.row, series->known.count,
					      sizeof(*row), report_rows_compare);
}

int report_series_choose(struct report_series *series, const struct report_rows *rows, bool *own)
{
	const struct report_row **news = calloc(rows->count + 1, sizeof(*news));
	size_t count = 0;
	int error;

	if (!news)
		return -ENOMEM;
	for (size_t i = 0; i < rows->count; i++)
		if (!is_known(series, &rows->row[i]))
			news[count++] = &rows->row[i];
	error = admit(series, news, count);
	free(news);
	for (size_t i = 0; i < rows->count; i++)
		own[i] = is_known(series, &rows->row[i]);
	return error;
}

void report_series_free(struct report_series *series)
{
	report_rows_free(&series->known);
}
