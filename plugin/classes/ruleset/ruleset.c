// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
#include "plugin/classes/ruleset/ruleset.h"
#include "plugin/classes/ruleset/plan.h"

#include <errno.h>
#include <stdlib.h>

/* Ranges are split if so many different ones are asked of a field, into so many prefixes at most. */
#define RANGES_MANY 8
#define PREFIXES_MAX 64

static bool is_range(const struct st_fields *fields, const struct st_condition *condition)
{
	const struct st_field *field = &fields->field[condition->field];

	/* prefixes are of fields whose bits all count */
	return !condition->outside && condition->low != condition->high &&
	       (field->kind == ST_FIELD_BYTES || field->kind == ST_FIELD_BEHIND) &&
	       !(field->mask & (field->mask + 1));
}

/* The longest prefix that begins at low and ends by high: its last number. */
static uint32_t prefix_end(uint32_t low, uint32_t high)
{
	uint32_t bits = low ? low & -low : 0x80000000u;

	while ((uint64_t)low + bits - 1 > high)
		bits >>= 1;
	return low + bits - 1;
}

/* Puts a way for each prefix in the place of one with a range. */
static int split_way(struct st_fields *fields, struct st_conjunctions *ways, size_t at,
		     uint32_t number)
{
	const struct st_condition range = ways->way[at].conditions[number];
	uint64_t low = range.low;
	bool first = true;

	while (low <= range.high) {
		uint32_t end = prefix_end((uint32_t)low, range.high);
		struct st_field field = fields->field[range.field];
		struct st_conjunction *way = &ways->way[at];
		int masked;

		field.mask &= ~(end ^ (uint32_t)low);
		masked = st_field_number(fields, &field);
		if (masked < 0)
			return masked;
		if (!first) {
			if (!st_grow(&ways->way, ways->count, &ways->room, sizeof(*ways->way)))
				return -ENOMEM;
			way = &ways->way[ways->count++];
			*way = ways->way[at];
		}
		way->conditions[number] = (struct st_condition){.field = (uint16_t)masked,
								.low = (uint32_t)low,
								.high = (uint32_t)low};
		first = false;
		low = end + 1ull;
	}
	return 0;
}

static uint32_t prefixes_of(const struct st_condition *range)
{
	uint32_t count = 0;

	for (uint64_t low = range->low; low <= range->high; count++)
		low = prefix_end((uint32_t)low, range->high) + 1ull;
	return count;
}

/* How many different ranges each field is asked for, as far as that is of interest. */
static void count_ranges(const struct st_fields *fields, const struct st_conjunctions *ways,
			 struct st_condition (*seen)[RANGES_MANY], uint8_t *counts)
{
	for (size_t i = 0; i < ways->count; i++) {
		for (uint32_t at = 0; at < ways->way[i].count; at++) {
			const struct st_condition *condition = &ways->way[i].conditions[at];
			uint8_t *count = &counts[condition->field], known = 0;

			if (!is_range(fields, condition))
				continue;
			while (known < *count &&
			       (seen[condition->field][known].low != condition->low ||
				seen[condition->field][known].high != condition->high))
				known++;
			if (known == *count && known < RANGES_MANY)
				seen[condition->field][(*count)++] = *condition;
		}
	}
}

static int split_ranges(struct st_fields *fields, struct st_conjunctions *ways,
			const uint8_t *counts, size_t field_count)
{
	for (size_t i = 0; i < ways->count; i++) {
		uint32_t prefixes = 1;

		for (uint32_t at = 0; at < ways->way[i].count; at++) {
			const struct st_condition range = ways->way[i].conditions[at];
			int result;

			if (range.field >= field_count || counts[range.field] < RANGES_MANY ||
			    !is_range(fields, &range))
				continue;
			prefixes *= prefixes_of(&range);
			if (prefixes > PREFIXES_MAX)
				break;
			result = split_way(fields, ways, i, at);
			if (result)
				return result;
		}
	}
	return 0;
}

int st_conjunctions_split_ranges(struct st_fields *fields, struct st_conjunctions *ways)
{
	size_t field_count = fields->count;
	struct st_condition(*seen)[RANGES_MANY] = calloc(field_count + 1, sizeof(*seen));
	uint8_t *counts = calloc(field_count + 1, 1);
	int result = -ENOMEM;

	if (seen && counts) {
		count_ranges(fields, ways, seen, counts);
		result = split_ranges(fields, ways, counts, field_count);
	}
	free(seen);
	free(counts);
	return result;
}

/* --- filters that are best left alone */

/* A form that so many ways have is worth a table or a test of its own. */
#define FORM_COMMON 4
/* A filter may have so many ways of rarer forms. */
#define RARE_WAYS 4

struct form {
	uint64_t hash;
	uint32_t filter; /* its index */
	bool rare;
};

/* Of all but the values that fields are compared with: alike in ways of one form. */
static uint64_t form_hash(const struct st_conjunction *way)
{
	uint64_t hash = 0;

	for (uint32_t i = 0; i < way->count; i++) {
		const struct st_condition *condition = &way->conditions[i];
		bool value = !condition->outside && condition->low == condition->high;
		const uint64_t words[] = {condition->field | (uint64_t)condition->outside << 16,
					  value ? 0 : condition->low, value ? 0 : condition->high};

		hash += st_key_hash(words, 3); /* in whatever order */
	}
	return hash;
}

