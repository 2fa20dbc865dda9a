// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* The maps of an object file: those that it defines, and one for each section of data. */
#include "plugin/bpf/loader.h"
#include "plugin/bpf/syscall.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Bytes of global variables that a program has, at most. */
#define DATA_MAX (1u << 20)

static struct st_loader_map *map_new(struct st_loader *loader, const char *name)
{
	struct st_loader_map *map = &loader->maps[loader->map_count];

	if (loader->map_count == ST_LOADER_MAPS || strlen(name) >= sizeof(map->name)) {
		st_loader_fail(loader, -EINVAL,
			       "has more than %d maps, or one with too long a name",
			       ST_LOADER_MAPS);
		return NULL;
	}
	loader->map_count++;
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

/* __uint(name, number) in a map's definition is a pointer to an array with that number of elements. */
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

/* __type(name, type) in a map's definition is a pointer to that type. */
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

static bool member_read(const struct st_btf *btf, struct st_loader_map *map, const char *name,
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

/* Whether a variable looks like a map's definition that is in the wrong section. */
static bool is_definition(const struct st_btf *btf, const struct btf_type *variable)
{
	const struct btf_type *type = st_btf_type(btf, st_btf_resolve(btf, variable->type));
	const struct btf_member *members = st_btf_tail(type);
	struct st_loader_map map = {0};

	if (!type || st_btf_kind(type) != BTF_KIND_STRUCT)
		return false;
	for (uint32_t i = 0; i < st_btf_count(type); i++)
		if (!member_read(btf, &map, st_btf_name(btf, members[i].name_off), members[i].type))
			return false;
	return map.type && map.entries;
}

static int variables_check(struct st_loader *loader, const struct st_loader_map *map)
{
	const struct st_btf *btf = &loader->object.btf;
	const struct btf_type *section = st_btf_type(btf, map->variables);
	const struct btf_var_secinfo *variables = st_btf_tail(section);

	for (uint32_t i = 0; section && i < st_btf_count(section); i++) {
		const struct btf_type *variable = st_btf_type(btf, variables[i].type);

		if (variable && st_btf_kind(variable) == BTF_KIND_VAR &&
		    is_definition(btf, variable))
			return st_loader_fail(loader, -EINVAL,
					      "%s is a map's definition, but no map: write "
					      "SEC(\".maps\") between its name and the ';'",
					      st_btf_name(btf, variable->name_off));
	}
	return 0;
}

static int data_read(struct st_loader *loader, uint32_t number)
{
	const struct st_section *section = &loader->object.sections[number];
	struct st_loader_map *map = map_new(loader, section->name);

	if (!map)
		return -EINVAL;
	if (section->size > DATA_MAX)
		return st_loader_fail(loader, -EINVAL, "has more than %u bytes of variables in %s",
				      DATA_MAX, section->name);
	map->section = number;
	map->type = BPF_MAP_TYPE_ARRAY;
	map->key_size = sizeof(uint32_t);
	map->value_size = (uint32_t)section->size;
	map->entries = 1;
	map->constant = !strncmp(section->name, ".rodata", strlen(".rodata"));
	map->flags = map->constant ? BPF_F_RDONLY_PROG : 0;
	map->variables = st_btf_find(&loader->object.btf, BTF_KIND_DATASEC, section->name);
	map->contents = calloc(1, section->size);
	if (!map->contents)
		return st_loader_fail(loader, -ENOMEM, "no memory for its variables");
	if (section->data)
		memcpy(map->contents, section->data, section->size);
	return variables_check(loader, map);
}

/* A variable of .maps: a struct whose members say what the map is like. */
static int definition_read(struct st_loader *loader, const struct btf_type *variable)
{
	const struct st_btf *btf = &loader->object.btf;
	const char *name = st_btf_name(btf, variable->name_off);
	const struct btf_type *type = st_btf_type(btf, st_btf_resolve(btf, variable->type));
	const struct btf_member *members = st_btf_tail(type);
	struct st_loader_map *map = map_new(loader, name);
	struct st_symbol symbol;

	if (!map)
		return -EINVAL;
	map->section = st_object_section(&loader->object, ".maps");
	if (!type || st_btf_kind(type) != BTF_KIND_STRUCT ||
	    !st_object_find(&loader->object, map->section, name, &symbol))
		return st_loader_fail(loader, -EINVAL, "map %s: its definition makes no sense",
				      name);
	map->offset = symbol.value;
	for (uint32_t i = 0; i < st_btf_count(type); i++) {
		const char *member = st_btf_name(btf, members[i].name_off);

		if (!member_read(btf, map, member, members[i].type))
			return st_loader_fail(loader, -EINVAL, "map %s: can't have '%s' like that",
					      name, member);
	}
	if (map->type == BPF_MAP_TYPE_PROG_ARRAY || map->type == BPF_MAP_TYPE_ARRAY_OF_MAPS ||
	    map->type == BPF_MAP_TYPE_HASH_OF_MAPS)
		return st_loader_fail(loader, -EINVAL,
				      "map %s: a hook can't have maps of programs or of maps",
				      name);
	return 0;
}

static int definitions_read(struct st_loader *loader)
{
	const struct st_btf *btf = &loader->object.btf;
	const struct btf_type *maps = st_btf_type(btf, st_btf_find(btf, BTF_KIND_DATASEC, ".maps"));
	const struct btf_var_secinfo *variables = st_btf_tail(maps);

	if (!maps)
		return st_loader_fail(loader, -EINVAL,
				      "has no types for its maps: compile it with -g");
	for (uint32_t i = 0; i < st_btf_count(maps); i++) {
		const struct btf_type *variable = st_btf_type(btf, variables[i].type);
		int result;

		if (!variable || st_btf_kind(variable) != BTF_KIND_VAR)
			return st_loader_fail(loader, -EINVAL, "its type information is damaged");
		result = definition_read(loader, variable);
		if (result)
			return result;
	}
	return 0;
}

int st_loader_maps_read(struct st_loader *loader)
{
	const struct st_object *object = &loader->object;
	int result = 0;

	for (uint32_t i = 1; i < object->section_count && !result; i++) {
		const struct st_section *section = &object->sections[i];

		if (is_data(section))
			result = data_read(loader, i);
		else if (!strcmp(section->name, ".maps"))
			result = definitions_read(loader);
		else if (section->allocated && section->size && !strcmp(section->name, "maps"))
			result = st_loader_fail(loader, -EINVAL,
						"defines its maps in the old way: put them in "
						"SEC(\".maps\")");
	}
	return result;
}

/* With its types, so that bpftool shows them and the kernel finds timers in values. */
static int map_create(struct st_loader *loader, const struct st_loader_map *map)
{
	struct st_bpf_map_types types = {.key = map->key_type, .value = map->value_type};
	int result = -EINVAL;

	if (map->contents)
		types.value = map->variables; /* then there is no type of the key */
	if (types.value)
		types.btf = st_loader_btf(loader);
	if (types.value && types.btf >= 0)
		result = st_bpf_map_create_typed(map->type, map->name, map->key_size,
						 map->value_size, map->entries, map->flags, &types);
	/* an older kernel refuses types of a newer compiler, and some kinds of maps take none */
	if (result < 0 && result != -EPERM)
		result = st_bpf_map_create(map->type, map->name, map->key_size, map->value_size,
					   map->entries, map->flags);
	return result;
}

int st_loader_map_make(struct st_loader *loader, struct st_loader_map *map)
{
	const uint32_t first = 0;
	int result;

	if (map->fd >= 0)
		return 0;
	result = map_create(loader, map);
	if (result >= 0) {
		map->fd = result;
		result = map->contents ? st_bpf_map_update(map->fd, &first, map->contents) : 0;
	}
	if (!result && map->constant)
		result = st_bpf_map_freeze(map->fd);
	if (result < 0)
		return st_loader_fail(loader, result,
				      "the kernel refuses the map %s (type %u, key %u, value %u "
				      "bytes, %u entries): %s",
				      map->name, map->type, map->key_size, map->value_size,
				      map->entries, strerror(-result));
	return 0;
}

struct st_loader_map *st_loader_map_at(struct st_loader *loader, const struct st_symbol *symbol)
{
	for (unsigned int i = 0; i < loader->map_count; i++) {
		struct st_loader_map *map = &loader->maps[i];

		if (map->section == symbol->section &&
		    (map->contents || map->offset == symbol->value))
			return map;
	}
	return NULL;
}
