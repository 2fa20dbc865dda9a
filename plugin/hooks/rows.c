// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* What a hook's maps hold, element by element. */
#include "plugin/bpf/syscall.h"
#include "plugin/hooks/btf_format.h"
#include "plugin/hooks/object.h"
#include "plugin/meter/meter.h"
#include "plugin/meter/visit.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct walk {
	struct socktally *meter;
	const struct st_hook_own *own;
	const struct st_loader_map *map;
	socktally_row_fn fn;
	void *ctx;
	uint8_t *key, *next, *value; /* value: one for each CPU, if the map has that */
	struct st_btf_format keys, values;
};

static bool is_per_cpu(uint32_t type)
{
	return type == BPF_MAP_TYPE_PERCPU_ARRAY || type == BPF_MAP_TYPE_PERCPU_HASH ||
	       type == BPF_MAP_TYPE_LRU_PERCPU_HASH;
}

static bool is_array(uint32_t type)
{
	return type == BPF_MAP_TYPE_ARRAY || type == BPF_MAP_TYPE_PERCPU_ARRAY;
}

static bool has_rows(const struct st_loader_map *map)
{
	if (map->fd < 0)
		return false;
	switch (map->type) {
	case BPF_MAP_TYPE_ARRAY:
	case BPF_MAP_TYPE_PERCPU_ARRAY:
	case BPF_MAP_TYPE_HASH:
	case BPF_MAP_TYPE_PERCPU_HASH:
	case BPF_MAP_TYPE_LRU_HASH:
	case BPF_MAP_TYPE_LRU_PERCPU_HASH:
	case BPF_MAP_TYPE_LPM_TRIE:
		return !map->constant;
	}
	return false;
}

/* The kernel gives each CPU's value in a multiple of 8 bytes. */
static size_t value_stride(const struct st_loader_map *map)
{
	return ((size_t)map->value_size + 7) & ~(size_t)7;
}

/* All CPUs' values are added to the first. */
static void add_cpus(const struct walk *walk)
{
	const struct st_loader_map *map = walk->map;

	for (uint32_t cpu = 1; cpu < walk->meter->region_count; cpu++)
		st_btf_format_sum(&walk->own->loader.object.btf, map->value_type, walk->value,
				  walk->value + cpu * value_stride(map), map->value_size);
}

static bool is_zero(const uint8_t *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (bytes[i])
			return false;
	return true;
}

/* Global variables are members of one value. */
static void variables_fill(struct walk *walk)
{
	const struct st_btf *btf = &walk->own->loader.object.btf;
	const struct btf_type *section = st_btf_type(btf, walk->map->variables);
	const struct btf_var_secinfo *variables = st_btf_tail(section);

	for (uint32_t i = 0; section && i < st_btf_count(section); i++) {
		const struct btf_type *type = st_btf_type(btf, variables[i].type);
		const uint32_t offset = variables[i].offset;

		if (type && st_btf_kind(type) == BTF_KIND_VAR && offset < walk->map->value_size)
			st_btf_format_fill(&walk->values, btf, type->type,
					   st_btf_name(btf, type->name_off), walk->value + offset,
					   walk->map->value_size - offset);
	}
}

/* The value at the key, with its fields. */
static int value_read(struct walk *walk)
{
	const struct st_loader_map *map = walk->map;
	int result = st_bpf_map_lookup(map->fd, walk->key, walk->value);

	if (result)
		return result;
	if (is_per_cpu(map->type))
		add_cpus(walk);
	st_btf_format_clear(&walk->values);
	if (map->contents)
		variables_fill(walk);
	else
		st_btf_format_fill(&walk->values, &walk->own->loader.object.btf, map->value_type,
				   "value", walk->value, map->value_size);
	return 0;
}

static int report(struct walk *walk)
{
	const struct st_loader_map *map = walk->map;
	struct socktally_row row = {.map = map->name,
				    .raw_key = walk->key,
				    .raw_value = walk->value,
				    .raw_key_size = map->contents ? 0 : map->key_size,
				    .raw_value_size = map->value_size};

	if (is_array(map->type) && is_zero(walk->value, map->value_size))
		return 0;
	st_btf_format_clear(&walk->keys);
	if (!is_array(map->type) || map->entries > 1) /* the only one needs no number */
		st_btf_format_fill(&walk->keys, &walk->own->loader.object.btf, map->key_type, "key",
				   walk->key, map->key_size);
	row.key = walk->keys.field;
	row.key_count = walk->keys.count;
	row.value = walk->values.field;
	row.value_count = walk->values.count;
	return st_visit_result(walk->meter, walk->fn(walk->ctx, &row));
}

static int read_failed(const struct walk *walk, int error)
{
	return st_fail(walk->meter, error, "can't read the map %s: %s", walk->map->name,
		       strerror(-error));
}

