// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
#include "plugin/hooks/btf_format.h"
#include "bpf/table.h"
#include "plugin/count/path.h"
#include <arpa/inet.h>
#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Bounds of nested types: with names, and all. */
#define DEPTH_MAX 8
#define NESTING_MAX 32
#define NAME_MAX_LENGTH 128
/* Elements of an array that are fields of their own. */
#define ELEMENTS_MAX 32
/* Members and elements of a value that are visited: nested types can multiply without end. */
#define STEPS_MAX 16384

void st_btf_format_clear(struct st_btf_format *format)
{
	format->count = 0;
	format->steps = 0;
	format->used = 0;
}

static const char *keep(struct st_btf_format *format, const char *pattern, ...)
	__attribute__((format(printf, 2, 3)));

/* The text, kept as long as the fields; NULL: there is no room. */
static const char *keep(struct st_btf_format *format, const char *pattern, ...)
{
	const size_t room = sizeof(format->text) - format->used;
	char *at = format->text + format->used;
	va_list arguments;
	int length;

	va_start(arguments, pattern);
	length = vsnprintf(at, room, pattern, arguments);
	va_end(arguments);
	if (length < 0 || (size_t)length >= room)
		return NULL;
	format->used += (size_t)length + 1;
	return at;
}

static void add(struct st_btf_format *format, const char *name, uint32_t type, uint64_t number,
		const char *text)
{
	struct socktally_field *field = &format->field[format->count];

	if (format->count == ST_BTF_FORMAT_FIELDS)
		return;
	field->name = keep(format, "%s", name);
	if (text)
		field->text = keep(format, "%s", text);
	else if (type == SOCKTALLY_SIGNED)
		field->text = keep(format, "%" PRId64, (int64_t)number);
	else
		field->text = keep(format, "%" PRIu64, number);
	field->type = type;
	field->reserved = 0;
	field->number = number;
	if (field->name && field->text)
		format->count++;
}

static void add_bytes(struct st_btf_format *format, const char *name, const uint8_t *data,
		      size_t size)
{
	static const char digits[] = "0123456789abcdef";
	char text[2 * 64 + 4];
	size_t at = 0;

	for (size_t i = 0; i < size && i < 64; i++) {
		text[at++] = digits[data[i] >> 4];
		text[at++] = digits[data[i] & 0xf];
	}
	strcpy(text + at, size > 64 ? "..." : "");
	add(format, name, SOCKTALLY_TEXT, 0, text);
}

/* Text up to its NUL; bytes where it isn't text. */
static void add_characters(struct st_btf_format *format, const char *name, const uint8_t *data,
			   size_t size)
{
	size_t length = strnlen((const char *)data, size);
	char text[256];

	for (size_t i = 0; i < length; i++) {
		if (length < sizeof(text) && (data[i] >= 0x80 || isprint(data[i])))
			continue;
		add_bytes(format, name, data, size);
		return;
	}
	memcpy(text, data, length);
	text[length] = '\0';
	add(format, name, SOCKTALLY_TEXT, 0, text);
}

static uint64_t number_read(const uint8_t *data, size_t size, bool is_signed)
{
	uint64_t value = 0;

#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	memcpy((uint8_t *)&value + 8 - size, data, size);
#else
	memcpy(&value, data, size);
#endif
	if (is_signed && size < 8 && value >> (8 * size - 1))
		value |= ~0ull << (8 * size);
	return value;
}

static bool is_number_size(size_t size)
{
	return size == 1 || size == 2 || size == 4 || size == 8;
}

/* Structs of hook.bpf.h with a text of their own: paths, addresses. False: it is none of these. */
static bool add_known(struct st_btf_format *format, const char *type, const char *name,
		      const uint8_t *data, size_t size)
{
	char text[SOCKTALLY_PATH_TEXT_MAX] = "";
	uint8_t layers[SOCKTALLY_MAX_LAYERS];
	struct socktally_path_key key;
	struct socktally_address address;
	struct st_path path;
	bool is_key = !strcmp(name, "key");

	if (!strcmp(type, "socktally_path_key") && size == sizeof(key)) {
		memcpy(&key, data, sizeof(key));
		path = (struct st_path){key.hi, key.lo};
		socktally_path_text(layers, st_path_layers(path, layers), text, sizeof(text));
		name = is_key ? "path" : name;
	} else if (!strcmp(type, "socktally_address") && size == sizeof(address)) {
		memcpy(&address, data, sizeof(address));
		if (address.version == 4)
			inet_ntop(AF_INET, address.bytes, text, sizeof(text));
		else if (address.version == 6)
			inet_ntop(AF_INET6, address.bytes, text, sizeof(text));
		name = is_key ? "address" : name;
	} else {
		return false;
	}
	add(format, name, SOCKTALLY_TEXT, 0, text);
	return true;
}

