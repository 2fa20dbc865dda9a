// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * Reading the table while the kernel writes it: loads from shared memory, no system call.
 *
 * A path may have a cell in the region of every CPU. The region in which it comes first reports it,
 * with what the later ones have; their indexes find it, so that no memory is needed here.
 */
#include "plugin/count/path_labels.h"
#include "plugin/count/path.h"
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

/* A cell whose path is known, and so is its check: if both are there, it is that path's. */
static inline bool cell_is(const struct st_cell *cell, struct st_path path, uint64_t check)
{
	return __atomic_load_n(&cell->check, __ATOMIC_ACQUIRE) == check &&
	       cell->path.lo == path.lo && cell->path.hi == path.hi;
}

/* st_cell_find() for a reader, who knows the path's hash. */
static const struct st_cell *cell_search(struct st_region *region, struct st_sizes sizes,
					 struct st_path path, uint64_t hash)
{
	const struct st_cell *cells = st_region_cells(region, sizes);
	const uint16_t *index = st_region_index(region);
	uint32_t used = region_used(region, sizes);

	for (uint32_t probe = 0; probe < ST_PROBES; probe++) {
		uint32_t number = index[(hash + probe) & (sizes.slots - 1)];

		if (!number)
			return NULL;
		if (number <= used && cell_is(&cells[number - 1], path, hash))
			return &cells[number - 1];
	}
	return NULL;
}

/*
 * A path's cell at the place that it has in another CPU's region, or NULL: as CPUs mostly meet with
 * paths in about the same order, it is worth a look, which costs a third of a search.
 */
static inline const struct st_cell *cell_at(struct st_region *region, struct st_sizes sizes,
					    struct st_path path, uint64_t hash, uint32_t number)
{
	const struct st_cell *cell = &st_region_cells(region, sizes)[number];

	return number < region_used(region, sizes) && cell_is(cell, path, hash) ? cell : NULL;
}

/* Of one direction. */
static inline void counts_add(struct socktally_counts *sum, const struct st_counts *counts)
{
	if (!counts->packets)
		return;
	sum->packets += counts->packets;
	sum->segments += counts->segments;
	sum->bytes += counts->bytes;
	sum->accepted_packets += counts->accepted_packets;
	sum->accepted_bytes += counts->accepted_bytes;
}

static inline void cell_add(struct socktally_cell sums[2], const struct st_cell *cell)
{
	counts_add(&sums[SOCKTALLY_IN].counts, &cell->in);
	counts_add(&sums[SOCKTALLY_OUT].counts, &cell->out);
}

/* Reports a path in both directions. */
static int report(struct snapshot *snapshot, struct socktally_cell cells[2])
{
	struct socktally_counts *totals = &snapshot->totals.counts;
	int result = 0;

	for (int direction = SOCKTALLY_IN; direction <= SOCKTALLY_OUT && !result; direction++) {
		struct socktally_cell *cell = &cells[direction];

		if (!cell->counts.packets)
			continue;
		totals->packets += cell->counts.packets;
		totals->segments += cell->counts.segments;
		totals->bytes += cell->counts.bytes;
		totals->accepted_packets += cell->counts.accepted_packets;
		totals->accepted_bytes += cell->counts.accepted_bytes;
		cell->direction = direction;
		if (snapshot->fn)
			result = snapshot->fn(snapshot->ctx, cell);
	}
	return result;
}

static bool is_before(const struct socktally *meter, uint32_t cpu, uint32_t number,
		      struct st_path path, uint64_t hash)
{
	for (uint32_t i = 0; i < cpu; i++) {
		struct st_region *region = st_region_of(meter, i);

		if (cell_at(region, meter->sizes, path, hash, number) ||
		    cell_search(region, meter->sizes, path, hash))
			return true;
	}
	return false;
}

static void name_cells(struct socktally_cell cells[2], const char *text, const uint8_t *layers,
		       uint32_t layer_count)
{
	for (int direction = SOCKTALLY_IN; direction <= SOCKTALLY_OUT; direction++) {
		cells[direction].path = text;
		cells[direction].layers = layers;
		cells[direction].layer_count = layer_count;
	}
}

