// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* The lists of a rule set, and its hash tables from a key to a list. */
#include "plugin/classes/ruleset/plan.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BITS_MAX 24

uint64_t st_key_hash(const uint64_t *words, unsigned int count)
{
	uint64_t hash = words[0] * ST_KEY_FACTOR;

	for (unsigned int i = 1; i < count; i++) {
		hash ^= hash >> 32;
		hash = (hash ^ words[i]) * ST_KEY_FACTOR;
	}
	return hash;
}

uint32_t st_key_part(const struct st_field *field, uint32_t value)
{
	if (field->kind != ST_FIELD_BYTES && field->kind != ST_FIELD_BEHIND)
		return value;
	return field->size == 4 ? htonl(value) : field->size == 2 ? htons((uint16_t)value) : value;
}

static int by_number(const void *one, const void *other)
{
	uint32_t a = *(const uint32_t *)one, b = *(const uint32_t *)other;

	return a < b ? -1 : a > b;
}

int st_list_make(struct st_ruleset *ruleset, uint32_t *numbers, size_t count, uint32_t *length)
{
	size_t start = ruleset->list_count;

	qsort(numbers, count, sizeof(*numbers), by_number);
	for (size_t i = 0; i < count; i++) {
		if (i && (numbers[i] == numbers[i - 1] || ruleset->first))
			continue;
		if (!st_grow(&ruleset->lists, ruleset->list_count, &ruleset->list_room,
			     sizeof(*ruleset->lists)))
			return -ENOMEM;
		ruleset->lists[ruleset->list_count++] = numbers[i];
	}
	ruleset->lists[ruleset->list_count - 1] |= ST_LIST_END;
	*length = (uint32_t)(ruleset->list_count - start);
	return ruleset->list_count < ST_LIST_END ? (int)start : -E2BIG;
}

/* The largest first, so that no field lies across two words. */
static int by_size(const void *one, const void *other, void *ctx)
{
	const struct st_fields *fields = ctx;
	const struct st_key_field *a = one, *b = other;
	int order = (int)fields->field[b->field].size - (int)fields->field[a->field].size;

	return order ? order : (int)a->field - (int)b->field;
}

bool st_table_plan(const struct st_fields *fields, struct st_table *table)
{
	unsigned int bit = 0;

	qsort_r(table->fields, table->field_count, sizeof(*table->fields), by_size, (void *)fields);
	for (unsigned int i = 0; i < table->field_count; i++) {
		table->fields[i].word = (uint8_t)(bit / 64);
		table->fields[i].shift = (uint8_t)(bit % 64);
		bit += 8u * fields->field[table->fields[i].field].size;
	}
	table->key_words = (uint8_t)((bit + 63) / 64);
	return bit <= 64 * ST_KEY_WORDS;
}

/* False: with so many slots a key would be too far from its first slot. */
static bool fill(struct st_table *table, uint64_t *slots, const struct st_key *keys, size_t count)
{
	const size_t stride = table->key_words + 1u;

	table->probes = 1;
	for (size_t i = 0; i < count; i++) {
		uint64_t *slot = slots + stride * (st_key_hash(keys[i].words, table->key_words) >>
						   (64 - table->bits));
		uint8_t probe = 1;

		while (slot[table->key_words]) {
			if (++probe > ST_PROBE_MAX)
				return false;
			slot += stride;
		}
		memcpy(slot, keys[i].words, table->key_words * sizeof(*slot));
		slot[table->key_words] = keys[i].list + 1ull;
		if (table->probes < probe)
			table->probes = probe;
	}
	return true;
}

int st_table_make(struct st_ruleset *ruleset, struct st_table *table, const struct st_key *keys,
		  size_t count)
{
	const size_t stride = table->key_words + 1u;
	uint64_t *words;
	size_t size;

	for (table->bits = 2; (1u << table->bits) < 2 * count; table->bits++)
		if (table->bits == BITS_MAX)
			return -E2BIG;
	for (;; table->bits++) {
		if (table->bits > BITS_MAX)
			return -E2BIG;
		size = ruleset->word_count + stride * ((1u << table->bits) + ST_PROBE_MAX - 1);
		words = reallocarray(ruleset->words, size, sizeof(*words));
		if (!words)
			return -ENOMEM;
		ruleset->words = words;
		memset(words + ruleset->word_count, 0,
		       (size - ruleset->word_count) * sizeof(*words));
		if (fill(table, words + ruleset->word_count, keys, count))
			break;
	}
	table->first = (uint32_t)ruleset->word_count;
	ruleset->word_count = size;
	if (!st_grow(&ruleset->tables, ruleset->table_count, &ruleset->table_room,
		     sizeof(*ruleset->tables)))
		return -ENOMEM;
	ruleset->tables[ruleset->table_count] = *table;
	return (int)ruleset->table_count++;
}
