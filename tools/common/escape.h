/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Text from outside (names of processes, interfaces and files, filters, fields of packets), shown so
 * that it can't steer a terminal or look like something else. Escaped are control characters (C0, DEL
 * and C1), bidirectional controls, line and paragraph separators, and bytes that are not UTF-8.
 */
#ifndef SOCKTALLY_TOOLS_COMMON_ESCAPE_H
#define SOCKTALLY_TOOLS_COMMON_ESCAPE_H

#include <stddef.h>
#include <stdio.h>

/* Columns on a terminal of what escape_text() makes of the text; a character is taken for one. */
size_t escape_columns(const char *text);

/*
 * Prints at most `room` columns: an escaped byte as \x1b, an escaped character as \u202e; "..." stands
 * for what does not fit. NULL is "".
 */
void escape_text(FILE *out, const char *text, size_t room);

/* The same into a buffer of this size, as far as it fits. */
void escape_copy(char *copy, size_t size, const char *text);

/* A JSON string with its quotes; a byte that is not UTF-8 becomes U+FFFD. NULL is "". */
void escape_json(FILE *out, const char *text);

/*
 * A field of CSV (RFC 4180), in quotes where it needs them; what is escaped is so as in escape_text().
 * A text that a spreadsheet would take for a formula gets an apostrophe before it. NULL is "".
 */
void escape_csv(FILE *out, const char *text);

/* A label's value in OpenMetrics, without its quotes; what is escaped is so as in escape_text(). NULL is "". */
void escape_label(FILE *out, const char *text);

/* The same as escape_text(), whole, in HTML: in an element or in a quoted attribute. NULL is "". */
void escape_html(FILE *out, const char *text);

#endif