/* What name_cells() is given, for a path that has no name yet. */
struct words {
	uint8_t layers[SOCKTALLY_MAX_LAYERS];
	char text[SOCKTALLY_PATH_TEXT_MAX];
};

static void find_words(struct words *words, struct st_path path, struct socktally_cell cells[2])
{
	uint32_t count = st_path_layers(path, words->layers);

	socktally_path_text(words->layers, count, words->text, sizeof(words->text));
	name_cells(cells, words->text, words->layers, count);
}

static int report_cell(struct snapshot *snapshot, uint32_t cpu, uint32_t number)
{
	const struct socktally *meter = snapshot->meter;
	const struct st_cell *cell, *other;
	struct socktally_cell sums[2];
	const struct st_path_label *name;
	struct words words;
	struct st_path path;
	uint64_t hash;

	cell = &st_region_cells(st_region_of(meter, cpu), meter->sizes)[number];
	hash = __atomic_load_n(&cell->check, __ATOMIC_ACQUIRE);
	path = cell->path;
	name = st_path_label_of(meter, number, path, hash);
	/* Not its hash: another CPU is making the cell right now, it is there next time. */
	if ((!name && hash != st_path_hash(path)) || is_before(meter, cpu, number, path, hash))
		return 0;
	sums[SOCKTALLY_IN].counts = (struct socktally_counts){0};
	sums[SOCKTALLY_OUT].counts = (struct socktally_counts){0};
	cell_add(sums, cell);
	for (uint32_t i = cpu + 1; i < meter->region_count; i++) {
		struct st_region *region = st_region_of(meter, i);

		other = cell_at(region, meter->sizes, path, hash, number);
		if (!other)
			other = cell_search(region, meter->sizes, path, hash);
		if (other)
			cell_add(sums, other);
	}
	if (snapshot->fn && name) {
		name_cells(sums, name->text, name->layers, name->layer_count);
	} else if (snapshot->fn) {
		find_words(&words, path, sums);
		st_path_label_keep(meter, number, path, hash, sums);
	}
	return report(snapshot, sums);
}

/* What a full table could not hold. */
static int report_overflow(struct snapshot *snapshot)
{
	struct socktally_cell sums[2] = {{.path = "overflow"}, {.path = "overflow"}};

	for (uint32_t i = 0; i < snapshot->meter->region_count; i++)
		cell_add(sums, &st_region_of(snapshot->meter, i)->overflow);
	snapshot->totals.overflow_packets =
		sums[SOCKTALLY_IN].counts.packets + sums[SOCKTALLY_OUT].counts.packets;
	return report(snapshot, sums);
}

/* The cells of a CPU that none before it has, which is soon seen where they are at the same places. */
static int report_region(struct snapshot *snapshot, uint32_t cpu)
{
	const struct socktally *meter = snapshot->meter;
	struct st_region *region = st_region_of(meter, cpu);
	struct st_region *before = cpu ? st_region_of(meter, cpu - 1) : region;
	const struct st_cell *cells = st_region_cells(region, meter->sizes);
	const struct st_cell *likely = st_region_cells(before, meter->sizes);
	uint32_t used = region_used(region, meter->sizes);
	uint32_t likely_used = cpu ? region_used(before, meter->sizes) : 0;
	int result = 0;

	for (uint32_t i = 0; i < used && !result; i++) {
		uint64_t check = __atomic_load_n(&cells[i].check, __ATOMIC_ACQUIRE);

		if (i >= likely_used || !check || !cell_is(&likely[i], cells[i].path, check))
			result = report_cell(snapshot, cpu, i);
	}
	return result;
}

int socktally_snapshot(const struct socktally *meter, socktally_cell_fn fn, void *ctx,
		       struct socktally_totals *totals)
{
	struct snapshot snapshot = {.meter = meter, .fn = fn, .ctx = ctx};
	int result = 0;

	if (!st_is_live(meter))
		return -EINVAL;
	for (uint32_t cpu = 0; cpu < meter->region_count && !result; cpu++)
		result = report_region(&snapshot, cpu);
	if (!result)
		result = report_overflow(&snapshot);
	if (totals)
		*totals = snapshot.totals;
	return result;
}
