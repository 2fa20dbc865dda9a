// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
#include "plugin/classes/ruleset/ruleset.h"
#include "plugin/classes/ruleset/plan.h"

#include <errno.h>
#include <stdlib.h>

/*
 * A field's ranges become prefixes if there are so many different ones, and each is so many
 * prefixes at most.
 */
#define RANGES_MANY 8
#define PREFIXES_MAX 64

static bool is_range(const struct st_fields *fields, const struct st_condition *condition)
{
	const struct st_field *field = &fields->field[condition->field];

	/* a prefix is a mask, so all bits of the field must count */
	return !condition->outside && condition->low != condition->high &&
	       (field->kind == ST_FIELD_BYTES || field->kind == ST_FIELD_BEHIND) &&
	       !(field->mask & (field->mask + 1));
}

/* The last number of the longest prefix that begins at low and ends at high or before. */
static uint32_t prefix_end(uint32_t low, uint32_t high)
{
	uint32_t bits = low ? low & -low : 0x80000000u;

	while ((uint64_t)low + bits - 1 > high)
		bits >>= 1;
	return low + bits - 1;
}

/* Replaces a conjunction with a range by one for each prefix of the range. */
static int split_conjunction(struct st_fields *fields, struct st_conjunctions *conjunctions,
			     size_t at, uint32_t number)
{
	const struct st_condition range = conjunctions->items[at].conditions[number];
	uint64_t low = range.low;
	bool first = true;

	while (low <= range.high) {
		uint32_t end = prefix_end((uint32_t)low, range.high);
		struct st_field field = fields->field[range.field];
		struct st_conjunction *conjunction = &conjunctions->items[at];
		int masked;

		field.mask &= ~(end ^ (uint32_t)low);
		masked = st_field_number(fields, &field);
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

static uint32_t prefixes_of(const struct st_condition *range)
{
	uint32_t count = 0;

	for (uint64_t low = range->low; low <= range->high; count++)
		low = prefix_end((uint32_t)low, range->high) + 1ull;
	return count;
}

/* Counts the different ranges of each field, up to RANGES_MANY. */
static void count_ranges(const struct st_fields *fields, const struct st_conjunctions *conjunctions,
			 struct st_condition (*seen)[RANGES_MANY], uint8_t *counts)
{
	for (size_t i = 0; i < conjunctions->count; i++) {
		for (uint32_t at = 0; at < conjunctions->items[i].count; at++) {
			const struct st_condition *condition =
				&conjunctions->items[i].conditions[at];
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

static int split_ranges(struct st_fields *fields, struct st_conjunctions *conjunctions,
			const uint8_t *counts, size_t field_count)
{
	for (size_t i = 0; i < conjunctions->count; i++) {
		uint32_t prefixes = 1;

		for (uint32_t at = 0; at < conjunctions->items[i].count; at++) {
			const struct st_condition range = conjunctions->items[i].conditions[at];
			int result;

			if (range.field >= field_count || counts[range.field] < RANGES_MANY ||
			    !is_range(fields, &range))
				continue;
			prefixes *= prefixes_of(&range);
			if (prefixes > PREFIXES_MAX)
				break;
			result = split_conjunction(fields, conjunctions, i, at);
			if (result)
				return result;
		}
	}
	return 0;
}

int st_conjunctions_split_ranges(struct st_fields *fields, struct st_conjunctions *conjunctions)
{
	size_t field_count = fields->count;
	struct st_condition(*seen)[RANGES_MANY] = calloc(field_count + 1, sizeof(*seen));
	uint8_t *counts = calloc(field_count + 1, 1);
	int result = -ENOMEM;

	if (seen && counts) {
		count_ranges(fields, conjunctions, seen, counts);
		result = split_ranges(fields, conjunctions, counts, field_count);
	}
	free(seen);
	free(counts);
	return result;
}

/* --- filters that stay filters */

/* A form is common if it has so many conjunctions. */
#define FORM_COMMON 4
/* A filter with more conjunctions of rare forms stays a filter. */
#define RARE_CONJUNCTIONS 4

struct form {
	uint64_t hash;
	uint32_t filter; /* index */
	bool rare;
};

/* The same for conjunctions of one form: values are left out. */
static uint64_t form_hash(const struct st_conjunction *conjunction)
{
	uint64_t hash = 0;

	for (uint32_t i = 0; i < conjunction->count; i++) {
		const struct st_condition *condition = &conjunction->conditions[i];
		bool value = !condition->outside && condition->low == condition->high;
		const uint64_t words[] = {condition->field | (uint64_t)condition->outside << 16,
					  value ? 0 : condition->low, value ? 0 : condition->high};

		hash += st_key_hash(words, 3); /* the order of the conditions does not matter */
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
 * A filter that shares little with others would cost more as tests of its own than if it runs as it
 * is. *alone: a flag for each filter, malloc'ed; the conjunctions of these filters are removed.
 */
static int leave_alone(struct st_conjunctions *conjunctions, size_t filter_count, bool **alone)
{
	struct form *forms = malloc((conjunctions->count + 1) * sizeof(*forms));
	uint32_t *rare = calloc(filter_count + 1, sizeof(*rare));
	size_t kept = 0;

	*alone = calloc(filter_count + 1, sizeof(**alone));
	if (!forms || !rare || !*alone) {
		free(forms);
		free(rare);
		return -ENOMEM;
	}
	for (size_t i = 0; i < conjunctions->count; i++)
		forms[i] = (struct form){.hash = form_hash(&conjunctions->items[i]),
					 .filter = conjunctions->items[i].filter};
	mark_rare(forms, conjunctions->count);
	for (size_t i = 0; i < conjunctions->count; i++)
		rare[forms[i].filter] += forms[i].rare;
	for (size_t i = 0; i < filter_count; i++)
		(*alone)[i] = rare[i] > RARE_CONJUNCTIONS;
	for (size_t i = 0; i < conjunctions->count; i++)
		if (!(*alone)[conjunctions->items[i].filter])
			conjunctions->items[kept++] = conjunctions->items[i];
	conjunctions->count = kept;
	free(forms);
	free(rare);
	return 0;
}

/* --- all together */

static int keep_filter(struct st_ruleset *ruleset, const struct st_filter *filter)
{
	if (!st_grow(&ruleset->filters, ruleset->filter_count, &ruleset->filter_room,
		     sizeof(*ruleset->filters)))
		return -ENOMEM;
	ruleset->filters[ruleset->filter_count++] = *filter;
	return 0;
}

static int plan_filters(struct st_ruleset *ruleset)
{
	for (size_t i = 0; i < ruleset->filter_count; i++) {
		uint32_t number = ruleset->filters[i].number, length;
		int list = st_list_make(ruleset, &number, 1, &length);

		if (list < 0)
			return list;
		if (!st_grow(&ruleset->ops, ruleset->op_count, &ruleset->op_room,
			     sizeof(*ruleset->ops)))
			return -ENOMEM;
		ruleset->ops[ruleset->op_count++] = (struct st_op){.kind = ST_OP_FILTER,
								   .list = (uint32_t)list,
								   .index = (uint32_t)i};
		ruleset->longest++;
		ruleset->pushes++;
	}
	return 0;
}

static int symexec_all(struct st_ruleset *ruleset, const struct st_filter *filters, size_t count,
		       struct st_conjunctions *conjunctions)
{
	int error = 0;

	for (size_t i = 0; i < count && !error; i++) {
		size_t before = conjunctions->count;

		if (st_filter_symexec(&ruleset->fields, filters[i].insns, (uint32_t)i, conjunctions,
				      &error))
			st_conjunctions_simplify(&ruleset->fields, conjunctions, before);
		else if (!error)
			error = keep_filter(ruleset, &filters[i]);
	}
	return error;
}

static int plan_rules(struct st_ruleset *ruleset, const struct st_filter *filters, size_t count,
		      struct st_conjunctions *conjunctions)
{
	bool *alone = NULL;
	int error = st_conjunctions_split_ranges(&ruleset->fields, conjunctions);

	if (!error)
		error = leave_alone(conjunctions, count, &alone);
	for (size_t i = 0; i < count && !error; i++)
		if (alone[i])
			error = keep_filter(ruleset, &filters[i]);
	free(alone);
	for (size_t i = 0; i < conjunctions->count; i++)
		conjunctions->items[i].filter = filters[conjunctions->items[i].filter].number;
	return error ? error : st_plan_conjunctions(ruleset, conjunctions);
}

int st_ruleset_make(struct st_ruleset *ruleset, const struct st_filter *filters, size_t count,
		    bool first)
{
	struct st_conjunctions conjunctions = {0};
	int error;

	*ruleset = (struct st_ruleset){.first = first};
	error = symexec_all(ruleset, filters, count, &conjunctions);
	if (!error)
		error = plan_rules(ruleset, filters, count, &conjunctions);
	if (!error)
		error = plan_filters(ruleset);
	free(conjunctions.items);
	if (error)
		st_ruleset_free(ruleset);
	return error;
}

void st_ruleset_free(struct st_ruleset *ruleset)
{
	free(ruleset->fields.field);
	free(ruleset->ops);
	free(ruleset->tables);
	free(ruleset->words);
	free(ruleset->lists);
	free(ruleset->filters);
	*ruleset = (struct st_ruleset){0};
}
