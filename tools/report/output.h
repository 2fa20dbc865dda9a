/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Where reports are written: a stream, or a file that they replace, fill or are appended to. */
#ifndef SOCKTALLY_TOOLS_REPORT_OUTPUT_H
#define SOCKTALLY_TOOLS_REPORT_OUTPUT_H

#include "tools/content/content.h"

#include <stdbool.h>
#include <stddef.h>

enum report_output_mode {
	REPORT_FILL, /* the file is emptied, then has one report after the other */
	REPORT_REPLACE, /* each report is a new file, which takes the old one's name when it is whole */
	REPORT_APPEND, /* reports are added to what the file has */
	REPORT_MEMORY, /* the last report is kept, for report_output_take() */
};

struct report_output {
	int fd;
	char *path; /* of a regular file, absolute; NULL: a stream */
	enum report_output_mode mode;
	bool is_fifo;
	bool is_own;             /* opened by path: report_output_close() closes it */
	bool written;            /* has a report already */
	struct report_head head; /* of the last report of intervals */
	/*
	 * report_output_write() does not wait for a reader: what a full pipe does not take is kept, and
	 * written by report_output_flush().
	 */
	bool never_wait;
	char *kept; /* what is still to be written, malloc'ed */
	size_t kept_size, kept_at;
};

/* A descriptor of the caller's. */
void report_output_stream(struct report_output *output, int fd);

/* Memory, and the report that is there: malloc'ed and the caller's from then on, or NULL. */
void report_output_memory(struct report_output *output);
char *report_output_take(struct report_output *output, size_t *size);

/*
 * Opens a file without waiting and without changing it. Returns 0 or -errno; -ENXIO: a FIFO that nobody
 * reads.
 */
int report_output_open(struct report_output *output, const char *path,
		       enum report_output_mode mode);

/* To be called once it is sure that the file may be written: empties it for REPORT_FILL. -errno. */
int report_output_begin(struct report_output *output);

/* Writes what is kept: 0, -EAGAIN where never_wait leaves something, or -errno. */
int report_output_ready(struct report_output *output);

/* Writes what is kept. -ETIMEDOUT: for so many milliseconds nothing could be written; or -errno. */
int report_output_flush(struct report_output *output, int milliseconds);

/*
 * One report, malloc'ed, which is freed; whole or not at all where it replaces the file. Nothing may be
 * kept: see report_output_ready(). -errno.
 */
int report_output_write(struct report_output *output, char *report, size_t size);

/* The next report of intervals says again what the one before it has said. */
void report_output_forget(struct report_output *output);

/* Opens the same name anew, after the file was renamed: for REPORT_APPEND. Goes on as before on -errno. */
int report_output_reopen(struct report_output *output);

/* -errno: what was written may not have reached the disk. */
int report_output_close(struct report_output *output);

#endif
