// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * From conjunctions to ops. A condition that many conjunctions share is tested once, in front of
 * all of them. What is left of them mostly differs in values only: conjunctions with the same
 * fields become one hash table.
 */
#include "plugin/classes/ruleset/plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/*
 * A value gets a test of its own if at least one in so many conjunctions that compare this field has it.
 * The varied classes of `make bench`, 100 of them, cost 174 ns with 2 and 147 with 8; from 16 on, there
 * are more tests, and nothing is faster.
 */
#define COMMON_SHARE 8
/*
 * Up to so many keys are compared one by one instead of a table. With tables for all, 1,000 varied
 * classes cost 1,690 ns instead of 1,500, and take 560 ms instead of 340 to be set.
 */
#define FEW_KEYS 2

struct ruleset_plan {
	struct st_ruleset *ruleset;
	struct st_conjunction *items;
};

/* What a single packet can meet at most. */
struct bounds {
	size_t numbers, lists;
};

static int compare_conditions(const void *one, const void *other)
{
	const struct st_condition *a = one, *b = other;

	if (a->field != b->field)
		return (int)a->field - (int)b->field;
	if (a->outside != b->outside)
		return (int)a->outside - (int)b->outside;
	if (a->low != b->low)
		return a->low < b->low ? -1 : 1;
	return a->high < b->high ? -1 : a->high > b->high;
}

static int add_op(struct st_ruleset *ruleset, struct st_op op)
{
	if (!st_grow(&ruleset->ops, ruleset->op_count, &ruleset->op_room, sizeof(*ruleset->ops)))
		return -ENOMEM;
	ruleset->ops[ruleset->op_count] = op;
	return (int)ruleset->op_count++;
}

static int add_test(struct st_ruleset *ruleset, const struct st_condition *condition)
{
	return add_op(ruleset, (struct st_op){.kind = ST_OP_TEST, .condition = *condition});
}

/* Sets `skip` of these tests: to behind the last op so far. */
static void end_tests(struct st_ruleset *ruleset, size_t first, size_t count)
{
	for (size_t i = first; i < first + count; i++)
		ruleset->ops[i].skip = (uint32_t)(ruleset->op_count - i - 1);
}

static int add_match(struct ruleset_plan *plan, const uint32_t *subset, size_t count,
		     struct bounds *bounds)
{
	uint32_t *numbers = malloc(count * sizeof(*numbers)), length;
	int list;

	if (!numbers)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		numbers[i] = plan->items[subset[i]].filter;
	list = st_list_make(plan->ruleset, numbers, count, &length);
	free(numbers);
	if (list < 0)
		return list;
	bounds->numbers += length;
	bounds->lists++;
	list = add_op(plan->ruleset, (struct st_op){.kind = ST_OP_MATCH, .list = (uint32_t)list});
	return list < 0 ? list : 0;
}

/* --- conditions that many conjunctions share */

static bool is_common(const struct ruleset_plan *plan, const struct st_condition *condition,
		      size_t count, const size_t *valued)
{
	if (count < 2)
		return false;
	if (!st_condition_is_value(condition) ||
	    st_field_is_length(&plan->ruleset->fields.field[condition->field]))
		return true;
	return count * COMMON_SHARE >= valued[condition->field];
}

/*
 * The condition that most conjunctions have. False: none deserves a test of its own; *error:
 * -ENOMEM.
 */
static bool most_common(const struct ruleset_plan *plan, const uint32_t *subset, size_t count,
			struct st_condition *best, int *error)
{
	size_t total = 0, best_count = 0, run;
	size_t *valued = calloc(plan->ruleset->fields.count + 1, sizeof(*valued));
	struct st_condition *all;

