/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* The content of one report, independent of its format. */
#ifndef SOCKTALLY_TOOLS_REPORT_ROWS_H
#define SOCKTALLY_TOOLS_REPORT_ROWS_H

#include "tools/report/report.h"
#include "tools/report/classes.h"
#include "tools/common/escape.h"
#include "tools/report/hooks.h"

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
	const char *filter;  /* expression; where none is known the program, or in text words */
	const char *program; /* numbers */
	struct timespec start;
	struct timespec end;
	double seconds; /* from start to end, whatever the times of day say */
	const struct report_rows *rows;
	const struct report_hooks *hooks;
	const struct report_classes *classes;
	const struct report_note *notes;
	size_t note_count;
	struct socktally_counts totals; /* of the rows */
	uint64_t overflow_packets;
	bool color;
};

#define REPORT_OVERFLOW "overflow" /* the path of packets that the full table has no row for */

void report_counts_add(struct socktally_counts *sum, const struct socktally_counts *counts);
/* What came since the last report: 0 and not 2^64 less where a counter began anew. */
uint64_t report_less(uint64_t now, uint64_t last);
void report_counts_subtract(struct socktally_counts *counts, const struct socktally_counts *last);

#define NUMBER_TEXT_MAX 48 /* room for a number as text, with its unit */

/* Three digits and a power of 1000: 1234567 B as "1.23 MB", 999 B as "999 B". */
void report_number_short(char *text, double number, const char *unit);
/* Percent: "12.3", "<0.1", ">99.9" */
void report_number_share(char *text, uint64_t part, uint64_t whole);
/* "1 packet", "1,234 packets" */
void report_number_packets(char *text, uint64_t packets);

/* "packets":...,"accepted_bytes":... */
void report_json_counts(FILE *out, const struct socktally_counts *counts);

/* Failures of `out` are left to its error flag. */
void report_json(FILE *out, const struct report_content *content);
/* -ENOMEM if there is no room for the tree. */
int report_text(FILE *out, const struct report_content *content);

#endif
