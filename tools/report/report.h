/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* The report, as text or JSON, once or every interval. */
#ifndef SOCKTALLY_TOOLS_REPORT_REPORT_H
#define SOCKTALLY_TOOLS_REPORT_REPORT_H

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

/* What was metered. Strings may be NULL for "". */
struct report_source {
	const char *kind;      /* "socket" or "file" */
	const char *interface; /* "eth0", "eth0,eth1", "any"; of a file: the names in it */
	const char *linktype;  /* "eth", "eth,raw" */
	int pid;
	const char *comm;
	const char *filter;
	const char *filter_name;         /* for people; NULL: asked of the meter's sockets */
	const char *file;                /* name of the capture file, for the text's heading */
	const struct report_note *notes; /* of this report's time, the oldest first */
	size_t note_count;
};

struct report; /* holds the last snapshot: a report has the difference */

/* fd stays the caller's. -errno. */
int report_open(struct report **report, int fd, enum report_format format);
void report_close(struct report *report);
/*
 * From now on report_write() does not wait for a reader: what a full pipe does not take is kept, and
 * written by the next report_write() or report_flush(). While something is kept report_write() does
 * nothing and returns -EAGAIN.
 */
void report_never_wait(struct report *report);
/* Writes what is kept. -ETIMEDOUT: for so many milliseconds nothing could be written; or -errno. */
int report_flush(struct report *report, int milliseconds);
/* Another report was written to the same descriptor: an empty line separates the two in text. */
void report_follows(struct report *report);

/*
 * JSON has the paths in the order of their text, "in" before "out"; the tree of the text report has the
 * path with most packets first. The same counts give the same report.
 */

/*
 * Writes a report of what was counted since the last report_write(), or since report_open(). Returns
 * -errno if it could not be written whole; the next report then covers this one's time, too.
 */
int report_write(struct report *report, struct socktally *meter, const struct report_source *source,
		 const struct timespec *start, const struct timespec *end);

#endif