	for (size_t i = 0; i < count; i++)
		total += plan->items[subset[i]].count;
	all = malloc((total + 1) * sizeof(*all));
	*error = all && valued ? 0 : -ENOMEM;
	total = 0;
	for (size_t i = 0; i < count && !*error; i++) {
		const struct st_conjunction *conjunction = &plan->items[subset[i]];

		for (uint32_t at = 0; at < conjunction->count; at++) {
			all[total++] = conjunction->conditions[at];
			valued[conjunction->conditions[at].field] +=
				st_condition_is_value(&conjunction->conditions[at]);
		}
	}
	if (!*error)
		qsort(all, total, sizeof(*all), compare_conditions);
	for (size_t i = 0; i < total && !*error; i += run) {
		for (run = 1; i + run < total; run++)
			if (compare_conditions(&all[i], &all[i + run]))
				break;
		if (run > best_count && is_common(plan, &all[i], run, valued)) {
			*best = all[i];
			best_count = run;
		}
	}
	free(all);
	free(valued);
	return best_count != 0;
}

static bool has(const struct st_conjunction *conjunction, const struct st_condition *condition)
{
	for (uint32_t i = 0; i < conjunction->count; i++)
		if (!compare_conditions(&conjunction->conditions[i], condition))
			return true;
	return false;
}

/* Removes what the condition implies. */
static void take_out(const struct st_fields *fields, struct st_conjunction *conjunction,
		     const struct st_condition *condition)
{
	const struct st_conjunction known = {.count = 1, .conditions = {*condition}};
	uint32_t kept = 0;

	for (uint32_t i = 0; i < conjunction->count; i++)
		if (!st_conjunction_implies(fields, &known, -1, &conjunction->conditions[i]))
			conjunction->conditions[kept++] = conjunction->conditions[i];
	conjunction->count = kept;
}

/*
 * Moves the conjunctions that have the condition to the front and removes it from them. Their
 * number.
 */
static size_t partition(const struct ruleset_plan *plan, uint32_t *subset, size_t count,
			const struct st_condition *condition)
{
	size_t with = 0;

	for (size_t i = 0; i < count; i++) {
		uint32_t conjunction = subset[i];

		if (!has(&plan->items[conjunction], condition))
			continue;
		take_out(&plan->ruleset->fields, &plan->items[conjunction], condition);
		subset[i] = subset[with];
		subset[with++] = conjunction;
	}
	return with;
}

/* --- conjunctions of one form: they differ in values only */

/* Sorts by form. */
static int compare_forms(const struct st_conjunction *a, const struct st_conjunction *b)
{
	if (a->count != b->count)
		return a->count < b->count ? -1 : 1;
	for (uint32_t i = 0; i < a->count; i++) {
		const struct st_condition *one = &a->conditions[i], *other = &b->conditions[i];

		if (st_condition_is_value(one) != st_condition_is_value(other))
			return st_condition_is_value(one) ? 1 : -1;
		if (!st_condition_is_value(one) && compare_conditions(one, other))
			return compare_conditions(one, other);
		if (one->field != other->field)
			return (int)one->field - (int)other->field;
	}
	return 0;
}

static int compare_conjunctions(const void *one, const void *other, void *ctx)
{
	const struct ruleset_plan *plan = ctx;
	const struct st_conjunction *a = &plan->items[*(const uint32_t *)one];
	const struct st_conjunction *b = &plan->items[*(const uint32_t *)other];
	int order = compare_forms(a, b);

	for (uint32_t i = 0; i < a->count && !order; i++)
		order = compare_conditions(&a->conditions[i], &b->conditions[i]);
	return order;
}

/* Ranges first, then values, each by field. */
static int compare_in_conjunction(const void *one, const void *other)
{
	const struct st_condition *a = one, *b = other;

	if (st_condition_is_value(a) != st_condition_is_value(b))
		return st_condition_is_value(a) ? 1 : -1;
	return compare_conditions(a, b);
}

static size_t same_key(const struct ruleset_plan *plan, const uint32_t *subset, size_t count)
{
	size_t same = 1;

	while (same < count && !compare_conjunctions(&subset[0], &subset[same], (void *)plan))
		same++;
	return same;
}

static int test_all(struct ruleset_plan *plan, const struct st_conjunction *conjunction,
		    uint32_t from, uint32_t to)
{
	for (uint32_t i = from; i < to; i++) {
		int result = add_test(plan->ruleset, &conjunction->conditions[i]);

		if (result < 0)
			return result;
	}
	return 0;
}

