/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* The report as a page: one file, which asks for nothing from elsewhere and works without its script. */
#ifndef SOCKTALLY_TOOLS_HTML_HTML_H
#define SOCKTALLY_TOOLS_HTML_HTML_H

#include "tools/content/content.h"

#include <stdio.h>

/* -ENOMEM if there is no room for the tree. */
int report_html(FILE *out, const struct report_content *content, bool later);

/* Its parts. Each writes nothing where there is nothing to show. */
int html_tree(FILE *out, const struct report_content *content);
int html_map(FILE *out, const struct report_content *content);
void html_graph(FILE *out, const struct report_content *content);
void html_groups(FILE *out, const struct report_content *content);
void html_tables(FILE *out, const struct report_content *content);

/* Bytes in short, with the exact number for scripts and as a hint. */
void html_bytes(FILE *out, uint64_t bytes);
/* "1,234" */
void html_number(FILE *out, uint64_t number);
/* "12.3" of a hundred */
void html_share(FILE *out, uint64_t part, uint64_t whole);
/* "2026-01-01 12:00:00 UTC" */
void html_time(FILE *out, const struct timespec *time);

extern const char html_style[], html_script[];

#endif
