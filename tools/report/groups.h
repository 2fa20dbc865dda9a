/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Groups in a report. */
#ifndef SOCKTALLY_TOOLS_REPORT_GROUPS_H
#define SOCKTALLY_TOOLS_REPORT_GROUPS_H

#include "tools/content/content.h"
#include "tools/formats/formats.h"

/* The groups of the meter with their counts since it was opened. -errno. */
int report_groups_read(struct report_groups *groups, struct socktally *meter);
void report_groups_free(struct report_groups *groups);

/* Whether no group has more than these totals, which have been read after it. */
bool report_groups_within(const struct report_groups *groups,
			  const struct socktally_counts *totals);

/* The same groups with the counts since `last`; `other` is not set. -errno. */
int report_groups_since(const struct report_groups *now, const struct report_groups *last,
			struct report_groups *since);

/* Chooses the rows that are shown; `other` is what is left of the totals. */
void report_groups_show(struct report_groups *groups, enum report_format format,
			const struct socktally_counts *totals);

#endif
