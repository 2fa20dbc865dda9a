/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* What happened while packets were counted, for the report of that time. */
#ifndef SOCKTALLY_TOOLS_COMMON_NOTES_H
#define SOCKTALLY_TOOLS_COMMON_NOTES_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

/* An event that matters for the counts, for instance that the tool has changed its filter. */
struct report_note {
	struct timespec time;
	const char *event; /* one word for scripts */
	const char *text;  /* a sentence for people */
};

#define NOTES_MAX 64

struct notes {
	struct report_note *note; /* the oldest first */
	size_t count;
	bool full; /* the last one says that there were more */
};

/* Adds one with the time of day. event is kept as it is, the text is copied. Without memory nothing is added. */
void notes_add(struct notes *notes, const char *event, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void notes_clear(struct notes *notes);

#endif
