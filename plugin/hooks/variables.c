// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* First values for the global variables of a hook. */
#include "plugin/hooks/object.h"
#include "plugin/meter/meter.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct variable {
	uint8_t *place;
	uint32_t type; /* resolved */
	uint32_t size;
};

static bool find_in(const struct st_hook_own *own, const struct st_loader_map *map,
		    const char *name, size_t length, struct variable *found)
{
	const struct st_btf *btf = &own->loader.object.btf;
	const struct btf_type *section = st_btf_type(btf, map->variables);
	const struct btf_var_secinfo *variables = st_btf_tail(section);

	for (uint32_t i = 0; section && i < st_btf_count(section); i++) {
		const struct btf_type *type = st_btf_type(btf, variables[i].type);
		const char *own_name;
		uint64_t size;

		if (!type || st_btf_kind(type) != BTF_KIND_VAR)
			continue;
		own_name = st_btf_name(btf, type->name_off);
		if (strlen(own_name) != length || strncmp(own_name, name, length) != 0)
			continue;
		size = st_btf_size(btf, type->type);
		if (!size || variables[i].offset > map->value_size ||
		    size > map->value_size - variables[i].offset)
			return false;
		found->place = map->contents + variables[i].offset;
		found->type = st_btf_resolve(btf, type->type);
		found->size = (uint32_t)size;
		return true;
	}
	return false;
}

/* Whether a number fits the bytes of an integer, and puts it there. */
static bool store(const struct variable *variable, bool is_signed, const char *text)
{
	char *end;
	int64_t low, number;
	uint64_t value;

	if (variable->size != 1 && variable->size != 2 && variable->size != 4 &&
	    variable->size != 8)
		return false;
	errno = 0;
	if (*text == '-') {
		number = strtoll(text, &end, 0);
		low = variable->size == 8 ? INT64_MIN : -((int64_t)1 << (8 * variable->size - 1));
		if (!is_signed || number < low)
			return false;
		value = (uint64_t)number;
	} else {
		value = strtoull(text, &end, 0);
		if (variable->size < 8 || is_signed)
			if (value >> (8 * variable->size - is_signed))
				return false;
	}
	if (errno || end == text || *end || !strchr("-0123456789", *text))
		return false;
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	value <<= 64 - 8 * variable->size;
#endif
	memcpy(variable->place, &value, variable->size);
	return true;
}

static bool is_char(const struct st_btf *btf, uint32_t type)
{
	const struct btf_type *element = st_btf_type(btf, st_btf_resolve(btf, type));

	return element && st_btf_kind(element) == BTF_KIND_INT && element->size == 1;
}

static bool assign(const struct st_btf *btf, const struct variable *variable, const char *text)
{
	const struct btf_type *type = st_btf_type(btf, variable->type);
	uint32_t encoding;

	switch (type ? st_btf_kind(type) : BTF_KIND_UNKN) {
	case BTF_KIND_INT:
		encoding = *(const uint32_t *)(type + 1);
		return store(variable, BTF_INT_ENCODING(encoding) & BTF_INT_SIGNED, text);
	case BTF_KIND_ENUM:
	case ST_BTF_ENUM64:
		return store(variable, false, text);
	case BTF_KIND_ARRAY:
		if (!is_char(btf, ((const struct btf_array *)st_btf_tail(type))->type) ||
		    strlen(text) >= variable->size)
			return false;
		memset(variable->place, 0, variable->size);
		memcpy(variable->place, text, strlen(text));
		return true;
	}
	return false;
}

static bool find(struct st_hook_own *own, const char *name, size_t length, struct variable *found)
{
	for (unsigned int i = 0; i < own->loader.map_count; i++)
		if (own->loader.maps[i].contents &&
		    find_in(own, &own->loader.maps[i], name, length, found))
			return true;
	return false;
}

bool st_object_variable_write(struct st_hook_own *own, const char *name, const void *value,
			      size_t size)
{
	struct variable variable;

	if (!find(own, name, strlen(name), &variable) || variable.size != size)
		return false;
	memcpy(variable.place, value, size);
	return true;
}

/* "bytes, limit", as far as there is room; returns whether there is one. */
static bool variable_names(const struct st_hook_own *own, char *names, size_t size)
{
	const struct st_btf *btf = &own->loader.object.btf;
	size_t used = 0;

	*names = 0;
	for (unsigned int i = 0; i < own->loader.map_count; i++) {
		const struct st_loader_map *map = &own->loader.maps[i];
		const struct btf_type *section =
			map->contents ? st_btf_type(btf, map->variables) : NULL;
		const struct btf_var_secinfo *variables = st_btf_tail(section);

		for (uint32_t j = 0; section && j < st_btf_count(section); j++) {
			const struct btf_type *type = st_btf_type(btf, variables[j].type);

			if (!type || st_btf_kind(type) != BTF_KIND_VAR || used >= size)
				continue;
			used += (size_t)snprintf(names + used, size - used, "%s%s",
						 used ? ", " : "",
						 st_btf_name(btf, type->name_off));
		}
	}
	return used;
}

int st_object_variable_set(struct socktally *meter, struct st_hook_own *own, const char *file,
			   const char *assignment)
{
	const char *value = assignment ? strchr(assignment, '=') : NULL;
	struct variable variable;
	char names[256];

	if (!value)
		return st_fail(meter, -EINVAL, "%s: '%s': not NAME=VALUE", file,
			       assignment ? assignment : "");
	if (!find(own, assignment, (size_t)(value - assignment), &variable))
		return st_fail(meter, -EINVAL, "%s: '%s': has no such global variable: it has %s",
			       file, assignment,
			       variable_names(own, names, sizeof(names)) ? names : "none");
	if (!assign(&own->loader.object.btf, &variable, value + 1))
		return st_fail(meter, -EINVAL, "%s: '%s': the value doesn't fit the variable", file,
			       assignment);
	return 0;
}
