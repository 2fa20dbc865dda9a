/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Reports of what a meter counts, in one of the formats, once or after each interval. */
#ifndef SOCKTALLY_TOOLS_REPORT_REPORT_H
#define SOCKTALLY_TOOLS_REPORT_REPORT_H

#include "tools/formats/formats.h"
#include "tools/report/output.h"
#include <socktally/socktally.h>
#include <stdbool.h>
#include <stdio.h>
#include <time.h>

struct report; /* holds the last snapshot: a report has the difference */

/*
 * A report's length of time is that of a clock that nobody sets and that goes on while the machine sleeps
 * (CLOCK_BOOTTIME). The times of day in it are for reading only: they may jump.
 */

/* The output stays the caller's; several reports may share it. -errno. */
int report_open(struct report **report, struct report_output *output,
		const struct report_style *style);
void report_close(struct report *report);

/* Counting begins now: where the next report starts. report_open() does the same. NULL is none. */
void report_begin(struct report *report);

/*
 * Writes a report of what was counted since the last report_write(), or since report_begin(). Returns
 * -errno if it could not be written whole; the next report then covers this one's time, too. -EAGAIN: the
 * output keeps an older report for its reader (never_wait).
 */
int report_write(struct report *report, struct socktally *meter,
		 const struct report_source *source);

/*
 * The same without an effect on later reports: what they count, they count from where they would have
 * counted without it.
 */
int report_write_so_far(struct report *report, struct socktally *meter,
			const struct report_source *source);

/* report_write() for packets with times of their own, as those of a file. */
int report_write_span(struct report *report, struct socktally *meter,
		      const struct report_source *source, const struct timespec *start,
		      const struct timespec *end);

#endif