/* The name of an enum's value, or its number where it has none. */
static void add_enum(struct st_btf_format *format, const struct st_btf *btf,
		     const struct btf_type *type, const char *name, const uint8_t *data)
{
	const struct btf_enum *values = st_btf_tail(type);
	const char *text = NULL;
	uint64_t number;

	if (!is_number_size(type->size))
		return;
	number = number_read(data, type->size, false);
	for (uint32_t i = 0; i < st_btf_count(type) && !text; i++)
		if ((uint32_t)values[i].val == (uint32_t)number)
			text = st_btf_name(btf, values[i].name_off);
	add(format, name, text ? SOCKTALLY_TEXT : SOCKTALLY_UNSIGNED, number, text);
}

struct value {
	const struct st_btf *btf;
	uint32_t type;
	const uint8_t *data;
	size_t size;
	unsigned int nesting; /* types that it is inside of, with or without a name */
};

static void fill(struct st_btf_format *format, const struct value *value, const char *name,
		 unsigned int depth);

/* Where in a struct a member starts, in bytes; false: it is a bit field. */
static bool member_place(const struct btf_type *type, const struct btf_member *member,
			 uint32_t *offset)
{
	const bool has_bits =
		type->info >> 31; /* then a bit field's size stands above the offset */

	*offset = (has_bits ? member->offset & 0xffffff : member->offset) / 8;
	return !has_bits || !(member->offset >> 24);
}

static void fill_struct(struct st_btf_format *format, const struct value *value, const char *name,
			unsigned int depth)
{
	const struct st_btf *btf = value->btf;
	const struct btf_type *type = st_btf_type(btf, value->type);
	const struct btf_member *members = st_btf_tail(type);
	uint32_t offset;

	if (add_known(format, st_btf_name(btf, type->name_off), name, value->data, type->size))
		return;
	for (uint32_t i = 0; i < st_btf_count(type) && format->steps < STEPS_MAX; i++) {
		const char *own = st_btf_name(btf, members[i].name_off);
		struct value member = {.btf = btf,
				       .type = members[i].type,
				       .nesting = value->nesting + 1};
		char path[NAME_MAX_LENGTH];

		if (!member_place(type, &members[i], &offset) || offset > value->size)
			continue; /* a bit field: the value as a whole has it */
		member.data = value->data + offset;
		member.size = value->size - offset;
		if (depth && *own)
			snprintf(path, sizeof(path), "%s.%s", name, own);
		else
			snprintf(path, sizeof(path), "%s", *own ? own : name);
		fill(format, &member, path, *own ? depth + 1 : depth);
	}
}

static void fill_array(struct st_btf_format *format, const struct value *value, const char *name,
		       unsigned int depth)
{
	const struct st_btf *btf = value->btf;
	const struct btf_array *array = st_btf_tail(st_btf_type(btf, value->type));
	const struct btf_type *element = st_btf_type(btf, st_btf_resolve(btf, array->type));
	const uint64_t size = st_btf_size(btf, array->type);

	if (!element || !size)
		return;
	if (st_btf_kind(element) == BTF_KIND_INT && size == 1) {
		add_characters(format, name, value->data, array->nelems);
		return;
	}
	if (array->nelems > ELEMENTS_MAX) {
		add_bytes(format, name, value->data, array->nelems * size);
		return;
	}
	for (uint32_t i = 0; i < array->nelems; i++) {
		struct value one = {.btf = btf,
				    .type = array->type,
				    .data = value->data + i * size,
				    .size = size,
				    .nesting = value->nesting + 1};
		char path[NAME_MAX_LENGTH];

		snprintf(path, sizeof(path), "%s[%u]", name, i);
		fill(format, &one, path, depth + 1);
	}
}

