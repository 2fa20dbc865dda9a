// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * From ways to ops. What many ways ask is asked once, of those together; what is then left of them
 * mostly differs in values only: one table for all that look at the same fields.
 */
#include "plugin/classes/ruleset/plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A value is asked for by itself if it is that of one in so many ways that ask for the field. */
#define COMMON_SHARE 8
/* So many keys are compared one by one. */
#define FEW_KEYS 2

struct plan {
	struct st_ruleset *decision;
	struct st_conjunction *ways;
};

/* How much of a decision's work may meet in one packet. */
struct load {
	size_t numbers, lists;
};

static bool is_value(const struct st_condition *condition)
{
	return !condition->outside && condition->low == condition->high;
}

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

static int add_op(struct st_ruleset *decision, struct st_op op)
{
	if (!st_grow(&decision->ops, decision->op_count, &decision->op_room,
		     sizeof(*decision->ops)))
		return -ENOMEM;
	decision->ops[decision->op_count] = op;
	return (int)decision->op_count++;
}

static int add_test(struct st_ruleset *decision, const struct st_condition *condition)
{
	return add_op(decision, (struct st_op){.kind = ST_OP_TEST, .condition = *condition});
}

/* Those of the tests from `first` on that have no skip yet skip all that is there by now. */
static void end_tests(struct st_ruleset *decision, size_t first, size_t count)
{
	for (size_t i = first; i < first + count; i++)
		decision->ops[i].skip = (uint32_t)(decision->op_count - i - 1);
}

static int add_match(struct plan *plan, const uint32_t *ways, size_t count, struct load *load)
{
	uint32_t *numbers = malloc(count * sizeof(*numbers)), length;
	int list;

	if (!numbers)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		numbers[i] = plan->ways[ways[i]].filter;
	list = st_list_make(plan->decision, numbers, count, &length);
	free(numbers);
	if (list < 0)
		return list;
	load->numbers += length;
	load->lists++;
	list = add_op(plan->decision, (struct st_op){.kind = ST_OP_MATCH, .list = (uint32_t)list});
	return list < 0 ? list : 0;
}

/* --- what many ways ask */

static bool is_common(const struct plan *plan, const struct st_condition *condition, size_t count,
		      const size_t *valued)
{
	if (count < 2)
		return false;
	if (!is_value(condition) ||
	    st_field_is_length(&plan->decision->fields.field[condition->field]))
		return true;
	return count * COMMON_SHARE >= valued[condition->field];
}

/* The condition that most ways have. False: none that is worth a test of its own; *error: -ENOMEM. */
static bool most_common(const struct plan *plan, const uint32_t *ways, size_t count,
			struct st_condition *best, int *error)
{
	size_t total = 0, best_count = 0, run;
	size_t *valued = calloc(plan->decision->fields.count + 1, sizeof(*valued));
	struct st_condition *all;

