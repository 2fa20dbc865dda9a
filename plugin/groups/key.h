/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * What the packets of a group have in common: the values of some fields. They are packed into a key of
 * 64-bit words, each value a number in this machine's byte order at a place that is the same in all
 * keys of the group.
 */
#ifndef SOCKTALLY_PLUGIN_GROUPS_KEY_H
#define SOCKTALLY_PLUGIN_GROUPS_KEY_H

#include "bpf/groups.h"
#include "plugin/groups/fields.h"
#include <socktally/socktally.h>

#define ST_GROUP_KEY_FIELDS 8
#define ST_GROUP_KEY_TEXT_MAX 48

/* Bits of a key. */
struct st_group_key_place {
	uint8_t word, shift;
};

struct st_group_key_field {
	const struct st_group_field *field;
	bool inner;     /* of the last such layer, not of the first */
	bool powers;    /* only which power of two: 0, 1, 2 to 3, 4 to 7, ... */
	uint8_t prefix; /* of an address: the bits that are looked at */
	uint8_t step;   /* of a number: the bits at its end that are not */
	/* a value of 128 bits takes this word and the next one */
	struct st_group_key_place place;
	struct st_group_key_place version; /* of an address of either family: 4 or 6 */
	char text[ST_GROUP_KEY_TEXT_MAX];  /* "inner.ip.dst/24" */
};

struct st_group_key {
	struct st_group_key_field field[ST_GROUP_KEY_FIELDS];
	size_t count;
	uint32_t words;
	struct st_group_key_place direction; /* one bit: sent */
};

/*
 * "ip.dst/24,tcp.dstport" as a key. 0, or -EINVAL, with what is wrong as text of up to size bytes.
 */
int st_group_key_parse(struct st_group_key *key, const char *text, char *wrong, size_t size);

/* Bits of the value as the key has it. */
unsigned int st_group_key_bits(const struct st_group_key_field *field);

/* The mask of a value of up to 64 bits. */
uint64_t st_group_key_mask(const struct st_group_key_field *field);
/* The mask of the upper or lower half of one of 128 bits. */
uint64_t st_group_key_mask_half(const struct st_group_key_field *field, bool low);

/* The values of a key: an element for each field. The texts are in `texts`. */
#define ST_VALUE_TEXT_MAX 256
void st_group_key_values(const struct st_group_key *key, const __u64 *words,
			 struct socktally_field values[ST_GROUP_KEY_FIELDS],
			 char texts[ST_GROUP_KEY_FIELDS][ST_VALUE_TEXT_MAX]);

/* --- packets in memory */

struct st_group_key_packet {
	const struct socktally_packet *packet; /* its layers and where they start */
	const uint8_t *data;
	uint32_t caplen;
};

/* The packet's key; false: it does not have all fields. */
bool st_group_key_read(const struct st_group_key *key, const struct st_group_key_packet *packet,
		       __u64 *words);

#endif
