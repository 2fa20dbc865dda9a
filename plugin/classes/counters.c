// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * The counters of classes: read without a system call, and carried over from one list to the next.
 */
#include "plugin/bpf/syscall.h"
#include "plugin/classes/classes.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SLOTS_MIN 64

static const struct st_counts *cell_counts(const struct st_class_counters *counters, uint32_t cpu,
					   uint32_t cell, enum socktally_direction direction)
{
	const struct st_class_region *region =
		(const void *)(counters->regions + (size_t)cpu * counters->region_size);
	const struct st_class_cell *cells = (const struct st_class_cell *)(region + 1);

	return direction == SOCKTALLY_OUT ? &cells[cell].out : &cells[cell].in;
}

static struct socktally_counts cell_sum(const struct st_class_counters *counters, uint32_t cell,
					enum socktally_direction direction)
{
	struct socktally_counts sum = {0};

	for (uint32_t cpu = 0; cpu < counters->cpus; cpu++) {
		const volatile struct st_counts *counts =
			cell_counts(counters, cpu, cell, direction);

		sum.packets += counts->packets;
		sum.segments += counts->segments;
		sum.bytes += counts->bytes;
		sum.accepted_packets += counts->accepted_packets;
		sum.accepted_bytes += counts->accepted_bytes;
	}
	return sum;
}

static struct socktally_counts less(struct socktally_counts counts,
				    const struct socktally_counts *other)
{
	counts.packets -= other->packets;
	counts.segments -= other->segments;
	counts.bytes -= other->bytes;
	counts.accepted_packets -= other->accepted_packets;
	counts.accepted_bytes -= other->accepted_bytes;
	return counts;
}

struct socktally_counts st_class_cell_read(const struct st_class_counters *counters, uint32_t cell,
					   enum socktally_direction direction)
{
	return less(cell_sum(counters, cell, direction), &counters->base[cell][direction]);
}

uint32_t st_class_cell_take(struct st_class_counters *counters)
{
	for (uint32_t cell = 1; cell < counters->slots; cell++) {
		if (counters->used[cell])
			continue;
		counters->used[cell] = true;
		for (int direction = SOCKTALLY_IN; direction <= SOCKTALLY_OUT; direction++)
			counters->base[cell][direction] = cell_sum(counters, cell, direction);
		return cell;
	}
	return 0;
}

void st_class_cell_carry_on(struct st_class_counters *counters, uint32_t cell,
			    const struct st_class_counters *old, uint32_t old_cell)
{
	for (int direction = SOCKTALLY_IN; direction <= SOCKTALLY_OUT; direction++) {
		struct socktally_counts had = st_class_cell_read(old, old_cell, direction);

		counters->base[cell][direction] = less(counters->base[cell][direction], &had);
	}
}

static int map_make(struct st_class_counters *counters)
{
	void *mapped;

	counters->map =
		st_bpf_map_create(BPF_MAP_TYPE_ARRAY, "socktally_class", sizeof(uint32_t),
				  (uint32_t)counters->region_size, counters->cpus, BPF_F_MMAPABLE);
	if (counters->map < 0)
		return counters->map;
	mapped = mmap(NULL, counters->cpus * counters->region_size, PROT_READ, MAP_SHARED,
		      counters->map, 0);
	if (mapped == MAP_FAILED)
		return -errno;
	counters->regions = mapped;
	return 0;
}

int st_class_counters_make(struct st_class_counters *counters, uint32_t cpus, size_t classes,
			   bool kernel)
{
	int result = 0;

	*counters = (struct st_class_counters){.map = -1, .cpus = cpus, .slots = SLOTS_MIN};
	/* room for two lists: the old and the new one exist together for a moment */
	while (counters->slots < 2 * (classes + 1))
		counters->slots *= 2;
	counters->region_size = st_class_region_size(counters->slots);
	counters->used = calloc(counters->slots, sizeof(*counters->used));
	counters->base = calloc(counters->slots, sizeof(*counters->base));
	if (!counters->used || !counters->base)
		result = -ENOMEM;
	else if (kernel)
		result = map_make(counters);
	else
		counters->regions = calloc(cpus, counters->region_size);
	if (!result && !counters->regions)
		result = -ENOMEM;
	if (result)
		st_class_counters_free(counters);
	return result;
}

void st_class_counters_free(struct st_class_counters *counters)
{
	if (counters->regions && counters->map >= 0)
		munmap(counters->regions, counters->cpus * counters->region_size);
	else
		free(counters->regions);
	if (counters->map >= 0)
		close(counters->map);
	free(counters->used);
	free(counters->base);
	*counters = (struct st_class_counters){.map = -1};
}
