/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* What the sockets had accepted at some times. */
#ifndef SOCKTALLY_TOOLS_LOST_TIMELINE_H
#define SOCKTALLY_TOOLS_LOST_TIMELINE_H

#include "tools/content/content.h"

#include <socktally/socktally.h>

struct timeline;

/* Whose packets are asked for. */
enum timeline_direction { TIMELINE_BOTH, TIMELINE_IN, TIMELINE_OUT };

struct timeline *timeline_new(void); /* NULL: out of memory */
void timeline_free(struct timeline *timeline);

/* Takes a sample, unless the last one is only milliseconds old. */
void timeline_sample(struct timeline *timeline, const struct socktally *meter);
/* Milliseconds until it takes the next one. */
int timeline_wait(const struct timeline *timeline);
/* The last sample: now. */
void timeline_end(struct timeline *timeline, const struct socktally *meter);

/* The time that timeline_after() is about, when no more samples are taken. */
void timeline_find(struct timeline *timeline, const struct timespec *time);

/*
 * Of the path, with `below` also of those below it, in that direction: what was accepted between
 * that time and the end, at least and at most.
 */
void timeline_after(const struct timeline *timeline, const char *path, bool below,
		    enum timeline_direction direction, struct report_amount *least,
		    struct report_amount *most);

#endif