static int by_hash(const void *one, const void *other)
{
	const struct form *a = one, *b = other;

	return a->hash < b->hash ? -1 : a->hash > b->hash;
}

static void mark_rare(struct form *forms, size_t count)
{
	size_t same;

	qsort(forms, count, sizeof(*forms), by_hash);
	for (size_t i = 0; i < count; i += same) {
		for (same = 1; i + same < count && forms[i].hash == forms[i + same].hash;)
			same++;
		for (size_t at = i; at < i + same; at++)
			forms[at].rare = same < FORM_COMMON;
	}
}

/*
 * A filter that is like few others, on many ways, would cost more in tests of its own than if it is
 * run as it is. *alone: those, a flag each, malloc'ed; their ways are taken out.
 */
static int leave_alone(struct st_conjunctions *ways, size_t filter_count, bool **alone)
{
	struct form *forms = malloc((ways->count + 1) * sizeof(*forms));
	uint32_t *rare = calloc(filter_count + 1, sizeof(*rare));
	size_t kept = 0;

	*alone = calloc(filter_count + 1, sizeof(**alone));
	if (!forms || !rare || !*alone) {
		free(forms);
		free(rare);
		return -ENOMEM;
	}
	for (size_t i = 0; i < ways->count; i++)
		forms[i] = (struct form){.hash = form_hash(&ways->way[i]),
					 .filter = ways->way[i].filter};
	mark_rare(forms, ways->count);
	for (size_t i = 0; i < ways->count; i++)
		rare[forms[i].filter] += forms[i].rare;
	for (size_t i = 0; i < filter_count; i++)
		(*alone)[i] = rare[i] > RARE_WAYS;
	for (size_t i = 0; i < ways->count; i++)
		if (!(*alone)[ways->way[i].filter])
			ways->way[kept++] = ways->way[i];
	ways->count = kept;
	free(forms);
	free(rare);
	return 0;
}

/* --- all together */

static int keep_filter(struct st_ruleset *decision, const struct st_filter *filter)
{
	if (!st_grow(&decision->filters, decision->filter_count, &decision->filter_room,
		     sizeof(*decision->filters)))
		return -ENOMEM;
	decision->filters[decision->filter_count++] = *filter;
	return 0;
}

static int plan_filters(struct st_ruleset *decision)
{
	for (size_t i = 0; i < decision->filter_count; i++) {
		uint32_t number = decision->filters[i].number, length;
		int list = st_list_make(decision, &number, 1, &length);

		if (list < 0)
			return list;
		if (!st_grow(&decision->ops, decision->op_count, &decision->op_room,
			     sizeof(*decision->ops)))
			return -ENOMEM;
		decision->ops[decision->op_count++] = (struct st_op){.kind = ST_OP_FILTER,
								     .list = (uint32_t)list,
								     .index = (uint32_t)i};
		decision->longest++;
		decision->pushes++;
	}
	return 0;
}

static int walk_all(struct st_ruleset *decision, const struct st_filter *filters, size_t count,
		    struct st_conjunctions *ways)
{
	int error = 0;

	for (size_t i = 0; i < count && !error; i++) {
		size_t before = ways->count;

		if (st_filter_symexec(&decision->fields, filters[i].insns, (uint32_t)i, ways,
				      &error))
			st_conjunctions_simplify(&decision->fields, ways, before);
		else if (!error)
			error = keep_filter(decision, &filters[i]);
	}
	return error;
}

static int plan_ways(struct st_ruleset *decision, const struct st_filter *filters, size_t count,
		     struct st_conjunctions *ways)
{
	bool *alone = NULL;
	int error = st_conjunctions_split_ranges(&decision->fields, ways);

	if (!error)
		error = leave_alone(ways, count, &alone);
	for (size_t i = 0; i < count && !error; i++)
		if (alone[i])
			error = keep_filter(decision, &filters[i]);
	free(alone);
	for (size_t i = 0; i < ways->count; i++)
		ways->way[i].filter = filters[ways->way[i].filter].number;
	return error ? error : st_plan_conjunctions(decision, ways);
}

int st_ruleset_make(struct st_ruleset *decision, const struct st_filter *filters, size_t count,
		    bool first)
{
	struct st_conjunctions ways = {0};
	int error;

	*decision = (struct st_ruleset){.first = first};
	error = walk_all(decision, filters, count, &ways);
	if (!error)
		error = plan_ways(decision, filters, count, &ways);
	if (!error)
		error = plan_filters(decision);
	free(ways.way);
	if (error)
		st_ruleset_free(decision);
	return error;
}

void st_ruleset_free(struct st_ruleset *decision)
{
	free(decision->fields.field);
	free(decision->ops);
	free(decision->tables);
	free(decision->words);
	free(decision->lists);
	free(decision->filters);
	*decision = (struct st_ruleset){0};
}
