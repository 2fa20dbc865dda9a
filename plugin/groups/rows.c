// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * What a group has counted: the cells of all CPUs added up, those with most bytes first. All that is in
 * no row of these is the difference to `all`, which counts every packet and is read last.
 */
#include "plugin/groups/groups.h"
#include "plugin/meter/meter.h"
#include "plugin/meter/visit.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct row {
	__u64 key[ST_GROUP_WORDS];
	struct socktally_counts counts;
	uint64_t missing;   /* by the cells that it has */
	uint64_t elsewhere; /* sum of `missing` of the regions in which it has a cell */
};

struct rows {
	const struct st_group *group;
	struct row *row;
	size_t count, room;
	uint32_t
		*index; /* number of a row + 1, by hash; a power of two, more than twice the rows */
	size_t slots;
	uint64_t missing; /* sum of the regions */
	struct socktally_counts all[2], none[2];
};

/* As they are counted, accepted last, they are read the other way: never more accepted than seen. */
static void counts_add(struct socktally_counts *sum, const struct st_counts *counts)
{
	sum->accepted_bytes += __atomic_load_n(&counts->accepted_bytes, __ATOMIC_ACQUIRE);
	sum->accepted_packets += __atomic_load_n(&counts->accepted_packets, __ATOMIC_ACQUIRE);
	sum->bytes += __atomic_load_n(&counts->bytes, __ATOMIC_ACQUIRE);
	sum->segments += __atomic_load_n(&counts->segments, __ATOMIC_ACQUIRE);
	sum->packets += __atomic_load_n(&counts->packets, __ATOMIC_ACQUIRE);
}

static void sum_up(struct socktally_counts *sum, const struct socktally_counts *counts)
{
	sum->packets += counts->packets;
	sum->segments += counts->segments;
	sum->bytes += counts->bytes;
	sum->accepted_packets += counts->accepted_packets;
	sum->accepted_bytes += counts->accepted_bytes;
}

static uint64_t less(uint64_t number, uint64_t part)
{
	return number > part ? number - part : 0;
}

static void take_away(struct socktally_counts *sum, const struct socktally_counts *counts)
{
	sum->packets = less(sum->packets, counts->packets);
	sum->segments = less(sum->segments, counts->segments);
	sum->bytes = less(sum->bytes, counts->bytes);
	sum->accepted_packets = less(sum->accepted_packets, counts->accepted_packets);
	sum->accepted_bytes = less(sum->accepted_bytes, counts->accepted_bytes);
}

/* A cell as it was between two packets; false: its key is just being replaced. */
static bool cell_read(const struct st_group *group, struct st_group_cell *cell, struct row *row)
{
	const uint32_t version = __atomic_load_n(&cell->version, __ATOMIC_ACQUIRE);

	*row = (struct row){.missing = cell->missing};
	for (uint32_t i = 0; i < group->sizes.words; i++)
		row->key[i] = __atomic_load_n(&st_group_cell_key(cell)[i], __ATOMIC_ACQUIRE);
	counts_add(&row->counts, &cell->counts);
	return !(version & 1) && __atomic_load_n(&cell->version, __ATOMIC_ACQUIRE) == version;
}

static struct row *row_of(struct rows *rows, const struct row *cell)
{
	uint64_t hash = st_group_hash(cell->key, rows->group->sizes.words);
	struct row *row;

	for (;; hash++) {
		uint32_t *slot = &rows->index[hash & (rows->slots - 1)];

		if (!*slot) {
			*slot = (uint32_t)++rows->count;
			row = &rows->row[rows->count - 1];
			*row = (struct row){.missing = 0};
			memcpy(row->key, cell->key, sizeof(row->key));
			return row;
		}
		row = &rows->row[*slot - 1];
		if (!memcmp(row->key, cell->key, sizeof(row->key)))
			return row;
	}
}

static void region_read(struct rows *rows, uint32_t cpu, uint32_t used)
{
	struct st_group_region *region = st_group_region_of(rows->group, cpu);
	uint64_t missing = __atomic_load_n(&region->missing, __ATOMIC_ACQUIRE);

	rows->missing += missing;
	for (uint32_t i = 0; i < used; i++) {
		struct row cell, *row;

		/* what is missed is in `other` */
		if (!cell_read(rows->group, st_group_cell(region, rows->group->sizes, i), &cell) ||
		    !cell.counts.packets)
			continue;
		row = row_of(rows, &cell);
		sum_up(&row->counts, &cell.counts);
		row->missing += cell.missing;
		row->elsewhere += missing;
	}
}

