// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
#include "plugin/bpf/btf.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Bound of nested types: a hostile file may have a cycle of them. */
#define DEPTH_MAX 32

int64_t st_btf_tail_size(const struct btf_type *type)
{
	const int64_t count = st_btf_count(type);

	switch (st_btf_kind(type)) {
	case BTF_KIND_INT:
	case BTF_KIND_VAR:
	case ST_BTF_DECL_TAG:
		return 4;
	case BTF_KIND_ARRAY:
		return sizeof(struct btf_array);
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
		return count * (int64_t)sizeof(struct btf_member);
	case BTF_KIND_ENUM:
		return count * (int64_t)sizeof(struct btf_enum);
	case BTF_KIND_FUNC_PROTO:
		return count * (int64_t)sizeof(struct btf_param);
	case BTF_KIND_DATASEC:
		return count * (int64_t)sizeof(struct btf_var_secinfo);
	case ST_BTF_ENUM64:
		return count * 12;
	case BTF_KIND_PTR:
	case BTF_KIND_FWD:
	case BTF_KIND_TYPEDEF:
	case BTF_KIND_VOLATILE:
	case BTF_KIND_CONST:
	case BTF_KIND_RESTRICT:
	case BTF_KIND_FUNC:
	case BTF_KIND_FLOAT:
	case ST_BTF_TYPE_TAG:
		return 0;
	}
	return -1;
}

static int types_read(struct st_btf *btf, uint32_t start, uint32_t size)
{
	uint32_t most = size / sizeof(struct btf_type) + 1, at = 0;

	btf->types = malloc(most * sizeof(*btf->types));
	if (!btf->types)
		return -ENOMEM;
	btf->type_count = 1;
	while (at < size) {
		const struct btf_type *type = (const struct btf_type *)(btf->data + start + at);
		int64_t tail;

		if (size - at < sizeof(*type))
			return -EINVAL;
		tail = st_btf_tail_size(type);
		if (tail < 0 || (uint64_t)tail > size - at - sizeof(*type))
			return -EINVAL;
		btf->types[btf->type_count++] = start + at;
		at += (uint32_t)(sizeof(*type) + (size_t)tail);
	}
	return 0;
}

static int sections_read(struct st_btf *btf, size_t size)
{
	struct btf_header header;
	size_t body;

	memcpy(&header, btf->data, sizeof(header));
	if (header.magic != BTF_MAGIC || header.hdr_len < sizeof(header) || header.hdr_len > size)
		return -EINVAL;
	body = size - header.hdr_len;
	if (header.type_off > body || header.type_len > body - header.type_off ||
	    header.str_off > body || header.str_len > body - header.str_off || !header.str_len ||
	    (header.hdr_len + header.type_off) % 4)
		return -EINVAL;
	btf->strings = (const char *)btf->data + header.hdr_len + header.str_off;
	btf->string_size = header.str_len;
	if (btf->strings[0] || btf->strings[btf->string_size - 1])
		return -EINVAL;
	return types_read(btf, header.hdr_len + header.type_off, header.type_len);
}

int st_btf_open(struct st_btf *btf, const uint8_t *data, size_t size)
{
	int result;

	memset(btf, 0, sizeof(*btf));
	if (!data || size < sizeof(struct btf_header) || size > UINT32_MAX)
		return -EINVAL;
	btf->data = malloc(size);
	if (!btf->data)
		return -ENOMEM;
	memcpy(btf->data, data, size);
	btf->size = size;
	result = sections_read(btf, size);
	if (result)
		st_btf_close(btf);
	return result;
}

void st_btf_close(struct st_btf *btf)
{
	free(btf->data);
	free(btf->types);
	memset(btf, 0, sizeof(*btf));
}

const struct btf_type *st_btf_type(const struct st_btf *btf, uint32_t number)
{
	if (!number || number >= btf->type_count)
		return NULL;
	return (const struct btf_type *)(btf->data + btf->types[number]);
}

const char *st_btf_name(const struct st_btf *btf, uint32_t offset)
{
	return offset < btf->string_size ? btf->strings + offset : "";
}

uint32_t st_btf_resolve(const struct st_btf *btf, uint32_t number)
{
	for (int depth = 0; depth < DEPTH_MAX; depth++) {
		const struct btf_type *type = st_btf_type(btf, number);

		if (!type)
			return 0;
		switch (st_btf_kind(type)) {
		case BTF_KIND_TYPEDEF:
		case BTF_KIND_VOLATILE:
		case BTF_KIND_CONST:
		case BTF_KIND_RESTRICT:
		case ST_BTF_TYPE_TAG:
			number = type->type;
			break;
		default:
			return number;
		}
	}
	return 0;
}

uint64_t st_btf_size(const struct st_btf *btf, uint32_t number)
{
	uint64_t elements = 1;

	for (int depth = 0; depth < DEPTH_MAX; depth++) {
		const struct btf_type *type = st_btf_type(btf, st_btf_resolve(btf, number));
		const struct btf_array *array;

		if (!type)
			return 0;
		switch (st_btf_kind(type)) {
		case BTF_KIND_ARRAY:
			array = st_btf_tail(type);
			elements *= array->nelems; /* two factors below 2^32 */
			if (elements > UINT32_MAX)
				return 0;
			number = array->type;
			break;
		case BTF_KIND_PTR:
			return elements * 8;
		case BTF_KIND_INT:
		case BTF_KIND_ENUM:
		case ST_BTF_ENUM64:
		case BTF_KIND_STRUCT:
		case BTF_KIND_UNION:
		case BTF_KIND_FLOAT:
			return elements * type->size;
		default:
			return 0;
		}
	}
	return 0;
}

uint32_t st_btf_find(const struct st_btf *btf, uint32_t kind, const char *name)
{
	for (uint32_t i = 1; i < btf->type_count; i++) {
		const struct btf_type *type = st_btf_type(btf, i);

		if (st_btf_kind(type) == kind && !strcmp(st_btf_name(btf, type->name_off), name))
			return i;
	}
	return 0;
}
