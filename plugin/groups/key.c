// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* Keys: from the text that names their fields, and where each value is in them. */
#include "plugin/groups/key.h"
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INNER "inner."

unsigned int st_group_key_bits(const struct st_group_key_field *field)
{
	return field->powers ? 6 : field->field->bits;
}

uint64_t st_group_key_mask(const struct st_group_key_field *field)
{
	unsigned int bits = st_group_key_bits(field);
	uint64_t all = bits == 64 ? UINT64_MAX : (1ull << bits) - 1;

	if (st_group_field_is_address(field->field))
		return field->prefix ? all & ~(all >> (field->prefix - 1) >> 1) : 0;
	return all >> field->step << field->step;
}

uint64_t st_group_key_mask_half(const struct st_group_key_field *field, bool low)
{
	unsigned int prefix = field->prefix;

	if (!st_group_field_is_address(field->field))
		return UINT64_MAX;
	prefix = low ? (prefix > 64 ? prefix - 64 : 0) : (prefix < 64 ? prefix : 64);
	return prefix ? UINT64_MAX << (64 - prefix) : 0;
}

static unsigned int longest_prefix(const struct st_group_field *field)
{
	return field->form == ST_FORM_MAC ? 48 : field->form == ST_FORM_IPV4 ? 32 : 128;
}

/* The number behind the slash. */
static int bits_parse(struct st_group_key_field *field, const char *text, size_t length,
		      char *wrong, size_t size)
{
	const unsigned int longest = longest_prefix(field->field);
	char digits[8] = "", *end;
	unsigned long number;

	if (length && length < sizeof(digits))
		memcpy(digits, text, length);
	number = strtoul(digits, &end, 10);
	if (*digits < '0' || *digits > '9' || *end)
		number = ULONG_MAX;
	if (st_group_field_is_address(field->field)) {
		if (number > longest) {
			snprintf(wrong, size, "%s/%.*s: a prefix has 0 to %u bits",
				 field->field->name, (int)length, text, longest);
			return -EINVAL;
		}
		field->prefix = (uint8_t)number;
		return 0;
	}
	if (field->field->form != ST_FORM_DECIMAL) {
		snprintf(wrong, size, "%s/%.*s: only addresses and numbers take /N",
			 field->field->name, (int)length, text);
		return -EINVAL;
	}
	if (!number || number & (number - 1) || number >> field->field->bits) {
		snprintf(wrong, size,
			 "%s/%.*s: a number goes in steps of a power of two: /1, /2, /4, ...",
			 field->field->name, (int)length, text);
		return -EINVAL;
	}
	field->powers = false;
	field->step = (uint8_t)__builtin_ctzl(number);
	return 0;
}

static int unknown(const char *text, size_t length, char *wrong, size_t size)
{
	char nearest[128];

	if (!length) {
		snprintf(wrong, size, "a field has no name: FIELD[/BITS][,FIELD...]");
		return -EINVAL;
	}
	st_group_field_nearest(text, length, nearest, sizeof(nearest));
	if (*nearest)
		snprintf(wrong, size, "there is no field %.*s; the nearest: %s", (int)length, text,
			 nearest);
	else
		snprintf(wrong, size, "there is no field %.*s", (int)length, text);
	return -EINVAL;
}

/* "inner.ip.dst/24" */
static int field_parse(struct st_group_key_field *field, const char *text, size_t length,
		       char *wrong, size_t size)
{
	const char *slash = memchr(text, '/', length), *name = text;
	size_t name_length = slash ? (size_t)(slash - text) : length;

	if (name_length > strlen(INNER) && !strncmp(text, INNER, strlen(INNER))) {
		field->inner = true;
		name += strlen(INNER);
		name_length -= strlen(INNER);
	}
	field->field = st_group_field_find(name, name_length);
	if (!field->field || length >= sizeof(field->text))
		return unknown(name, name_length, wrong, size);
	if (field->inner && !*field->field->layers) {
		snprintf(wrong, size, INNER "%s: it is not of a header, so there is no inner one",
			 field->field->name);
		return -EINVAL;
	}
	memcpy(field->text, text, length);
	field->prefix = (uint8_t)longest_prefix(field->field);
	field->powers = field->field->read == ST_READ_LENGTH;
	if (slash)
		return bits_parse(field, slash + 1, length - (size_t)(slash + 1 - text), wrong,
				  size);
	return 0;
}

/* --- places: a value of up to 64 bits is in one word, the first with room for it */

struct words {
	unsigned int used[ST_GROUP_WORDS]; /* bits */
	uint32_t count;
};

static bool place_bits(struct words *words, unsigned int bits, struct st_group_key_place *place)
{
	uint32_t word = 0;

	while (word < words->count && words->used[word] + bits > 64)
		word++;
	if (word == ST_GROUP_WORDS)
		return false;
	if (word == words->count)
		words->used[words->count++] = 0;
	*place = (struct st_group_key_place){(uint8_t)word, (uint8_t)words->used[word]};
	words->used[word] += bits;
	return true;
}

static bool place_whole(struct words *words, struct st_group_key_place *place)
{
	if (words->count + 2 > ST_GROUP_WORDS)
		return false;
	*place = (struct st_group_key_place){.word = (uint8_t)words->count};
	words->used[words->count++] = 64;
	words->used[words->count++] = 64;
	return true;
}

static bool place_field(struct words *words, struct st_group_key_field *field)
{
	unsigned int bits = st_group_key_bits(field);

	if (bits <= 64)
		return place_bits(words, bits, &field->place);
	return place_whole(words, &field->place) &&
	       (field->field->read != ST_READ_ADDRESS || place_bits(words, 4, &field->version));
}

int st_group_key_parse(struct st_group_key *key, const char *text, char *wrong, size_t size)
{
	struct words words = {.count = 0};
	bool room = true;

	memset(key, 0, sizeof(*key));
	*wrong = '\0';
	for (;; text++) {
		size_t length = strcspn(text, ",");
		int result;

		if (key->count == ST_GROUP_KEY_FIELDS) {
			room = false;
			break;
		}
		result = field_parse(&key->field[key->count++], text, length, wrong, size);
		if (result)
			return result;
		text += length;
		if (!*text)
			break;
	}
	for (size_t i = 0; i < key->count && room; i++)
		room = place_field(&words, &key->field[i]);
	if (!room || !place_bits(&words, 1, &key->direction)) {
		snprintf(wrong, size, "too many fields for one key: %d, and %d bytes, at most",
			 ST_GROUP_KEY_FIELDS, 8 * ST_GROUP_WORDS);
		return -EINVAL;
	}
	key->words = words.count;
	return 0;
}
