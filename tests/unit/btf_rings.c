// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* Types that contain themselves, as no compiler makes them: values of them are shown and added up, and it ends. */
#include "plugin/hooks/btf_format.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MEMBERS 1000

enum { NUMBER = 1, RING, NAMED_RING, ARRAY };

/* Two structs of 8 bytes, of which each member is the struct itself, with and without a name. */
static struct {
	struct btf_header header;
	struct {
		struct btf_type number;
		uint32_t encoding;
		struct {
			struct btf_type type;
			struct btf_member members[MEMBERS];
		} rings[2];
		struct {
			struct btf_type type;
			struct btf_array array;
		} array; /* of itself */
	} types;
	char names[8];
} section;

static void section_make(void)
{
	section.header = (struct btf_header){.magic = BTF_MAGIC,
					     .version = BTF_VERSION,
					     .hdr_len = sizeof(section.header),
					     .type_len = sizeof(section.types),
					     .str_off = sizeof(section.types),
					     .str_len = sizeof(section.names)};
	section.types.number = (struct btf_type){.info = BTF_KIND_INT << 24, .size = 8};
	section.types.encoding = 64;
	for (uint32_t i = 0; i < 2; i++) {
		section.types.rings[i].type =
			(struct btf_type){.info = BTF_KIND_STRUCT << 24 | MEMBERS, .size = 8};
		for (uint32_t j = 0; j < MEMBERS; j++)
			section.types.rings[i].members[j] =
				(struct btf_member){.name_off = i, .type = RING + i};
	}
	section.types.array.type = (struct btf_type){.info = BTF_KIND_ARRAY << 24};
	section.types.array.array =
		(struct btf_array){.type = ARRAY, .index_type = NUMBER, .nelems = 1};
	strcpy(section.names + 1, "name");
}

int main(void)
{
	static const char *const names[] = {"a number", "a struct in itself",
					    "a struct in itself, by a name", "an array of itself"};
	struct st_btf_format *format = calloc(1, sizeof(*format));
	uint64_t value = 5, more = 6;
	unsigned int ran = 0;
	struct st_btf btf;

	section_make();
	if (!format || st_btf_open(&btf, (const uint8_t *)&section, sizeof(section))) {
		printf("Bail out! the types\n");
		return 1;
	}
	for (uint32_t type = NUMBER; type <= ARRAY; type++) {
		bool good;

		st_btf_format_clear(format);
		st_btf_format_fill(format, &btf, type, "value", (uint8_t *)&value, sizeof(value));
		good = format->count == 1 && format->field[0].number == 5;
		st_btf_format_sum(&btf, type, (uint8_t *)&value, (uint8_t *)&more, sizeof(value));
		good &= value == (type == NUMBER ? 11 : 5);
		value = 5;
		printf("%sok %u - %s\n", good ? "" : "not ", ++ran, names[type - 1]);
	}
	printf("1..%u\n", ran);
	st_btf_close(&btf);
	free(format);
	return 0;
}
