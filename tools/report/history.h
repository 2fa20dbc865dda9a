/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* What the reports of intervals were, for a page that has them all. */
#ifndef SOCKTALLY_TOOLS_REPORT_HISTORY_H
#define SOCKTALLY_TOOLS_REPORT_HISTORY_H

#include "tools/content/content.h"

/*
 * Adds the interval between its times: content has the counts and the seconds of all. 0 or -ENOMEM. seconds:
 * how long it is said to be; 0: as long as content's are more than those of all before.
 */
int report_history_add(struct report_history *history, const struct report_content *content,
		       const struct timespec *start, const struct timespec *end, double seconds);

/* The notes so far become those of the content. */
int report_history_notes(struct report_history *history, struct report_content *content);

void report_history_free(struct report_history *history);

#endif
