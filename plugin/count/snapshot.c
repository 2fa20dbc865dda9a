// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * Reading the table while the kernel writes it: loads from shared memory, no system call.
 *
 * A path may have a cell in the region of each CPU. The first region that has the path reports the
 * sum of all. "Has" means: when the snapshot began. Cells that are made later belong to the next
 * snapshot, so that a path which another CPU meets meanwhile is neither reported twice nor lost.
 */
#include "plugin/count/path_labels.h"
#include "plugin/count/path.h"
#include "plugin/meter/visit.h"
#include <errno.h>
#include <stdlib.h>

/* With more CPUs a snapshot allocates memory. */
#define STACK_CPUS 1024

struct snapshot {
	const struct socktally *meter;
	const uint16_t *used; /* cells of each region when the snapshot began */
	socktally_cell_fn fn;
	void *ctx;
	struct socktally_totals totals;
};

_Static_assert(ST_MAX_PATHS <= UINT16_MAX, "a number of cells fits in 16 bits");

static uint64_t cell_check(const struct st_cell *cell)
{
	return __atomic_load_n(&cell->check, __ATOMIC_ACQUIRE);
}

/*
 * The cells of a region. A CPU that reorders stores (arm64) may show the number before the last
 * cell: only whole ones are taken.
 */
static uint16_t region_used(const struct socktally *meter, uint32_t cpu)
{
	struct st_region *region = st_region_of(meter, cpu);
	const struct st_cell *cells = st_region_cells(region, meter->sizes);
	uint32_t used = __atomic_load_n(&region->used, __ATOMIC_ACQUIRE);

	if (used > meter->sizes.paths)
		used = meter->sizes.paths;
	while (used && cell_check(&cells[used - 1]) != st_path_hash(cells[used - 1].path))
		used--;
	return (uint16_t)used;
}

/* With the hash as well, a cell that is only half made is not taken for another path's. */
static inline bool cell_is(const struct st_cell *cell, struct st_path path, uint64_t hash)
{
	return cell_check(cell) == hash && cell->path.lo == path.lo && cell->path.hi == path.hi;
}

/*
 * A path's cell in a CPU's region, or NULL. CPUs mostly meet paths in about the same order: the cell
 * of the same number is tried first, which costs a third of a search.
 */
static const struct st_cell *cell_find(const struct snapshot *snapshot, uint32_t cpu,
				       struct st_path path, uint64_t hash, uint32_t number)
{
	const struct socktally *meter = snapshot->meter;
	struct st_region *region = st_region_of(meter, cpu);
	const struct st_cell *cells = st_region_cells(region, meter->sizes);
	const uint16_t *index = st_region_index(region);
	uint32_t used = snapshot->used[cpu];

	if (number < used && cell_is(&cells[number], path, hash))
		return &cells[number];
	for (uint32_t probe = 0; probe < ST_PROBES; probe++) {
		number = index[(hash + probe) & (meter->sizes.slots - 1)];
		if (!number)
			return NULL;
		if (number <= used && cell_is(&cells[number - 1], path, hash))
			return &cells[number - 1];
	}
	return NULL;
}

/*
 * Adds the counters of one direction. The kernel counts a packet as seen before it counts it as
 * accepted, so they are read in the other order: never more is accepted than seen.
 */
static inline void counts_add(struct socktally_counts *sum, const struct st_counts *counts)
{
	if (!counts->packets)
		return;
	sum->accepted_bytes += __atomic_load_n(&counts->accepted_bytes, __ATOMIC_ACQUIRE);
	sum->accepted_packets += __atomic_load_n(&counts->accepted_packets, __ATOMIC_ACQUIRE);
	sum->bytes += __atomic_load_n(&counts->bytes, __ATOMIC_ACQUIRE);
	sum->segments += __atomic_load_n(&counts->segments, __ATOMIC_ACQUIRE);
	sum->packets += __atomic_load_n(&counts->packets, __ATOMIC_ACQUIRE);
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
			result =
				st_visit_result(snapshot->meter, snapshot->fn(snapshot->ctx, cell));
	}
	return result;
}

static bool is_before(const struct snapshot *snapshot, uint32_t cpu, uint32_t number,
		      struct st_path path, uint64_t hash)
{
	for (uint32_t i = 0; i < cpu; i++)
		if (cell_find(snapshot, i, path, hash, number))
			return true;
	return false;
}

