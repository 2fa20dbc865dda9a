/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The text and layers of paths, made when a snapshot reports a path for the first time. There is one
 * label for each cell number, shared by all CPUs, as a number mostly is the same path on each. Where
 * it is another path, the text is longer than a label, or there is no memory, the text is made anew
 * in each snapshot.
 */
#ifndef SOCKTALLY_PLUGIN_COUNT_PATH_LABELS_H
#define SOCKTALLY_PLUGIN_COUNT_PATH_LABELS_H

#include "plugin/meter/meter.h"

enum st_label_state { ST_LABEL_NONE, ST_LABEL_BEING_MADE, ST_LABEL_MADE };

struct st_path_label {
	uint32_t state; /* enum st_label_state; once made, nothing below changes */
	uint32_t layer_count;
	struct st_path path;
	uint64_t check; /* the path's hash, as in its cell */
	uint8_t layers[SOCKTALLY_MAX_LAYERS];
	char text[82];
};
_Static_assert(sizeof(struct st_path_label) == 128, "what is looked at is one cache line");

/* Without memory the meter has no labels. */
void st_path_labels_open(struct socktally *meter);
void st_path_labels_close(struct socktally *meter);

/* The label of this number, if it is this path's; else NULL. */
static inline const struct st_path_label *st_path_label_of(const struct socktally *meter,
							   uint32_t number, struct st_path path,
							   uint64_t check)
{
	const struct st_path_label *label;

	if (!meter->path_labels)
		return NULL;
	label = &meter->path_labels[number];
	if (__atomic_load_n(&label->state, __ATOMIC_ACQUIRE) != ST_LABEL_MADE ||
	    label->check != check || label->path.lo != path.lo || label->path.hi != path.hi)
		return NULL;
	return label;
}

/* Keeps a label if the place is free and the text fits. Any thread may call it, as for snapshots. */
void st_path_label_keep(const struct socktally *meter, uint32_t number, struct st_path path,
			uint64_t check, const struct socktally_cell *cell);

#endif
