// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
#include "plugin/groups/fields.h"
#include <linux/bpf.h>
#include <socktally/socktally.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ST_ALWAYS                                                                                  \
	{                                                                                          \
		0                                                                                  \
	}
#define ST_IPV4                                                                                    \
	{                                                                                          \
		0, 1, 0xf0, 0x40                                                                   \
	}
/* protocol type IPv4, addresses of 6 and 4 bytes */
#define ST_ARP_IPV4                                                                                \
	{                                                                                          \
		2, 4, 0xffffffff, 0x08000604                                                       \
	}
/* in version 1, PPTP's, there is another number */
#define ST_GRE_HAS_KEY                                                                             \
	{                                                                                          \
		0, 2, 0x2007, 0x2000                                                               \
	}
/* version 1, and not GTP' */
#define ST_GTP_V1                                                                                  \
	{                                                                                          \
		0, 1, 0xf0, 0x30                                                                   \
	}

#define ST_EACH(_1, _2, _3, _4, _5, COUNT, ...) ST_IN_##COUNT
#define ST_IN(...) ST_EACH(__VA_ARGS__, 5, 4, 3, 2, 1, 0)(__VA_ARGS__)
#define ST_IN_1(A)                                                                                 \
	{                                                                                          \
		SOCKTALLY_##A                                                                      \
	}
#define ST_IN_2(A, B)                                                                              \
	{                                                                                          \
		SOCKTALLY_##A, SOCKTALLY_##B                                                       \
	}
#define ST_IN_5(A, B, C, D, E)                                                                     \
	{                                                                                          \
		SOCKTALLY_##A, SOCKTALLY_##B, SOCKTALLY_##C, SOCKTALLY_##D, SOCKTALLY_##E          \
	}
#define ST_NOWHERE                                                                                 \
	{                                                                                          \
		0                                                                                  \
	}

#define ST_FIELD(NAME, LAYERS, READ, OFFSET, BYTES, SHIFT, BITS, GUARD, FORM, HELP)                \
	{NAME, HELP, LAYERS, ST_READ_##READ, OFFSET, BYTES, SHIFT, BITS, ST_FORM_##FORM, GUARD},

const struct st_group_field st_group_fields[] = {
#include "plugin/groups/fields.def"
};

const size_t st_group_field_count = sizeof(st_group_fields) / sizeof(*st_group_fields);

const struct st_group_field *st_group_field_find(const char *name, size_t length)
{
	for (size_t i = 0; i < st_group_field_count; i++)
		if (strlen(st_group_fields[i].name) == length &&
		    !memcmp(st_group_fields[i].name, name, length))
			return &st_group_fields[i];
	return NULL;
}

#define NAME_MAX_LENGTH 31

/* Letters to change, add or leave out until one name is the other (Levenshtein). */
static unsigned int distance(const char *one, size_t length, const char *other)
{
	unsigned int row[NAME_MAX_LENGTH + 1];
	size_t width = strlen(other);

	for (size_t j = 0; j <= width; j++)
		row[j] = (unsigned int)j;
	for (size_t i = 0; i < length; i++) {
		unsigned int diagonal = row[0];

		row[0] = (unsigned int)i + 1;
		for (size_t j = 0; j < width; j++) {
			unsigned int change = diagonal + (one[i] != other[j]);
			unsigned int shorter = (row[j] < row[j + 1] ? row[j] : row[j + 1]) + 1;

			diagonal = row[j + 1];
			row[j + 1] = change < shorter ? change : shorter;
		}
	}
	return row[width];
}

/* The same, where the end of a name, or its start, is all that was given: "port", "vlan". */
static unsigned int unlikeness(const char *name, size_t length, const char *other)
{
	size_t whole = strlen(other);
	unsigned int changes = distance(name, length, other);

	if (length >= 2 && length < whole &&
	    (!strncmp(name, other, length) || !strncmp(name, other + whole - length, length)))
		return !strncmp(name, other, length) ? 1 : changes < 2 ? changes : 2;
	return changes;
}

#define NEAREST 3

void st_group_field_nearest(const char *name, size_t length, char *text, size_t size)
{
	const struct st_group_field *best[NEAREST] = {0};
	unsigned int changes[NEAREST];
	size_t used = 0;

	*text = '\0';
	if (length > NAME_MAX_LENGTH)
		return;
	for (size_t i = 0; i < st_group_field_count; i++) {
		unsigned int needs = unlikeness(name, length, st_group_fields[i].name);
		size_t at = NEAREST;

		while (at && (!best[at - 1] || changes[at - 1] > needs))
			at--;
		if (at == NEAREST || needs > 3 + length / 4)
			continue;
		for (size_t j = NEAREST - 1; j > at; j--) {
			best[j] = best[j - 1];
			changes[j] = changes[j - 1];
		}
		best[at] = &st_group_fields[i];
		changes[at] = needs;
	}
	for (size_t i = 0; i < NEAREST && best[i] && used < size; i++)
		used += (size_t)snprintf(text + used, size - used, "%s%s", i ? ", " : "",
					 best[i]->name);
}
