/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* A value in a map as named fields, by its type in an object file. */
#ifndef SOCKTALLY_PLUGIN_HOOKS_BTF_FORMAT_H
#define SOCKTALLY_PLUGIN_HOOKS_BTF_FORMAT_H

#include "plugin/bpf/btf.h"
#include <socktally/socktally.h>

#define ST_BTF_FORMAT_FIELDS 64
#define ST_BTF_FORMAT_TEXT 8192

struct st_btf_format {
	struct socktally_field field[ST_BTF_FORMAT_FIELDS];
	uint32_t count;
	uint32_t steps; /* members and elements looked at, also those that become no field */
	char text[ST_BTF_FORMAT_TEXT]; /* of all of them */
	size_t used;
};

void st_btf_format_clear(struct st_btf_format *format);

/*
 * Adds a value: itself, with that name, or what is in it, with the names of members. What there is no
 * room for is left out. type 0, or one that is larger than size: bytes as they are.
 */
void st_btf_format_fill(struct st_btf_format *format, const struct st_btf *btf, uint32_t type,
			const char *name, const uint8_t *data, size_t size);

/* Adds each number in `more` to the one in `sum`; without a type, as numbers of 64 bits. */
void st_btf_format_sum(const struct st_btf *btf, uint32_t type, uint8_t *sum, const uint8_t *more,
		       size_t size);

#endif