	for (size_t i = 0; i < count; i++)
		total += plan->ways[ways[i]].count;
	all = malloc((total + 1) * sizeof(*all));
	*error = all && valued ? 0 : -ENOMEM;
	total = 0;
	for (size_t i = 0; i < count && !*error; i++) {
		const struct st_conjunction *way = &plan->ways[ways[i]];

		for (uint32_t at = 0; at < way->count; at++) {
			all[total++] = way->conditions[at];
			valued[way->conditions[at].field] += is_value(&way->conditions[at]);
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

static bool has(const struct st_conjunction *way, const struct st_condition *condition)
{
	for (uint32_t i = 0; i < way->count; i++)
		if (!compare_conditions(&way->conditions[i], condition))
			return true;
	return false;
}

/* Takes out what is known once the condition holds. */
static void take_out(const struct st_fields *fields, struct st_conjunction *way,
		     const struct st_condition *condition)
{
	const struct st_conjunction known = {.count = 1, .conditions = {*condition}};
	uint32_t kept = 0;

	for (uint32_t i = 0; i < way->count; i++)
		if (!st_conjunction_implies(fields, &known, -1, &way->conditions[i]))
			way->conditions[kept++] = way->conditions[i];
	way->count = kept;
}

/* Those that have the condition come first: how many. */
static size_t divide(const struct plan *plan, uint32_t *ways, size_t count,
		     const struct st_condition *condition)
{
	size_t with = 0;

	for (size_t i = 0; i < count; i++) {
		uint32_t way = ways[i];

		if (!has(&plan->ways[way], condition))
			continue;
		take_out(&plan->decision->fields, &plan->ways[way], condition);
		ways[i] = ways[with];
		ways[with++] = way;
	}
	return with;
}

/* --- what differs in values only */

/* The order in which ways of one form come one after the other, and of these those of one key. */
static int compare_forms(const struct st_conjunction *a, const struct st_conjunction *b)
{
	if (a->count != b->count)
		return a->count < b->count ? -1 : 1;
	for (uint32_t i = 0; i < a->count; i++) {
		const struct st_condition *one = &a->conditions[i], *other = &b->conditions[i];

		if (is_value(one) != is_value(other))
			return is_value(one) ? 1 : -1;
		if (!is_value(one) && compare_conditions(one, other))
			return compare_conditions(one, other);
		if (one->field != other->field)
			return (int)one->field - (int)other->field;
	}
	return 0;
}

static int compare_ways(const void *one, const void *other, void *ctx)
{
	const struct plan *plan = ctx;
	const struct st_conjunction *a = &plan->ways[*(const uint32_t *)one];
	const struct st_conjunction *b = &plan->ways[*(const uint32_t *)other];
	int order = compare_forms(a, b);

	for (uint32_t i = 0; i < a->count && !order; i++)
		order = compare_conditions(&a->conditions[i], &b->conditions[i]);
	return order;
}

/* Ranges first, then values, each by field. */
static int compare_in_way(const void *one, const void *other)
{
	const struct st_condition *a = one, *b = other;

	if (is_value(a) != is_value(b))
		return is_value(a) ? 1 : -1;
	return compare_conditions(a, b);
}

static size_t same_key(const struct plan *plan, const uint32_t *ways, size_t count)
{
	size_t same = 1;

	while (same < count && !compare_ways(&ways[0], &ways[same], (void *)plan))
		same++;
	return same;
}

static int test_all(struct plan *plan, const struct st_conjunction *way, uint32_t from, uint32_t to)
{
	for (uint32_t i = from; i < to; i++) {
		int result = add_test(plan->decision, &way->conditions[i]);

		if (result < 0)
			return result;
	}
	return 0;
}

/* Ways of one form, one key after the other. `from`: the conditions before it are tested already. */
static int compare_each(struct plan *plan, const uint32_t *ways, size_t count, uint32_t from,
			struct load *load)
{
	struct load most = {0};
	size_t same;
	int result = 0;

	for (size_t i = 0; i < count && !result; i += same) {
		const struct st_conjunction *way = &plan->ways[ways[i]];
		size_t first = plan->decision->op_count;
		struct load one = {0};

		same = same_key(plan, ways + i, count - i);
		result = test_all(plan, way, from, way->count);
		if (!result)
			result = add_match(plan, ways + i, same, &one);
		if (!result)
			end_tests(plan->decision, first, way->count - from);
		/* a packet has one key */
		if (most.numbers < one.numbers)
			most.numbers = one.numbers;
		most.lists = 1;
	}
	load->numbers += most.numbers;
	load->lists += most.lists;
	return result;
}

static void key_of(const struct st_fields *fields, const struct st_table *table,
		   const struct st_conjunction *way, uint32_t from, struct st_key *key)
{
	memset(key, 0, sizeof(*key));
	for (uint32_t i = from; i < way->count; i++) {
		const struct st_condition *condition = &way->conditions[i];

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

static int make_keys(struct plan *plan, const struct st_table *table, const uint32_t *ways,
		     size_t count, uint32_t from, struct st_key *keys, size_t *key_count,
		     size_t *longest)
{
	uint32_t *numbers = malloc(count * sizeof(*numbers)), length;
	size_t same;
	int list = numbers ? 0 : -ENOMEM;

	*key_count = *longest = 0;
	for (size_t i = 0; i < count && list >= 0; i += same) {
		same = same_key(plan, ways + i, count - i);
		for (size_t at = 0; at < same; at++)
			numbers[at] = plan->ways[ways[i + at]].filter;
		list = st_list_make(plan->decision, numbers, same, &length);
		key_of(&plan->decision->fields, table, &plan->ways[ways[i]], from,
		       &keys[*key_count]);
		keys[(*key_count)++].list = (uint32_t)list;
		if (*longest < length)
			*longest = length;
	}
	free(numbers);
	return list < 0 ? list : 0;
}

static int look_up(struct plan *plan, struct st_table *table, const uint32_t *ways, size_t count,
		   uint32_t from, struct load *load)
{
	struct st_key *keys = malloc(count * sizeof(*keys));
	size_t key_count, longest;
	int result = -ENOMEM;

	if (keys)
		result = make_keys(plan, table, ways, count, from, keys, &key_count, &longest);
	if (!result)
		result = st_table_make(plan->decision, table, keys, key_count);
	free(keys);
	if (result < 0)
		return result;
	load->numbers += longest;
	load->lists++;
	result = add_op(plan->decision,
			(struct st_op){.kind = ST_OP_LOOKUP, .index = (uint32_t)result});
	return result < 0 ? result : 0;
}

/* False: more fields than a key has room for. */
static bool table_for(const struct plan *plan, const struct st_conjunction *way, uint32_t from,
		      struct st_table *table)
{
	*table = (struct st_table){0};
	if (way->count - from > ST_KEY_FIELDS)
		return false;
	for (uint32_t i = from; i < way->count; i++)
		table->fields[table->field_count++].field = way->conditions[i].field;
	return st_table_plan(&plan->decision->fields, table);
}

/* Ways of one form, sorted. */
static int plan_form(struct plan *plan, const uint32_t *ways, size_t count, struct load *load)
{
	const struct st_conjunction *way = &plan->ways[ways[0]];
	size_t first = plan->decision->op_count, keys = 0;
	struct st_table table;
	uint32_t ranges = 0;
	int result;

	while (ranges < way->count && !is_value(&way->conditions[ranges]))
		ranges++;
	result = test_all(plan, way, 0, ranges);
	if (result)
		return result;
	for (size_t i = 0; i < count && keys <= FEW_KEYS; keys++)
		i += same_key(plan, ways + i, count - i);
	if (keys <= FEW_KEYS || !table_for(plan, way, ranges, &table))
		result = compare_each(plan, ways, count, ranges, load);
	else
		result = look_up(plan, &table, ways, count, ranges, load);
	if (!result)
		end_tests(plan->decision, first, ranges);
	return result;
}

static int plan_forms(struct plan *plan, uint32_t *ways, size_t count, struct load *load)
{
	size_t same;
	int result = 0;

	for (size_t i = 0; i < count; i++) {
		struct st_conjunction *way = &plan->ways[ways[i]];

		qsort(way->conditions, way->count, sizeof(*way->conditions), compare_in_way);
	}
	qsort_r(ways, count, sizeof(*ways), compare_ways, plan);
	for (size_t i = 0; i < count && !result; i += same) {
		for (same = 1; i + same < count; same++)
			if (compare_forms(&plan->ways[ways[i]], &plan->ways[ways[i + same]]))
				break;
		result = plan_form(plan, ways + i, same, load);
	}
	return result;
}

/* --- all together */

static int plan_some(struct plan *plan, uint32_t *ways, size_t count, struct load *load);

/* Of tests for different values of one field, a packet passes one: the greatest load counts. */
struct branches {
	uint16_t field;
	struct load most;
};

static void add_load(struct branches *branches, const struct st_condition *condition,
		     const struct load *one, struct load *load)
{
	if (!is_value(condition) || branches->field != condition->field) {
		load->numbers += branches->most.numbers;
		load->lists += branches->most.lists;
		branches->most = (struct load){0};
		branches->field = is_value(condition) ? condition->field : UINT16_MAX;
	}
	if (branches->most.numbers < one->numbers)
		branches->most.numbers = one->numbers;
	if (branches->most.lists < one->lists)
		branches->most.lists = one->lists;
}

static int plan_some(struct plan *plan, uint32_t *ways, size_t count, struct load *load)
{
	struct branches branches = {.field = UINT16_MAX};
	struct st_condition common;
	int result = 0;

	while (count && most_common(plan, ways, count, &common, &result)) {
		size_t first = plan->decision->op_count;
		size_t with = divide(plan, ways, count, &common);
		struct load one = {0};

		result = add_test(plan->decision, &common);
		if (result >= 0)
			result = plan_some(plan, ways, with, &one);
		if (result < 0)
			return result;
		end_tests(plan->decision, first, 1);
		add_load(&branches, &common, &one, load);
		ways += with;
		count -= with;
	}
	load->numbers += branches.most.numbers;
	load->lists += branches.most.lists;
	return result ? result : plan_forms(plan, ways, count, load);
}

int st_plan_conjunctions(struct st_ruleset *decision, struct st_conjunctions *ways)
{
	struct plan plan = {.decision = decision, .ways = ways->way};
	uint32_t *all = malloc((ways->count + 1) * sizeof(*all));
	struct load load = {0};
	int result;

	if (!all)
		return -ENOMEM;
	for (size_t i = 0; i < ways->count; i++)
		all[i] = (uint32_t)i;
	result = plan_some(&plan, all, ways->count, &load);
	decision->longest += load.numbers;
	decision->pushes += load.lists;
	free(all);
	return result;
}
