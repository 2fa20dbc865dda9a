// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* What was counted since the last time: a snapshot, less what has been told. */
#include "plugin/count/changes.h"
#include "plugin/meter/meter.h"
#include "plugin/meter/visit.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A path in one direction. Rows that were there before are in the order of compare(). */
struct st_change {
	uint8_t layers[SOCKTALLY_MAX_LAYERS]; /* zeros behind; "overflow" has none */
	uint8_t layer_count;
	uint8_t direction;
	struct socktally_counts now, told;
};

struct collection {
	struct socktally *meter;
	size_t sorted; /* rows from before */
};

static int compare(const void *left, const void *right)
{
	const struct st_change *a = left, *b = right;
	int order = memcmp(a->layers, b->layers, sizeof(a->layers));

	return order ? order : (int)a->direction - (int)b->direction;
}

static struct st_change *row_new(struct socktally *meter)
{
	struct st_change *grown;

	if (meter->change_count == meter->change_room) {
		size_t room = meter->change_room ? 2 * meter->change_room : 64;

		grown = reallocarray(meter->changes, room, sizeof(*grown));
		if (!grown)
			return NULL;
		meter->changes = grown;
		meter->change_room = room;
	}
	return &meter->changes[meter->change_count++];
}

static int take_cell(void *ctx, const struct socktally_cell *cell)
{
	const struct collection *collection = ctx;
	struct socktally *meter = collection->meter;
	struct st_change key = {.layer_count = (uint8_t)cell->layer_count,
				.direction = (uint8_t)cell->direction};
	struct st_change *row = NULL;

	if (cell->layer_count)
		memcpy(key.layers, cell->layers, cell->layer_count);
	if (collection->sorted)
		row = bsearch(&key, meter->changes, collection->sorted, sizeof(key), compare);
	if (!row) {
		row = row_new(meter);
		if (!row)
			return -ENOMEM;
		*row = key;
	}
	row->now = cell->counts;
	return 0;
}

/* false: nothing. A packet may be counted in one snapshot and accepted in the next. */
static bool difference(struct socktally_counts *sum, const struct st_change *row,
		       struct socktally_counts *counts)
{
	const struct socktally_counts *now = &row->now, *told = &row->told;

	counts->packets = now->packets - told->packets;
	counts->segments = now->segments - told->segments;
	counts->bytes = now->bytes - told->bytes;
	counts->accepted_packets = now->accepted_packets - told->accepted_packets;
	counts->accepted_bytes = now->accepted_bytes - told->accepted_bytes;
	sum->packets += counts->packets;
	sum->segments += counts->segments;
	sum->bytes += counts->bytes;
	sum->accepted_packets += counts->accepted_packets;
	sum->accepted_bytes += counts->accepted_bytes;
	return memcmp(now, told, sizeof(*now));
}

static int tell(struct socktally *meter, socktally_cell_fn fn, void *ctx,
		struct socktally_totals *totals)
{
	char text[SOCKTALLY_PATH_TEXT_MAX];
	int result = 0;

	for (size_t i = 0; i < meter->change_count && !result; i++) {
		struct st_change *row = &meter->changes[i];
		struct socktally_cell cell = {.path = "overflow",
					      .layers = row->layers,
					      .layer_count = row->layer_count,
					      .direction = row->direction};

		if (!difference(&totals->counts, row, &cell.counts))
			continue;
		row->told = row->now;
		if (row->layer_count)
			cell.path = text;
		else
			totals->overflow_packets += cell.counts.packets;
		if (!fn)
			continue;
		if (row->layer_count)
			socktally_path_text(row->layers, row->layer_count, text, sizeof(text));
		result = st_visit_result(meter, fn(ctx, &cell));
	}
	return result;
}

int socktally_changes(struct socktally *meter, socktally_cell_fn fn, void *ctx,
		      struct socktally_totals *totals)
{
	struct socktally_totals sum = {0};
	struct collection collection = {.meter = meter};
	int saved = errno, result;

	if (!st_registry_has(meter))
		return -EINVAL;
	result = st_visit_refuse(meter, ST_LIST_CHANGES);
	if (result)
		return result;
	collection.sorted = meter->change_count;
	st_visit_begin(meter, ST_LIST_CHANGES);
	result = socktally_snapshot(meter, take_cell, &collection, NULL);
	if (meter->change_count > collection.sorted)
		qsort(meter->changes, meter->change_count, sizeof(*meter->changes), compare);
	if (result)
		st_fail(meter, result, "no memory for the counts since the last time");
	else
		result = tell(meter, fn, ctx, &sum);
	st_visit_end(meter, ST_LIST_CHANGES);
	if (totals)
		*totals = sum;
	errno = saved;
	return result;
}

void st_changes_free(struct socktally *meter)
{
	free(meter->changes);
	meter->changes = NULL;
	meter->change_count = meter->change_room = 0;
}
