// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* The maps of a hook's object file: those that it defines, and one for each section of data. */
#include "plugin/bpf/syscall.h"
#include "plugin/hooks/object.h"
#include "plugin/meter/meter.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Bytes of global variables that a program has, at most. */
#define DATA_MAX (1u << 20)

static struct st_object_map *map_new(struct socktally *meter, struct st_hook_own *own,
				     const char *file, const char *name)
{
	struct st_object_map *map = &own->maps[own->map_count];

	if (own->map_count == ST_OBJECT_MAPS || strlen(name) >= sizeof(map->name)) {
		st_fail(meter, -EINVAL, "%s: has more than %d maps, or one with too long a name",
			file, ST_OBJECT_MAPS);
		return NULL;
	}
	own->map_count++;
	memcpy(map->name, name, strlen(name) + 1);
	map->fd = -1;
	return map;
}

static bool is_data(const struct st_section *section)
{
	static const char *const names[] = {".data", ".rodata", ".bss"};

	if (!section->allocated || !section->size)
		return false;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (!strncmp(section->name, names[i], strlen(names[i])))
			return true;
	return false;
}

static int data_read(struct socktally *meter, struct st_hook_own *own, const char *file,
		     uint32_t number)
{
	const struct st_section *section = &own->object.sections[number];
	struct st_object_map *map = map_new(meter, own, file, section->name);

	if (!map)
		return -EINVAL;
	if (section->size > DATA_MAX)
		return st_fail(meter, -EINVAL, "%s: has more than %u bytes of variables in %s",
			       file, DATA_MAX, section->name);
	map->section = number;
	map->type = BPF_MAP_TYPE_ARRAY;
	map->key_size = sizeof(uint32_t);
	map->value_size = (uint32_t)section->size;
	map->entries = 1;
	map->constant = !strncmp(section->name, ".rodata", strlen(".rodata"));
	map->flags = map->constant ? BPF_F_RDONLY_PROG : 0;
	map->variables = st_btf_find(&own->object.btf, BTF_KIND_DATASEC, section->name);
	map->contents = calloc(1, section->size);
	if (!map->contents)
		return st_fail(meter, -ENOMEM, "%s: no memory for its variables", file);
	if (section->data)
		memcpy(map->contents, section->data, section->size);
	return 0;
}

/* The number in a map's definition that __uint() makes: as many elements has an array. */
static bool number_of(const struct st_btf *btf, uint32_t type, uint32_t *number)
{
	const struct btf_type *pointer = st_btf_type(btf, type), *array;

	if (!pointer || st_btf_kind(pointer) != BTF_KIND_PTR)
		return false;
	array = st_btf_type(btf, pointer->type);
	if (!array || st_btf_kind(array) != BTF_KIND_ARRAY)
		return false;
	*number = ((const struct btf_array *)st_btf_tail(array))->nelems;
	return true;
}

/* The type in a map's definition that __type() makes: a pointer to it. */
static bool type_of(const struct st_btf *btf, uint32_t type, uint32_t *number, uint32_t *size)
{
	const struct btf_type *pointer = st_btf_type(btf, type);
	uint64_t bytes;

	if (!pointer || st_btf_kind(pointer) != BTF_KIND_PTR)
		return false;
	*number = pointer->type;
	bytes = st_btf_size(btf, *number);
	*size = (uint32_t)bytes;
	return bytes && bytes <= DATA_MAX;
}

static bool member_read(const struct st_btf *btf, struct st_object_map *map, const char *name,
			uint32_t type)
{
	const struct {
		const char *name;
		uint32_t *number;
	} numbers[] = {
		{"type", &map->type},
		{"max_entries", &map->entries},
		{"map_flags", &map->flags},
		{"key_size", &map->key_size},
		{"value_size", &map->value_size},
	};

	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
		if (!strcmp(name, numbers[i].name))
			return number_of(btf, type, numbers[i].number);
	if (!strcmp(name, "key"))
		return type_of(btf, type, &map->key_type, &map->key_size);
	if (!strcmp(name, "value"))
		return type_of(btf, type, &map->value_type, &map->value_size);
	return false;
}

/* A variable of .maps: a struct whose members say what the map is like. */
static int definition_read(struct socktally *meter, struct st_hook_own *own, const char *file,
			   const struct btf_type *variable)
{
	const struct st_btf *btf = &own->object.btf;
	const char *name = st_btf_name(btf, variable->name_off);
	const struct btf_type *type = st_btf_type(btf, st_btf_resolve(btf, variable->type));
	const struct btf_member *members = st_btf_tail(type);
	struct st_object_map *map = map_new(meter, own, file, name);
	struct st_symbol symbol;

	if (!map)
		return -EINVAL;
	map->section = st_object_section(&own->object, ".maps");
	if (!type || st_btf_kind(type) != BTF_KIND_STRUCT ||
	    !st_object_find(&own->object, map->section, name, &symbol))
		return st_fail(meter, -EINVAL, "%s: map %s: its definition makes no sense", file,
			       name);
	map->offset = symbol.value;
	for (uint32_t i = 0; i < st_btf_count(type); i++) {
		const char *member = st_btf_name(btf, members[i].name_off);

		if (!member_read(btf, map, member, members[i].type))
			return st_fail(meter, -EINVAL, "%s: map %s: can't have '%s' like that",
				       file, name, member);
	}
	if (map->type == BPF_MAP_TYPE_PROG_ARRAY || map->type == BPF_MAP_TYPE_ARRAY_OF_MAPS ||
	    map->type == BPF_MAP_TYPE_HASH_OF_MAPS)
		return st_fail(meter, -EINVAL,
			       "%s: map %s: a hook can't have maps of programs or of maps", file,
			       name);
	return 0;
}