static int rows_read(struct rows *rows, const struct st_group *group)
{
	uint32_t *used = calloc(group->cpus, sizeof(*used));

	*rows = (struct rows){.group = group, .slots = 64};
	for (uint32_t cpu = 0; used && cpu < group->cpus; cpu++) {
		used[cpu] =
			__atomic_load_n(&st_group_region_of(group, cpu)->used, __ATOMIC_ACQUIRE);
		rows->room += used[cpu];
	}
	while (rows->slots < 2 * rows->room + 2)
		rows->slots *= 2;
	rows->row = malloc((rows->room + 1) * sizeof(*rows->row));
	rows->index = calloc(rows->slots, sizeof(*rows->index));
	if (!used || !rows->row || !rows->index) {
		free(used);
		return -ENOMEM;
	}
	for (uint32_t cpu = 0; cpu < group->cpus; cpu++)
		region_read(rows, cpu, used[cpu]);
	for (uint32_t cpu = 0; cpu < group->cpus; cpu++) {
		const struct st_group_region *region = st_group_region_of(group, cpu);

		for (int direction = SOCKTALLY_IN; direction <= SOCKTALLY_OUT; direction++)
			counts_add(&rows->none[direction], &region->none[direction]);
		for (int direction = SOCKTALLY_IN; direction <= SOCKTALLY_OUT; direction++)
			counts_add(&rows->all[direction], &region->all[direction]);
	}
	free(used);
	return 0;
}

static void rows_free(struct rows *rows)
{
	free(rows->row);
	free(rows->index);
}

static int compare(const void *one, const void *other)
{
	const struct row *a = one, *b = other;

	if (a->counts.bytes != b->counts.bytes)
		return a->counts.bytes > b->counts.bytes ? -1 : 1;
	for (size_t i = 0; i < ST_GROUP_WORDS; i++)
		if (a->key[i] != b->key[i])
			return a->key[i] < b->key[i] ? -1 : 1;
	return 0;
}

/* The texts of a row's values, which the callback is given. */
struct values {
	struct socktally_field field[ST_GROUP_KEY_FIELDS];
	char text[ST_GROUP_KEY_FIELDS][ST_VALUE_TEXT_MAX];
};

static int row_report(const struct socktally *meter, const struct rows *rows, const struct row *row,
		      socktally_group_row_fn fn, void *ctx)
{
	const struct st_group_key *key = &rows->group->key;
	struct values values;

	st_group_key_values(key, row->key, values.field, values.text);
	return st_visit_result(meter,
			       fn(ctx, &(struct socktally_group_row){
					       .kind = SOCKTALLY_GROUP_ROW,
					       .direction = row->key[key->direction.word] >>
								    key->direction.shift &
							    1,
					       .key = values.field,
					       .key_count = (uint32_t)key->count,
					       .counts = row->counts,
					       .missing_bytes = row->missing +
								less(rows->missing, row->elsewhere),
				       }));
}

static int sum_report(const struct socktally *meter, uint32_t kind, uint32_t direction,
		      const struct socktally_counts *counts, socktally_group_row_fn fn, void *ctx)
{
	if (!counts->packets)
		return 0;
	return st_visit_result(meter, fn(ctx, &(struct socktally_group_row){
						      .kind = kind,
						      .direction = direction,
						      .counts = *counts,
					      }));
}

static int rows_report(const struct socktally *meter, struct rows *rows, size_t most,
		       socktally_group_row_fn fn, void *ctx)
{
	int result = 0;

	if (rows->count)
		qsort(rows->row, rows->count, sizeof(*rows->row), compare);
	for (int direction = SOCKTALLY_IN; direction <= SOCKTALLY_OUT; direction++)
		take_away(&rows->all[direction], &rows->none[direction]);
	for (size_t i = 0; i < rows->count && i < most && !result; i++) {
		const struct row *row = &rows->row[i];
		const struct st_group_key_place *place = &rows->group->key.direction;

		take_away(&rows->all[row->key[place->word] >> place->shift & 1], &row->counts);
		result = row_report(meter, rows, row, fn, ctx);
	}
	for (uint32_t direction = SOCKTALLY_IN; direction <= SOCKTALLY_OUT && !result; direction++)
		result = sum_report(meter, SOCKTALLY_GROUP_OTHER, direction, &rows->all[direction],
				    fn, ctx);
	for (uint32_t direction = SOCKTALLY_IN; direction <= SOCKTALLY_OUT && !result; direction++)
		result = sum_report(meter, SOCKTALLY_GROUP_NONE, direction, &rows->none[direction],
				    fn, ctx);
	return result;
}

int st_group_rows_report(struct socktally *meter, const struct st_group *group, uint32_t most,
			 socktally_group_row_fn fn, void *ctx)
{
	struct rows rows;
	int result;

	st_visit_begin(meter, ST_LIST_GROUPS);
	result = rows_read(&rows, group);
	if (result)
		st_fail(meter, result, "no memory for the rows of the group %s", group->name);
	else
		result = rows_report(meter, &rows, most, fn, ctx);
	rows_free(&rows);
	st_visit_end(meter, ST_LIST_GROUPS);
	return result;
}

int socktally_group_rows(struct socktally *meter, const char *name, uint32_t most,
			 socktally_group_row_fn fn, void *ctx)
{
	const struct st_group *group;
	int saved = errno, result;

	if (!st_registry_has(meter))
		return -EINVAL;
	if (!name || !fn)
		return st_fail(meter, -EINVAL, "rows of a group: no %s",
			       name ? "callback" : "name");
	group = st_group_find(meter, name);
	if (!group)
		return st_fail(meter, -ENOENT, "there is no group %s", name);
	if (!most)
		most = group->rows ? group->rows : UINT32_MAX;
	result = st_group_rows_report(meter, group, most, fn, ctx);
	errno = saved;
	return result;
}