/*
 * Conjunctions of one form, one key after the other. `from`: the conditions before it are tested
 * already.
 */
static int compare_each(struct ruleset_plan *plan, const uint32_t *subset, size_t count,
			uint32_t from, struct bounds *bounds)
{
	struct bounds most = {0};
	size_t same;
	int result = 0;

	for (size_t i = 0; i < count && !result; i += same) {
		const struct st_conjunction *conjunction = &plan->items[subset[i]];
		size_t first = plan->ruleset->op_count;
		struct bounds one = {0};

		same = same_key(plan, subset + i, count - i);
		result = test_all(plan, conjunction, from, conjunction->count);
		if (!result)
			result = add_match(plan, subset + i, same, &one);
		if (!result)
			end_tests(plan->ruleset, first, conjunction->count - from);
		/* a packet has one key */
		if (most.numbers < one.numbers)
			most.numbers = one.numbers;
		most.lists = 1;
	}
	bounds->numbers += most.numbers;
	bounds->lists += most.lists;
	return result;
}

static void key_of(const struct st_fields *fields, const struct st_table *table,
		   const struct st_conjunction *conjunction, uint32_t from, struct st_key *key)
{
	memset(key, 0, sizeof(*key));
	for (uint32_t i = from; i < conjunction->count; i++) {
		const struct st_condition *condition = &conjunction->conditions[i];

		for (unsigned int at = 0; at < table->field_count; at++) {
			const struct st_key_field *place = &table->fields[at];

			if (place->field == condition->field)
				key->words[place->word] |=
					(uint64_t)st_key_part(&fields->field[condition->field],
							      condition->low)
					<< place->shift;
		}
	}
}

static int make_keys(struct ruleset_plan *plan, const struct st_table *table,
		     const uint32_t *subset, size_t count, uint32_t from, struct st_key *keys,
		     size_t *key_count, size_t *longest)
{
	uint32_t *numbers = malloc(count * sizeof(*numbers)), length;
	size_t same;
	int list = numbers ? 0 : -ENOMEM;

	*key_count = *longest = 0;
	for (size_t i = 0; i < count && list >= 0; i += same) {
		same = same_key(plan, subset + i, count - i);
		for (size_t at = 0; at < same; at++)
			numbers[at] = plan->items[subset[i + at]].filter;
		list = st_list_make(plan->ruleset, numbers, same, &length);
		key_of(&plan->ruleset->fields, table, &plan->items[subset[i]], from,
		       &keys[*key_count]);
		keys[(*key_count)++].list = (uint32_t)list;
		if (*longest < length)
			*longest = length;
	}
	free(numbers);
	return list < 0 ? list : 0;
}

static int look_up(struct ruleset_plan *plan, struct st_table *table, const uint32_t *subset,
		   size_t count, uint32_t from, struct bounds *bounds)
{
	struct st_key *keys = malloc(count * sizeof(*keys));
	size_t key_count, longest;
	int result = -ENOMEM;

	if (keys)
		result = make_keys(plan, table, subset, count, from, keys, &key_count, &longest);
	if (!result)
		result = st_table_make(plan->ruleset, table, keys, key_count);
	free(keys);
	if (result < 0)
		return result;
	bounds->numbers += longest;
	bounds->lists++;
	result = add_op(plan->ruleset,
			(struct st_op){.kind = ST_OP_LOOKUP, .index = (uint32_t)result});
	return result < 0 ? result : 0;
}

/* False: a key has no room for so many fields. */
static bool table_for(const struct ruleset_plan *plan, const struct st_conjunction *conjunction,
		      uint32_t from, struct st_table *table)
{
	*table = (struct st_table){0};
	if (conjunction->count - from > ST_KEY_FIELDS)
		return false;
	for (uint32_t i = from; i < conjunction->count; i++)
		table->fields[table->field_count++].field = conjunction->conditions[i].field;
	return st_table_plan(&plan->ruleset->fields, table);
}

/* Conjunctions of one form, sorted. */
static int plan_form(struct ruleset_plan *plan, const uint32_t *subset, size_t count,
		     struct bounds *bounds)
{
	const struct st_conjunction *conjunction = &plan->items[subset[0]];
	size_t first = plan->ruleset->op_count, keys = 0;
	struct st_table table;
	uint32_t ranges = 0;
	int result;