static int definitions_read(struct socktally *meter, struct st_hook_own *own, const char *file)
{
	const struct st_btf *btf = &own->object.btf;
	const struct btf_type *maps = st_btf_type(btf, st_btf_find(btf, BTF_KIND_DATASEC, ".maps"));
	const struct btf_var_secinfo *variables = st_btf_tail(maps);

	if (!maps)
		return st_fail(meter, -EINVAL, "%s: has no types for its maps: compile it with -g",
			       file);
	for (uint32_t i = 0; i < st_btf_count(maps); i++) {
		const struct btf_type *variable = st_btf_type(btf, variables[i].type);
		int result;

		if (!variable || st_btf_kind(variable) != BTF_KIND_VAR)
			return st_fail(meter, -EINVAL, "%s: its type information is damaged", file);
		result = definition_read(meter, own, file, variable);
		if (result)
			return result;
	}
	return 0;
}

/* What the kernel takes for an element besides key and value, about. */
#define ELEMENT_OVERHEAD 64

/* Bytes that a map takes, about; UINT64_MAX: more than there are. */
static uint64_t memory_of(const struct socktally *meter, const struct st_object_map *map)
{
	uint64_t values = map->value_size, bytes;

	if (map->type == BPF_MAP_TYPE_PERCPU_HASH || map->type == BPF_MAP_TYPE_PERCPU_ARRAY ||
	    map->type == BPF_MAP_TYPE_LRU_PERCPU_HASH)
		values *= meter->region_count;
	if (__builtin_mul_overflow(values + map->key_size + ELEMENT_OVERHEAD, map->entries, &bytes))
		return UINT64_MAX;
	return bytes;
}

static int memory_check(struct socktally *meter, const struct st_hook_own *own, const char *file)
{
	uint64_t left = meter->hooks.map_memory;

	for (unsigned int i = 0; i < own->map_count; i++) {
		uint64_t bytes = memory_of(meter, &own->maps[i]);

		if (bytes > left)
			return st_fail(meter, -E2BIG,
				       "%s: map %s: with its %u entries the hook would take more "
				       "than %llu MiB of the kernel's memory",
				       file, own->maps[i].name, own->maps[i].entries,
				       (unsigned long long)meter->hooks.map_memory >> 20);
		left -= bytes;
	}
	return 0;
}

int st_object_maps_read(struct socktally *meter, struct st_hook_own *own, const char *file)
{
	const struct st_object *object = &own->object;
	int result = 0;

	for (uint32_t i = 1; i < object->section_count && !result; i++) {
		const struct st_section *section = &object->sections[i];

		if (is_data(section))
			result = data_read(meter, own, file, i);
		else if (!strcmp(section->name, ".maps"))
			result = definitions_read(meter, own, file);
		else if (section->allocated && section->size && !strcmp(section->name, "maps"))
			result = st_fail(meter, -EINVAL,
					 "%s: defines its maps in the old way: put them in "
					 "SEC(\".maps\")",
					 file);
	}
	return result ? result : memory_check(meter, own, file);
}

int st_object_map_make(struct socktally *meter, struct st_object_map *map, const char *file)
{
	const uint32_t first = 0;
	int result;

	if (map->fd >= 0)
		return 0;
	result = st_bpf_map_create(map->type, map->name, map->key_size, map->value_size,
				   map->entries, map->flags);
	if (result >= 0) {
		map->fd = result;
		result = map->contents ? st_bpf_map_update(map->fd, &first, map->contents) : 0;
	}
	if (!result && map->constant)
		result = st_bpf_map_freeze(map->fd);
	if (result < 0)
		return st_fail(meter, result,
			       "%s: the kernel refuses the map %s (type %u, key %u, value %u "
			       "bytes, %u entries): %s",
			       file, map->name, map->type, map->key_size, map->value_size,
			       map->entries, strerror(-result));
	return 0;
}

void st_object_maps_free(struct st_hook_own *own)
{
	for (unsigned int i = 0; i < own->map_count; i++) {
		if (own->maps[i].fd >= 0)
			close(own->maps[i].fd);
		free(own->maps[i].contents);
	}
}

struct st_object_map *st_object_map_at(struct st_hook_own *own, const struct st_symbol *symbol)
{
	for (unsigned int i = 0; i < own->map_count; i++) {
		struct st_object_map *map = &own->maps[i];

		if (map->section == symbol->section &&
		    (map->contents || map->offset == symbol->value))
			return map;
	}
	return NULL;
}

bool st_object_variable_at(const struct st_hook_own *own, const struct st_object_map *map,
			   const struct btf_var_secinfo *variable, struct st_symbol *symbol)
{
	const struct st_btf *btf = &own->object.btf;
	const struct btf_type *type = st_btf_type(btf, variable->type);

	/* Where it is the types don't say yet: a linker would write that. */
	return type && st_btf_kind(type) == BTF_KIND_VAR &&
	       st_object_find(&own->object, map->section, st_btf_name(btf, type->name_off), symbol);
}
