/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* What the parts of the reader of reports share. */
#ifndef SOCKTALLY_TOOLS_SAVED_READING_H
#define SOCKTALLY_TOOLS_SAVED_READING_H

#include "tools/saved/json.h"
#include "tools/saved/side.h"

/* false, and the reader's error, unless `error` is 0. */
bool saved_failed(struct saved_json *json, int error);
/* A string of size - 1 bytes at most. */
bool saved_take_name(struct saved_json *json, char *name, size_t size);
/* One of the counters, or a member that is passed over. */
bool saved_take_counter(struct saved_json *json, const char *name, struct socktally_counts *counts);

/* An element of groups[]. */
bool saved_group(struct saved_json *json, struct saved_side *side);

#endif
