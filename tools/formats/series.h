/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Which rows of a report have metrics of their own. A row that has keeps them, and one that came when
 * there was no room stays in the sum of the others: so no counter ever goes backwards.
 */
#ifndef SOCKTALLY_TOOLS_FORMATS_SERIES_H
#define SOCKTALLY_TOOLS_FORMATS_SERIES_H

#include "tools/content/content.h"

struct report_series {
	struct report_rows
		known; /* sorted, with copies of their paths; their counts don't matter */
	size_t max;    /* rows */
};

/* own[i] becomes whether rows->row[i] has metrics of its own. -ENOMEM. */
int report_series_choose(struct report_series *series, const struct report_rows *rows, bool *own);
void report_series_free(struct report_series *series);

#endif
