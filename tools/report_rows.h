/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* What one report says, ready to be written in either form. */
#ifndef SOCKTALLY_REPORT_ROWS_H
#define SOCKTALLY_REPORT_ROWS_H

#include "report.h"

struct report_row {
	char *path;
	enum socktally_direction direction;
	struct socktally_counts counts;
};

/* Sorted by path, then direction. The paths belong to the rows. */
struct report_rows {
	struct report_row *row;
	size_t count;
	size_t room;
};

struct report_content {
	const struct report_source *source;
	struct timespec start;
	struct timespec end;
	const struct report_rows *rows;
	struct socktally_counts totals; /* of the rows */
	uint64_t overflow_packets;
	bool color;
};

#define REPORT_OVERFLOW "overflow" /* the path of what the full table could not hold */

void report_counts_add(struct socktally_counts *sum, const struct socktally_counts *counts);

/* In quotes, whatever is in it: what isn't UTF-8 becomes U+FFFD. NULL is "". */
void report_json_string(FILE *out, const char *string);

/* Both only print to out, whose error flag tells a failure. */
void report_json(FILE *out, const struct report_content *content);
/* -ENOMEM if there is no room for the tree. */
int report_text(FILE *out, const struct report_content *content);

#endif
