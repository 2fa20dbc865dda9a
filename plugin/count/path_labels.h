/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Paths as snapshots report them, made once: a cell keeps its path for as long as there is a meter.
 * There is one place for a cell's number, of all CPUs together, whose numbers mostly are the same
 * paths. Who comes second, has a very long path or no memory makes the words each time.
 */
#ifndef SOCKTALLY_PLUGIN_COUNT_PATH_LABELS_H
#define SOCKTALLY_PLUGIN_COUNT_PATH_LABELS_H

#include "plugin/meter/meter.h"

enum st_name_state { ST_NAME_NONE, ST_NAME_BEING_MADE, ST_NAME_MADE };

struct st_path_label {
	uint32_t state; /* what is below doesn't change any more once it is made */
	uint32_t layer_count;
	struct st_path path;
	uint64_t check; /* its cell's, which is right */
	uint8_t layers[SOCKTALLY_MAX_LAYERS];
	char text[82];
};
_Static_assert(sizeof(struct st_path_label) == 128, "what is looked at is one cache line");

/* Without memory there are none. */
void st_path_labels_open(struct socktally *meter);
void st_path_labels_close(struct socktally *meter);

/* The name in the number's place, if it is that path's. */
static inline const struct st_path_label *st_path_label_of(const struct socktally *meter,
							   uint32_t number, struct st_path path,
							   uint64_t check)
{
	const struct st_path_label *name;

	if (!meter->names)
		return NULL;
	name = &meter->names[number];
	if (__atomic_load_n(&name->state, __ATOMIC_ACQUIRE) != ST_NAME_MADE ||
	    name->check != check || name->path.lo != path.lo || name->path.hi != path.hi)
		return NULL;
	return name;
}

/* Puts it there, if that place is free and large enough. By any thread, like snapshots. */
void st_path_label_keep(const struct socktally *meter, uint32_t number, struct st_path path,
			uint64_t check, const struct socktally_cell *cell);

#endif
