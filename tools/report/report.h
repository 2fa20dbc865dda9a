/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* The report, as text or JSON, once or after each interval. */
#ifndef SOCKTALLY_TOOLS_REPORT_REPORT_H
#define SOCKTALLY_TOOLS_REPORT_REPORT_H

#include "tools/report/output.h"
#include <socktally/socktally.h>
#include <stdbool.h>
#include <stdio.h>
#include <time.h>

enum report_format { REPORT_TEXT, REPORT_JSON };

/* An event that matters for the counts, for instance that the tool has changed its filter. */
struct report_note {
	struct timespec time;
	const char *event; /* one word for scripts */
	const char *text;  /* a sentence for people */
};

/* One of several sockets whose packets are counted together. */
struct report_socket {
	int pid;
	int fd; /* its number in the process */
	const char *comm, *interface, *linktype;
	const char *filter;  /* expression; NULL: none is known */
	const char *program; /* filter_text_numbers(); NULL: it has none */
};

/* What was metered. Strings may be NULL for "". */
struct report_source {
	const char *kind;      /* "socket" or "file" */
	const char *interface; /* "eth0", "eth0,eth1", "any"; of a file: the names in it */
	const char *linktype;  /* "eth", "eth,raw" */
	int pid;
	const char *comm;
	const char *filter;              /* expression; NULL: found from the program */
	const char *program;             /* filter_text_numbers(); NULL: of the meter's sockets */
	const char *file;                /* name of the capture file; "-": standard input */
	const struct report_note *notes; /* of this report's time, the oldest first */
	size_t note_count;
	const struct report_socket *sockets; /* where they are known one by one */
	size_t socket_count;
};

struct report; /* holds the last snapshot: a report has the difference */

/*
 * JSON has the paths in the order of their text, "in" before "out"; the tree of the text report has the
 * path with most packets first. The same counts give the same report.
 *
 * A report's length of time is that of a clock that nobody sets and that goes on while the machine sleeps
 * (CLOCK_BOOTTIME). The times of day in it are for reading only: they may jump.
 */

/* The output stays the caller's; several reports may share it. -errno. */
int report_open(struct report **report, struct report_output *output, enum report_format format);
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
