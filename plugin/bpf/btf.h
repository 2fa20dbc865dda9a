/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* An object file's types (BTF), read with every bound checked: see plugin/bpf/object.h. */
#ifndef SOCKTALLY_PLUGIN_BPF_BTF_H
#define SOCKTALLY_PLUGIN_BPF_BTF_H

#include <linux/btf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct st_btf {
	uint8_t *data; /* a copy of the section, aligned */
	size_t size;
	uint32_t *types; /* where in data a type is, by its number; number 0 is void */
	uint32_t type_count;
	const char *strings;
	uint32_t string_size; /* the last byte is 0 */
};

/* data may be NULL. 0, -EINVAL or -ENOMEM. */
int st_btf_open(struct st_btf *btf, const uint8_t *data, size_t size);
void st_btf_close(struct st_btf *btf);

/* NULL: no such type. The members that its kind and count ask for are inside of the data. */
const struct btf_type *st_btf_type(const struct st_btf *btf, uint32_t number);

/* "" for what has none. */
const char *st_btf_name(const struct st_btf *btf, uint32_t offset);

/* The type without typedef, const and the like; 0: void, or it makes no sense. */
uint32_t st_btf_resolve(const struct st_btf *btf, uint32_t number);

/* Bytes that a value of the type takes; 0: none, or it makes no sense. */
uint64_t st_btf_size(const struct st_btf *btf, uint32_t number);

/* The number of a type by its kind and name; 0: there is none. */
uint32_t st_btf_find(const struct st_btf *btf, uint32_t kind, const char *name);

static inline uint32_t st_btf_kind(const struct btf_type *type)
{
	return type->info >> 24 & 0x1f;
}

static inline uint32_t st_btf_count(const struct btf_type *type)
{
	return type->info & 0xffff;
}

/* What follows a type, by its kind; NULL has none. */
static inline const void *st_btf_tail(const struct btf_type *type)
{
	return type ? type + 1 : NULL;
}

/* Bytes that follow a type; -1: no such kind. */
int64_t st_btf_tail_size(const struct btf_type *type);

/* Kinds that came to <linux/btf.h> later than others. */
enum { ST_BTF_DECL_TAG = 17, ST_BTF_TYPE_TAG = 18, ST_BTF_ENUM64 = 19 };

/* plugin/bpf/kernel_types.c: looks a few things up in the types of the kernel that runs. */
#define ST_KERNEL_MEMBERS 4

struct st_kernel_type {
	uint32_t kind; /* BTF_KIND_FUNC or BTF_KIND_STRUCT */
	const char *name;
	const char *members[ST_KERNEL_MEMBERS]; /* of a struct; NULL: no more */
	/* what is found: */
	uint32_t number;                     /* 0: there is none */
	uint32_t offsets[ST_KERNEL_MEMBERS]; /* of members, in bytes; UINT32_MAX: not there */
};

/* 0 where the types could be read, whatever was found; -errno. */
int st_kernel_types_find(struct st_kernel_type *types, size_t count);

#endif
