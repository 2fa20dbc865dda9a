// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* Many filters become a rule set: the steps, and which filters stay filters. */
#include "plugin/classes/ruleset/ruleset.h"
#include "plugin/classes/ruleset/plan.h"

#include <errno.h>
#include <stdlib.h>

/* --- filters that stay filters */

/*
 * A form is common if it has so many conjunctions. With 1, 1,000 random expressions of any kind cost
 * 5,800 ns instead of 4,800; with 8, the varied ones of `make bench` cost 1,720 instead of 1,500.
 */
#define FORM_COMMON 4
/*
 * A filter with more conjunctions of rare forms stays a filter. The varied classes cost 2,120 ns with
 * 0, 1,500 with 4, 1,350 with 8 and 1,320 with 16; 1,000 classes of two ranges of ports 3,950 with 4
 * and 850 with 8; random ones of any kind 12 % more with 16 than with 8.
 */
#define RARE_CONJUNCTIONS 8

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
		bool value = st_condition_is_value(condition);
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
	int error = st_conjunctions_split_ranges(&ruleset->fields, conjunctions, count);

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