static void label_cells(struct socktally_cell cells[2], const char *text, const uint8_t *layers,
			uint32_t layer_count)
{
	for (int direction = SOCKTALLY_IN; direction <= SOCKTALLY_OUT; direction++) {
		cells[direction].path = text;
		cells[direction].layers = layers;
		cells[direction].layer_count = layer_count;
	}
}

/* The label of a path that has none yet. */
struct text {
	uint8_t layers[SOCKTALLY_MAX_LAYERS];
	char text[SOCKTALLY_PATH_TEXT_MAX];
};

static void label_cells_anew(struct text *text, struct st_path path, struct socktally_cell cells[2])
{
	uint32_t count = st_path_layers(path, text->layers);

	socktally_path_text(text->layers, count, text->text, sizeof(text->text));
	label_cells(cells, text->text, text->layers, count);
}

static int report_cell(struct snapshot *snapshot, uint32_t cpu, uint32_t number)
{
	const struct socktally *meter = snapshot->meter;
	const struct st_cell *cell, *other;
	struct socktally_cell sums[2];
	const struct st_path_label *label;
	struct text text;
	struct st_path path;
	uint64_t hash;

	cell = &st_region_cells(st_region_of(meter, cpu), meter->sizes)[number];
	hash = cell_check(cell);
	path = cell->path;
	label = st_path_label_of(meter, number, path, hash);
	if (is_before(snapshot, cpu, number, path, hash))
		return 0;
	sums[SOCKTALLY_IN].counts = (struct socktally_counts){0};
	sums[SOCKTALLY_OUT].counts = (struct socktally_counts){0};
	cell_add(sums, cell);
	for (uint32_t i = cpu + 1; i < meter->region_count; i++) {
		other = cell_find(snapshot, i, path, hash, number);
		if (other)
			cell_add(sums, other);
	}
	if (snapshot->fn && label) {
		label_cells(sums, label->text, label->layers, label->layer_count);
	} else if (snapshot->fn) {
		label_cells_anew(&text, path, sums);
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

/* The paths that no CPU before has: mostly the one just before has them, at the same place. */
static int report_region(struct snapshot *snapshot, uint32_t cpu)
{
	const struct socktally *meter = snapshot->meter;
	struct st_region *region = st_region_of(meter, cpu);
	struct st_region *before = cpu ? st_region_of(meter, cpu - 1) : region;
	const struct st_cell *cells = st_region_cells(region, meter->sizes);
	const struct st_cell *likely = st_region_cells(before, meter->sizes);
	uint32_t likely_used = cpu ? snapshot->used[cpu - 1] : 0;
	int result = 0;

	for (uint32_t i = 0; i < snapshot->used[cpu] && !result; i++)
		if (i >= likely_used || !cell_is(&likely[i], cells[i].path, cell_check(&cells[i])))
			result = report_cell(snapshot, cpu, i);
	return result;
}

static int report_all(struct snapshot *snapshot, uint16_t *used)
{
	const struct socktally *meter = snapshot->meter;
	int result = 0;

	for (uint32_t cpu = 0; cpu < meter->region_count; cpu++)
		used[cpu] = region_used(meter, cpu);
	snapshot->used = used;
	for (uint32_t cpu = 0; cpu < meter->region_count && !result; cpu++)
		result = report_region(snapshot, cpu);
	return result ? result : report_overflow(snapshot);
}

/* With more CPUs than have room on the stack. */
static int report_many(struct snapshot *snapshot)
{
	int saved = errno, result = -ENOMEM;
	uint16_t *used = malloc(snapshot->meter->region_count * sizeof(*used));

	if (used)
		result = report_all(snapshot, used);
	free(used);
	errno = saved;
	return result;
}

int socktally_snapshot(const struct socktally *meter, socktally_cell_fn fn, void *ctx,
		       struct socktally_totals *totals)
{
	struct snapshot snapshot = {.meter = meter, .fn = fn, .ctx = ctx};
	uint16_t used[STACK_CPUS];
	int result;

	if (!st_registry_has(meter))
		return -EINVAL;
	st_visit_begin(meter, ST_LIST_CELLS);
	if (meter->region_count <= STACK_CPUS)
		result = report_all(&snapshot, used);
	else
		result = report_many(&snapshot);
	st_visit_end(meter, ST_LIST_CELLS);
	if (totals)
		*totals = snapshot.totals;
	return result;
}
