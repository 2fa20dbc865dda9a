/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* The formats that a report can be written in. */
#ifndef SOCKTALLY_TOOLS_FORMATS_FORMATS_H
#define SOCKTALLY_TOOLS_FORMATS_FORMATS_H

#include "tools/content/content.h"

#include <stdio.h>

enum report_format {
	REPORT_TEXT,
	REPORT_JSON,
	REPORT_CSV,
	REPORT_PHS,
	REPORT_OPENMETRICS,
	REPORT_PROMETHEUS,
	REPORT_HTML,
};

/* What the user has chosen of how reports look. */
struct report_style {
	enum report_format format;
	unsigned int
		interval; /* milliseconds from one to the next, which have much in common; 0: one only */
	enum { REPORT_COLOR_AUTO, REPORT_COLOR_ALWAYS, REPORT_COLOR_NEVER } color;
	struct report_look look; /* without `color` */
	size_t series;           /* time series of paths in metrics at most; 0: the default */
};
#define REPORT_SERIES 1000

/* The names of all, for a message: "text, json or csv". */
#define REPORT_FORMAT_NAMES "text, json, csv, html, phs, openmetrics or prometheus"

/* False: there is no format of this name. */
bool report_format_find(const char *name, enum report_format *format);

/* Whether people read it, and not programs: then an expression for a filter may be in words. */
bool report_format_is_words(enum report_format format);

/* Whether a report has all counts since the beginning, whatever reports there were: one of counters. */
bool report_format_is_total(enum report_format format);

/* Whether an output has one report only, the last: a page. */
bool report_format_is_page(enum report_format format);

/* Rows that make so many time series at most. */
size_t report_metrics_rows(size_t series);

/*
 * later: the output has a report already. Failures of `out` are left to its error flag. -ENOMEM if there
 * is no room for what the format needs.
 *
 * JSON and CSV have the paths in the order of their text, "in" before "out"; trees have the path with most
 * packets first. The same counts give the same report.
 */
int report_format_write(enum report_format format, FILE *out, const struct report_content *content,
			bool later);

#endif
