/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Two sides, name by name. */
#ifndef SOCKTALLY_TOOLS_DIFF_COMPARE_H
#define SOCKTALLY_TOOLS_DIFF_COMPARE_H

#include "tools/saved/side.h"

#include <stdbool.h>
#include <stdio.h>

struct diff_amount {
	uint64_t packets, bytes;
};

struct diff_row {
	char *name;
	struct diff_amount a, b;
};

/* Those that differ, the largest difference of packets first. */
struct diff_table {
	struct diff_row *row;
	size_t count;
	size_t equal; /* names left out */
};

enum diff_kind { DIFF_PATHS, DIFF_APPLICATIONS, DIFF_CLASSES, DIFF_GROUPS, DIFF_KINDS };
extern const char *const diff_titles[DIFF_KINDS];  /* "path" */
extern const char *const diff_members[DIFF_KINDS]; /* "paths" */

/* Which of a side's counts are compared. */
enum diff_counts { DIFF_SEEN, DIFF_ACCEPTED };

struct diff_side {
	struct saved_side counts;
	const char *const *files; /* names as they were given */
	size_t file_count;
	enum diff_counts taken;
	bool cut; /* bytes: of each packet the beginning that was captured */
	struct diff_amount totals;
};

struct diff {
	struct diff_side a, b;
	struct diff_table tables[DIFF_KINDS];
	bool equal;
	int shortened; /* paths at which cut packets are counted: see saved_align() */
};

/* From the sides' counts, which it sorts, all else. -ENOMEM */
int diff_compare(struct diff *diff);
void diff_free(struct diff *diff);

/* Failures of `out` are left to its error flag. */
void diff_text(FILE *out, const struct diff *diff);
void diff_json(FILE *out, const struct diff *diff);
void diff_csv(FILE *out, const struct diff *diff);

#endif