/* What a row is sorted by. */
static uint64_t weight_of(const struct st_btf_format *values)
{
	static const char *const names[] = {"bytes", "packets"};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		for (uint32_t j = 0; j < values->count; j++)
			if (!strcmp(values->field[j].name, names[i]))
				return values->field[j].number;
	for (uint32_t i = 0; i < values->count; i++)
		if (values->field[i].type == SOCKTALLY_UNSIGNED)
			return values->field[i].number;
	return 0;
}

/* The keys with the greatest weights so far, in order. */
struct best {
	uint32_t most, count;
	uint64_t *weights;
	uint8_t *keys;
	size_t key_size;
};

static void best_take(struct best *best, uint64_t weight, const uint8_t *key)
{
	uint32_t low = 0, high = best->count;

	while (low < high) {
		uint32_t middle = (low + high) / 2;

		if (best->weights[middle] >= weight)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == best->most)
		return;
	if (best->count < best->most)
		best->count++;
	memmove(best->weights + low + 1, best->weights + low,
		(best->count - low - 1) * sizeof(*best->weights));
	memmove(best->keys + (low + 1) * best->key_size, best->keys + low * best->key_size,
		(best->count - low - 1) * best->key_size);
	best->weights[low] = weight;
	memcpy(best->keys + low * best->key_size, key, best->key_size);
}

/* The value at the key. 0; 1: the element is gone; -errno, noted. */
static int element_read(struct walk *walk)
{
	int result = value_read(walk);

	if (result == -ENOENT)
		return 1;
	return result ? read_failed(walk, result) : 0;
}

/*
 * Elements may come and go meanwhile, and the kernel begins again where the last key is gone: no more
 * than the map holds are looked at. best NULL: all are reported. What the callback returns is nobody's
 * but the caller's: only the kernel's -ENOENT is the end.
 */
static int elements(struct walk *walk, struct best *best)
{
	const struct st_loader_map *map = walk->map;
	int end = st_bpf_map_next_key(map->fd, NULL, walk->key), result = 0;

	for (uint32_t i = 0; i < map->entries && !end && !result; i++) {
		int gone = element_read(walk);

		if (gone < 0)
			result = gone;
		else if (!gone && best)
			best_take(best, weight_of(&walk->values), walk->key);
		else if (!gone)
			result = report(walk);
		if (!result)
			end = st_bpf_map_next_key(map->fd, walk->key, walk->next);
		if (!result && !end)
			memcpy(walk->key, walk->next, map->key_size);
	}
	return !result && end && end != -ENOENT ? read_failed(walk, end) : result;
}

static int sorted_elements(struct walk *walk)
{
	const struct st_loader_map *map = walk->map;
	struct best best = {.most = walk->own->top < map->entries ? walk->own->top : map->entries,
			    .key_size = map->key_size};
	int result;

	best.weights = calloc(best.most, sizeof(*best.weights));
	best.keys = calloc(best.most, best.key_size);
	if (best.weights && best.keys)
		result = elements(walk, &best);
	else
		result = read_failed(walk, -ENOMEM);
	for (uint32_t i = 0; i < best.count && !result; i++) {
		int gone;

		memcpy(walk->key, best.keys + i * best.key_size, best.key_size);
		gone = element_read(walk);
		if (!gone)
			result = report(walk);
		else if (gone < 0)
			result = gone;
	}
	free(best.weights);
	free(best.keys);
	return result;
}

static int map_rows(struct walk *walk)
{
	const struct st_loader_map *map = walk->map;
	size_t values = is_per_cpu(map->type) ? value_stride(map) * walk->meter->region_count
					      : map->value_size;
	int result;

	walk->key = malloc(2 * (size_t)map->key_size);
	/*
	 * The kernel writes the values of all possible CPUs one behind the other. Where the CPUs' numbers
	 * have holes, or are not known, these are fewer than regions: the rest stays zero.
	 */
	walk->value = calloc(1, values ? values : 1);
	if (walk->key && walk->value) {
		walk->next = walk->key + map->key_size;
		result = is_array(map->type) ? elements(walk, NULL) : sorted_elements(walk);
	} else {
		result = read_failed(walk, -ENOMEM);
	}
	free(walk->key);
	free(walk->value);
	return result;
}

int st_object_rows(struct socktally *meter, const struct st_hook *hook, const char *map,
		   socktally_row_fn fn, void *ctx)
{
	const struct st_hook_own *own = hook->own;
	struct walk *walk = calloc(1, sizeof(*walk));
	bool found = !map;
	int result = 0;

	if (!walk)
		return st_fail(meter, -ENOMEM, "no memory for rows of the hook %s", hook->name);
	*walk = (struct walk){.meter = meter, .own = own, .fn = fn, .ctx = ctx};
	for (unsigned int i = 0; i < own->loader.map_count && !result; i++) {
		walk->map = &own->loader.maps[i];
		if (map ? strcmp(map, walk->map->name) != 0 : *walk->map->name == '_')
			continue;
		found = true;
		if (has_rows(walk->map))
			result = map_rows(walk);
	}
	free(walk);
	if (!found)
		return st_fail(meter, -ENOENT, "the hook %s has no map %s", hook->name, map);
	return result;
}
