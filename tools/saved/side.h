/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Counts that were made before: JSON reports and capture files, as one sum. */
#ifndef SOCKTALLY_TOOLS_SAVED_SIDE_H
#define SOCKTALLY_TOOLS_SAVED_SIDE_H

#include "tools/capture/file.h"
#include "tools/capture/statistics.h"
#include "tools/saved/table.h"

#include <stdbool.h>

struct saved_class {
	char *name, *expression;
	struct socktally_counts counts; /* of both directions */
};

/* An event that a report tells of. */
struct saved_note {
	char *event, *text;
};

#define SAVED_NOTES_MAX 64 /* what is more is left out */

/* One side of a comparison. All zero is an empty one. */
struct saved_side {
	bool sockets; /* some of it is what sockets saw: accepted can be less than seen */
	bool files;   /* some of it is what is in files */
	bool cut;     /* a socket's filter gives the tool only the beginning of long packets */
	uint64_t reports, captures;
	struct saved_table paths; /* both directions in one row */
	struct saved_table groups;
	struct saved_class *class;
	size_t class_count;
	struct socktally_counts totals;
	uint64_t overflow_packets; /* in totals, but by no path */
	struct saved_note notes[SAVED_NOTES_MAX];
	size_t note_count;
	struct capture_statistics statistics; /* what files say */
	uint32_t
		shortest_cut; /* bytes of a packet that a capture has only the beginning of; 0: none */
};

/* Adds to a class of that name, or makes it. -ENOMEM, or -E2BIG. */
int saved_class_add(struct saved_side *side, const char *name, const char *expression,
		    const struct socktally_counts *counts);
/* Whether a program in numbers, "2,40 0 0 12,6 0 0 96", may give the tool less than a whole packet. */
bool saved_program_cuts(const char *program);
void saved_side_free(struct saved_side *side);

/*
 * Adds each report of the input, lines of schema socktally/1, and takes the input over. 0, or -1 with a
 * message that begins with the name.
 */
struct capture_input;
int saved_reports_read(struct saved_side *side, struct capture_input *input, const char *name,
		       char message[CAPTURE_MESSAGE_MAX]);

/*
 * Counts the rest of a capture file on a meter of SOCKTALLY_OPEN_USERSPACE, but for what saved_meter_add()
 * adds to the side. `last` becomes the latest time of a
 * packet where that is later. 0; -1: the file is broken, see capture_file_message(), or -errno of the meter.
 */
int saved_capture_count(struct saved_side *side, struct capture_file *file, struct socktally *meter,
			struct timespec *last);

/* Adds what such a meter has counted. -errno */
int saved_meter_add(struct saved_side *side, const struct socktally *meter);

/*
 * The path of a packet that a file has only the beginning of may end sooner than it did at the socket. Where
 * some of `files` may be so, both tables count at the shorter path what is at it and below. Returns at how
 * many paths, or -ENOMEM. Both are sorted then.
 */
bool saved_has_below(const struct saved_table *table, const char *path);
int saved_align(struct saved_table *other, struct saved_table *files, uint32_t shortest_cut);

#endif
