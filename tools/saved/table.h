/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Counts by name: of paths, classes and the like. */
#ifndef SOCKTALLY_TOOLS_SAVED_TABLE_H
#define SOCKTALLY_TOOLS_SAVED_TABLE_H

#include <socktally/socktally.h>

/* Different names that a table takes: a report of this tool never has as many. */
#define SAVED_ROWS_MAX (1u << 20)

struct saved_row {
	char *name;
	struct socktally_counts counts;
};

struct saved_table {
	struct saved_row *row;
	size_t count, room;
	size_t merged; /* the first so many are sorted, each name once */
};

/* Adds to the counts of that name; a NULL name is "". -ENOMEM, or -E2BIG: too many names. */
int saved_table_add(struct saved_table *table, const char *name,
		    const struct socktally_counts *counts);
/* From here on the rows are sorted by name, each name once, until the next saved_table_add(). */
void saved_table_sort(struct saved_table *table);
/* NULL: there is none. The table is sorted. */
const struct saved_row *saved_table_find(const struct saved_table *table, const char *name);
void saved_table_free(struct saved_table *table);

#endif