/* A type that is larger than the value is damaged, and not followed. */
static void fill(struct st_btf_format *format, const struct value *value, const char *name,
		 unsigned int depth)
{
	const struct value resolved = {.btf = value->btf,
				       .type = st_btf_resolve(value->btf, value->type),
				       .data = value->data,
				       .size = value->size,
				       .nesting = value->nesting};
	const struct btf_type *type = st_btf_type(value->btf, resolved.type);
	const uint64_t size = st_btf_size(value->btf, resolved.type);
	bool is_signed;

	if (!type || !size || size > value->size || depth > DEPTH_MAX ||
	    value->nesting > NESTING_MAX || format->count == ST_BTF_FORMAT_FIELDS ||
	    ++format->steps > STEPS_MAX)
		return;
	switch (st_btf_kind(type)) {
	case BTF_KIND_INT:
		is_signed = BTF_INT_ENCODING(*(const uint32_t *)(type + 1)) & BTF_INT_SIGNED;
		if (is_number_size(size))
			add(format, name, is_signed ? SOCKTALLY_SIGNED : SOCKTALLY_UNSIGNED,
			    number_read(value->data, size, is_signed), NULL);
		else
			add_bytes(format, name, value->data, size);
		return;
	case BTF_KIND_ENUM:
		add_enum(format, value->btf, type, name, value->data);
		return;
	case ST_BTF_ENUM64:
		if (is_number_size(size))
			add(format, name, SOCKTALLY_UNSIGNED, number_read(value->data, size, false),
			    NULL);
		return;
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
		fill_struct(format, &resolved, name, depth);
		return;
	case BTF_KIND_ARRAY:
		fill_array(format, &resolved, name, depth);
		return;
	default:
		add_bytes(format, name, value->data, size);
	}
}

void st_btf_format_fill(struct st_btf_format *format, const struct st_btf *btf, uint32_t type,
			const char *name, const uint8_t *data, size_t size)
{
	const struct value value = {.btf = btf, .type = type, .data = data, .size = size};
	const uint32_t before = format->count;

	fill(format, &value, name, 0);
	if (format->count != before)
		return;
	if (is_number_size(size))
		add(format, name, SOCKTALLY_UNSIGNED, number_read(data, size, false), NULL);
	else
		add_bytes(format, name, data, size);
}

static void number_add(uint8_t *sum, const uint8_t *more, size_t size)
{
	uint64_t value = number_read(sum, size, false) + number_read(more, size, false);

#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	memcpy(sum, (uint8_t *)&value + 8 - size, size);
#else
	memcpy(sum, &value, size);
#endif
}

/* A sum of two values of a type. */
struct sum {
	const struct st_btf *btf;
	size_t steps; /* left, as STEPS_MAX */
};

static void add_values(struct sum *sum, uint32_t number, uint8_t *to, const uint8_t *more,
		       size_t size, unsigned int depth);

static void add_members(struct sum *sum, const struct btf_type *type, uint8_t *to,
			const uint8_t *more, size_t size, unsigned int depth)
{
	const struct btf_member *members = st_btf_tail(type);
	uint32_t offset;

	for (uint32_t i = 0; i < st_btf_count(type) && sum->steps; i++)
		if (member_place(type, &members[i], &offset) && offset <= size)
			add_values(sum, members[i].type, to + offset, more + offset, size - offset,
				   depth + 1);
}

static void add_values(struct sum *sum, uint32_t number, uint8_t *to, const uint8_t *more,
		       size_t size, unsigned int depth)
{
	const uint32_t resolved = st_btf_resolve(sum->btf, number);
	const struct btf_type *type = st_btf_type(sum->btf, resolved);
	const uint64_t own = st_btf_size(sum->btf, resolved);
	const struct btf_array *array = st_btf_tail(type);
	uint64_t element;

	if (!type || !own || own > size || depth > DEPTH_MAX || !sum->steps)
		return;
	sum->steps--;
	switch (st_btf_kind(type)) {
	case BTF_KIND_INT:
		if (is_number_size(own))
			number_add(to, more, own);
		return;
	case BTF_KIND_STRUCT:
		add_members(sum, type, to, more, size, depth);
		return;
	case BTF_KIND_ARRAY:
		element = own / array->nelems;
		for (uint32_t i = 0; i < array->nelems && sum->steps; i++)
			add_values(sum, array->type, to + i * element, more + i * element, element,
				   depth + 1);
		return;
	}
}

void st_btf_format_sum(const struct st_btf *btf, uint32_t type, uint8_t *sum, const uint8_t *more,
		       size_t size)
{
	/* more than there can be in a value without overlaps */
	struct sum all = {btf, 16 * size + 1024};

	if (type) {
		add_values(&all, type, sum, more, size, 0);
		return;
	}
	for (size_t i = 0; i + 8 <= size; i += 8)
		number_add(sum + i, more + i, 8);
}
