// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * Ranges of values become prefixes, which are values of a masked field and thus keys of a table:
 * 1024-1535 is the prefix 1024/7 of a 16-bit field. So a thousand different ranges of ports cost a
 * packet a look-up for each length of a prefix, and not a test each.
 */
#include "plugin/classes/ruleset/plan.h"

#include <errno.h>
#include <stdlib.h>

/*
 * A filter may become so many conjunctions that way; if it would be more, its ranges stay. With two
 * ranges in a conjunction, it is the product of their prefixes. 1,000 classes "portrange A-B" need
 * 216 each: 81 ns a packet, and 3,600 ns with a limit of 64. 200 classes with two such ranges take
 * 13 ms and 1 MiB to compile, and 700 ms and 20 MiB with a limit of 512.
 */
#define SPLIT_MAX 256

/* The ranges that conditions on a field have. */
struct field_ranges {
	uint32_t low, high; /* of the first one */
	bool any, different;
};

struct range_split {
	struct st_fields *fields;
	struct st_conjunctions *conjunctions;
	size_t field_count;        /* before masked ones are added */
	struct field_ranges *seen; /* of each of these fields */
	uint32_t *sizes; /* of each filter: conjunctions that it becomes, up to SPLIT_MAX + 1 */
};

static bool is_range(const struct range_split *split, const struct st_condition *condition)
{
	const struct st_field *field = &split->fields->field[condition->field];

	/* a prefix is a mask, so all bits of the field must count */
	return condition->field < split->field_count && !condition->outside &&
	       condition->low != condition->high &&
	       (field->kind == ST_FIELD_BYTES || field->kind == ST_FIELD_BEHIND) &&
	       !(field->mask & (field->mask + 1));
}

/* A range that no other one of its field differs from is best left to a test, which all share. */
static bool becomes_prefixes(const struct range_split *split, const struct st_condition *condition)
{
	return is_range(split, condition) && split->seen[condition->field].different;
}

/* The last number of the longest prefix that begins at low and ends at high or before. */
static uint32_t prefix_end(uint32_t low, uint32_t high)
{
	uint32_t bits = low ? low & -low : 0x80000000u;

	while ((uint64_t)low + bits - 1 > high)
		bits >>= 1;
	return low + bits - 1;
}

static uint32_t prefixes_of(const struct st_condition *range)
{
	uint32_t count = 0;

	for (uint64_t low = range->low; low <= range->high; count++)
		low = prefix_end((uint32_t)low, range->high) + 1ull;
	return count;
}

static void note_ranges(struct range_split *split)
{
	for (size_t i = 0; i < split->conjunctions->count; i++) {
		const struct st_conjunction *conjunction = &split->conjunctions->items[i];

		for (uint32_t at = 0; at < conjunction->count; at++) {
			const struct st_condition *range = &conjunction->conditions[at];
			struct field_ranges *seen;

			if (!is_range(split, range))
				continue;
			seen = &split->seen[range->field];
			if (!seen->any)
				*seen = (struct field_ranges){range->low, range->high, true, false};
			seen->different |= seen->low != range->low || seen->high != range->high;
		}
	}
}

static void add_sizes(struct range_split *split)
{
	for (size_t i = 0; i < split->conjunctions->count; i++) {
		const struct st_conjunction *conjunction = &split->conjunctions->items[i];
		uint32_t *size = &split->sizes[conjunction->filter], product = 1;

		/* a range has 62 prefixes at most */
		for (uint32_t at = 0; at < conjunction->count && product <= SPLIT_MAX; at++)
			if (becomes_prefixes(split, &conjunction->conditions[at]))
				product *= prefixes_of(&conjunction->conditions[at]);
		*size = *size + product <= SPLIT_MAX ? *size + product : SPLIT_MAX + 1;
	}
}

/* Replaces a conjunction with a range by one for each prefix of the range. */
static int split_conjunction(struct range_split *split, size_t at, uint32_t number)
{
	struct st_conjunctions *conjunctions = split->conjunctions;
	const struct st_condition range = conjunctions->items[at].conditions[number];
	uint64_t low = range.low;
	bool first = true;

	while (low <= range.high) {
		uint32_t end = prefix_end((uint32_t)low, range.high);
		struct st_field field = split->fields->field[range.field];
		struct st_conjunction *conjunction = &conjunctions->items[at];
		int masked;

		field.mask &= ~(end ^ (uint32_t)low);
		masked = st_field_number(split->fields, &field);
		if (masked < 0)
			return masked;
		if (!first) {
			if (!st_grow(&conjunctions->items, conjunctions->count, &conjunctions->room,
				     sizeof(*conjunctions->items)))
				return -ENOMEM;
			conjunction = &conjunctions->items[conjunctions->count++];
			*conjunction = conjunctions->items[at];
		}
		conjunction->conditions[number] = (struct st_condition){.field = (uint16_t)masked,
									.low = (uint32_t)low,
									.high = (uint32_t)low};
		first = false;
		low = end + 1ull;
	}
	return 0;
}

/* The new conjunctions come last: their other ranges are split when it is their turn. */
static int split_all(struct range_split *split)
{
	const struct st_conjunctions *conjunctions = split->conjunctions;
	int result = 0;

	for (size_t i = 0; i < conjunctions->count; i++) {
		if (split->sizes[conjunctions->items[i].filter] > SPLIT_MAX)
			continue;
		for (uint32_t at = 0; at < conjunctions->items[i].count && !result; at++)
			if (becomes_prefixes(split, &conjunctions->items[i].conditions[at]))
				result = split_conjunction(split, i, at);
		if (result)
			break;
	}
	return result;
}

int st_conjunctions_split_ranges(struct st_fields *fields, struct st_conjunctions *conjunctions,
				 size_t filter_count)
{
	struct range_split split = {.fields = fields,
				    .conjunctions = conjunctions,
				    .field_count = fields->count};
	int result = -ENOMEM;

	split.seen = calloc(fields->count + 1, sizeof(*split.seen));
	split.sizes = calloc(filter_count + 1, sizeof(*split.sizes));
	if (split.seen && split.sizes) {
		note_ranges(&split);
		add_sizes(&split);
		result = split_all(&split);
	}
	free(split.seen);
	free(split.sizes);
	return result;
}
