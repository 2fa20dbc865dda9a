// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* Paths of packets that were cut short. */
#include "tools/saved/side.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* So many bytes show all headers of real packets, and the beginning of what they carry. */
#define ENOUGH 256

static bool is_below(const char *path, const char *above)
{
	size_t length = strlen(above);

	return !strncmp(path, above, length) && path[length] == ':';
}

/* What is below a path follows it in the table, but for names with a character before ':', as '-'. */
bool saved_has_below(const struct saved_table *table, const char *path)
{
	for (size_t i = 0; i < table->count; i++) {
		if (is_below(table->row[i].name, path))
			return true;
	}
	return false;
}

/* Ends each path at the first of its layers at which one of `ends` ends. */
static void shorten(struct saved_table *table, const struct saved_table *ends)
{
	for (size_t i = 0; i < table->count; i++) {
		char *name = table->row[i].name, *colon = name;

		while ((colon = strchr(colon, ':'))) {
			*colon = 0;
			if (saved_table_find(ends, name))
				break;
			*colon++ = ':';
		}
	}
	table->merged = 0;
	saved_table_sort(table);
}

int saved_align(struct saved_table *other, struct saved_table *files, uint32_t shortest_cut)
{
	struct saved_table ends = {0};
	int result = 0;

	saved_table_sort(other);
	saved_table_sort(files);
	if (!shortest_cut || shortest_cut >= ENOUGH)
		return 0;
	for (size_t i = 0; i < files->count && !result; i++) {
		const struct saved_row *row = &files->row[i];

		if (row->counts.accepted_bytes < row->counts.bytes &&
		    saved_has_below(other, row->name))
			result = saved_table_add(&ends, row->name, &row->counts);
	}
	saved_table_sort(&ends);
	if (!result && ends.count) {
		shorten(other, &ends);
		shorten(files, &ends);
		result = (int)ends.count;
	}
	saved_table_free(&ends);
	return result;
}
