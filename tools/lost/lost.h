/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * What the files that a tool writes lack of what its sockets accepted: run --lost.
 *
 * The counter, a process of its own, is told by fanotify(7) of each file that one of the tool's processes
 * has closed after writing, and counts it if it is a capture: at once, before it may be deleted, compressed or
 * written anew. Meanwhile the meter is sampled, so that at the end it is known what was accepted later than the
 * last packet in the files.
 */
#ifndef SOCKTALLY_TOOLS_LOST_LOST_H
#define SOCKTALLY_TOOLS_LOST_LOST_H

#include "tools/content/content.h"
#include "tools/options/options.h"

#include <sys/types.h>

#define LOST_PATTERNS_MAX 64

struct lost_options {
	bool wanted;
	const char *patterns
		[LOST_PATTERNS_MAX]; /* of file names, as of glob(7); none: they are found */
	size_t pattern_count;
};

/* The argument of --lost; NULL: none. 0, or EXIT_USAGE after a message. */
int lost_option(struct lost_options *options, const char *argument);

struct lost;

/* Starts the counter, while there are privileges. NULL after a message. */
struct lost *lost_open(const struct lost_options *options, const struct report_options *report);
/* The tool has been started. */
void lost_begin(struct lost *lost, char *const *argv, pid_t tool);
/* Milliseconds until lost_sample() is to be called again. */
int lost_timeout(const struct lost *lost);
void lost_sample(struct lost *lost, const struct socktally *meter);

/*
 * After the tool's end: waits until all files are counted, or `signals` has one, and compares. drops:
 * what the tool has been told. NULL after a message. The result is freed with `lost`.
 */
const struct report_lost *lost_finish(struct lost *lost, struct socktally *meter,
				      const struct report_drops *drops, int signals);
/* What is to be known about the files and the result; valid until lost_close(). */
size_t lost_notes(const struct lost *lost, const struct report_note **notes);
/* NULL is none. */
void lost_close(struct lost *lost);

#endif