	while (ranges < conjunction->count &&
	       !st_condition_is_value(&conjunction->conditions[ranges]))
		ranges++;
	result = test_all(plan, conjunction, 0, ranges);
	if (result)
		return result;
	for (size_t i = 0; i < count && keys <= FEW_KEYS; keys++)
		i += same_key(plan, subset + i, count - i);
	if (keys <= FEW_KEYS || !table_for(plan, conjunction, ranges, &table))
		result = compare_each(plan, subset, count, ranges, bounds);
	else
		result = look_up(plan, &table, subset, count, ranges, bounds);
	if (!result)
		end_tests(plan->ruleset, first, ranges);
	return result;
}

static int plan_forms(struct ruleset_plan *plan, uint32_t *subset, size_t count,
		      struct bounds *bounds)
{
	size_t same;
	int result = 0;

	for (size_t i = 0; i < count; i++) {
		struct st_conjunction *conjunction = &plan->items[subset[i]];

		qsort(conjunction->conditions, conjunction->count, sizeof(*conjunction->conditions),
		      compare_in_conjunction);
	}
	qsort_r(subset, count, sizeof(*subset), compare_conjunctions, plan);
	for (size_t i = 0; i < count && !result; i += same) {
		for (same = 1; i + same < count; same++)
			if (compare_forms(&plan->items[subset[i]], &plan->items[subset[i + same]]))
				break;
		result = plan_form(plan, subset + i, same, bounds);
	}
	return result;
}

/* --- all together */

static int plan_some(struct ruleset_plan *plan, uint32_t *subset, size_t count,
		     struct bounds *bounds);

/*
 * Tests for different values of one field exclude each other: of these, only the greatest bounds
 * count.
 */
struct branches {
	uint16_t field;
	struct bounds most;
};

static void add_bounds(struct branches *branches, const struct st_condition *condition,
		       const struct bounds *one, struct bounds *bounds)
{
	if (!st_condition_is_value(condition) || branches->field != condition->field) {
		bounds->numbers += branches->most.numbers;
		bounds->lists += branches->most.lists;
		branches->most = (struct bounds){0};
		branches->field = st_condition_is_value(condition) ? condition->field : UINT16_MAX;
	}
	if (branches->most.numbers < one->numbers)
		branches->most.numbers = one->numbers;
	if (branches->most.lists < one->lists)
		branches->most.lists = one->lists;
}

static int plan_some(struct ruleset_plan *plan, uint32_t *subset, size_t count,
		     struct bounds *bounds)
{
	struct branches branches = {.field = UINT16_MAX};
	struct st_condition common;
	int result = 0;

	while (count && most_common(plan, subset, count, &common, &result)) {
		size_t first = plan->ruleset->op_count;
		size_t with = partition(plan, subset, count, &common);
		struct bounds one = {0};

		result = add_test(plan->ruleset, &common);
		if (result >= 0)
			result = plan_some(plan, subset, with, &one);
		if (result < 0)
			return result;
		end_tests(plan->ruleset, first, 1);
		add_bounds(&branches, &common, &one, bounds);
		subset += with;
		count -= with;
	}
	bounds->numbers += branches.most.numbers;
	bounds->lists += branches.most.lists;
	return result ? result : plan_forms(plan, subset, count, bounds);
}

int st_plan_conjunctions(struct st_ruleset *ruleset, struct st_conjunctions *conjunctions)
{
	struct ruleset_plan plan = {.ruleset = ruleset, .items = conjunctions->items};
	uint32_t *all = malloc((conjunctions->count + 1) * sizeof(*all));
	struct bounds bounds = {0};
	int result;

	if (!all)
		return -ENOMEM;
	for (size_t i = 0; i < conjunctions->count; i++)
		all[i] = (uint32_t)i;
	result = plan_some(&plan, all, conjunctions->count, &bounds);
	ruleset->longest += bounds.numbers;
	ruleset->pushes += bounds.lists;
	free(all);
	return result;
}
