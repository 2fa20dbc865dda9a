// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * Reading the table while the kernel writes it: loads from shared memory, no system call.
 *
 * A path may have a cell in the region of every CPU. The region in which it comes first reports it,
 * with what the later ones have; their indexes find it, so that no memory is needed here.
 */
#include "meter.h"
#include "path.h"
#include <errno.h>

struct snapshot {
	const struct socktally *meter;
	socktally_cell_fn fn;
	void *ctx;
	struct socktally_totals totals;
};

/* The cells in use; cells are whole before they are counted. */
static uint32_t region_used(const struct st_region *region, struct st_sizes sizes)
{
	uint32_t used = __atomic_load_n(&region->used, __ATOMIC_ACQUIRE);

	return used < sizes.paths ? used : sizes.paths;
}

/* False for a cell that another CPU is making right now: it is there the next time. */
static bool cell_read_path(const struct st_cell *cell, struct st_path *path)
{
	uint64_t check = __atomic_load_n(&cell->check, __ATOMIC_ACQUIRE);

	*path = cell->path;
	return check == st_path_hash(*path);
}

/* st_cell_find() for a reader. */
static const struct st_cell *cell_look_up(struct st_region *region, struct st_sizes sizes,
					  struct st_path path)
{
	const struct st_cell *cells = st_region_cells(region, sizes);
	const uint16_t *index = st_region_index(region);
	uint64_t hash = st_path_hash(path);
	uint32_t used = region_used(region, sizes);
	struct st_path found;

	for (uint32_t probe = 0; probe < ST_PROBES; probe++) {
		uint32_t number = index[(hash + probe) & (sizes.slots - 1)];

		if (!number)
			return NULL;
		if (number <= used && cell_read_path(&cells[number - 1], &found) &&
		    found.lo == path.lo && found.hi == path.hi)
			return &cells[number - 1];
	}
	return NULL;
}

static void counts_add(struct socktally_counts *sum, const struct st_counts *counts)
{
	sum->packets += counts->packets;
	sum->segments += counts->segments;
	sum->bytes += counts->bytes;
	sum->accepted_packets += counts->accepted_packets;
	sum->accepted_bytes += counts->accepted_bytes;
}

static void cell_add(struct socktally_counts sums[2], const struct st_cell *cell)
{
	counts_add(&sums[SOCKTALLY_IN], &cell->in);
	counts_add(&sums[SOCKTALLY_OUT], &cell->out);
}

/* Reports a path in both directions; layers NULL: what the full table could not hold. */
static int report(struct snapshot *snapshot, const struct socktally_counts sums[2],
		  const uint8_t *layers, uint32_t layer_count)
{
	struct socktally_counts *totals = &snapshot->totals.counts;
	char text[SOCKTALLY_PATH_TEXT_MAX] = "overflow";
	struct socktally_cell cell = {.path = text, .layers = layers, .layer_count = layer_count};
	int result = 0;

	if (layers && snapshot->fn)
		socktally_path_text(layers, layer_count, text, sizeof(text));
	for (int direction = SOCKTALLY_IN; direction <= SOCKTALLY_OUT && !result; direction++) {
		const struct socktally_counts *counts = &sums[direction];

		if (!counts->packets)
			continue;
		totals->packets += counts->packets;
		totals->segments += counts->segments;
		totals->bytes += counts->bytes;
		totals->accepted_packets += counts->accepted_packets;
		totals->accepted_bytes += counts->accepted_bytes;
		if (!layers)
			snapshot->totals.overflow_packets += counts->packets;
		cell.direction = direction;
		cell.counts = *counts;
		if (snapshot->fn)
			result = snapshot->fn(snapshot->ctx, &cell);
	}
	return result;
}

static int report_cell(struct snapshot *snapshot, uint32_t cpu, const struct st_cell *cell)
{
	const struct socktally *meter = snapshot->meter;
	struct socktally_counts sums[2] = {{0}};
	uint8_t layers[SOCKTALLY_MAX_LAYERS];
	const struct st_cell *other;
	struct st_path path;

	if (!cell_read_path(cell, &path))
		return 0;
	for (uint32_t i = 0; i < cpu; i++)
		if (cell_look_up(st_region_of(meter, i), meter->sizes, path))
			return 0;
	cell_add(sums, cell);
	for (uint32_t i = cpu + 1; i < meter->region_count; i++) {
		other = cell_look_up(st_region_of(meter, i), meter->sizes, path);
		if (other)
			cell_add(sums, other);
	}
	return report(snapshot, sums, layers, st_path_layers(path, layers));
}

static int report_overflow(struct snapshot *snapshot)
{
	struct socktally_counts sums[2] = {{0}};

	for (uint32_t i = 0; i < snapshot->meter->region_count; i++)
		cell_add(sums, &st_region_of(snapshot->meter, i)->overflow);
	return report(snapshot, sums, NULL, 0);
}

int socktally_snapshot(const struct socktally *meter, socktally_cell_fn fn, void *ctx,
		       struct socktally_totals *totals)
{
	struct snapshot snapshot = {.meter = meter, .fn = fn, .ctx = ctx};
	int result = 0;

	if (!st_is_live(meter))
		return -EINVAL;
	for (uint32_t cpu = 0; cpu < meter->region_count && !result; cpu++) {
		struct st_region *region = st_region_of(meter, cpu);
		const struct st_cell *cells = st_region_cells(region, meter->sizes);
		uint32_t used = region_used(region, meter->sizes);

		for (uint32_t i = 0; i < used && !result; i++)
			result = report_cell(&snapshot, cpu, &cells[i]);
	}
	if (!result)
		result = report_overflow(&snapshot);
	if (totals)
		*totals = snapshot.totals;
	return result;
}
