// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* Rows of hooks in the report of an interval: what was added to their counters since the last report. */
#include "tools/report/hooks.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PER_SECOND "_per_second"

static bool ends_with(const char *name, const char *end)
{
	size_t length = strlen(name), tail = strlen(end);

	return length > tail && !strcmp(name + length - tail, end);
}

/* Whether a number only grows, which its name has to tell. */
static bool is_counter(const struct report_field *field)
{
	static const char *const others[] = {"peak", "max", "min", "last", "first"};
	const char *dot = strrchr(field->name, '.'), *name = dot ? dot + 1 : field->name;

	if (!field->is_unsigned || ends_with(name, PER_SECOND))
		return false;
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
		size_t length = strlen(others[i]);

		if (!strncmp(name, others[i], length) && (!name[length] || name[length] == '_'))
			return false;
	}
	return true;
}

static int compare_keys(const struct report_hook_row *a, const struct report_hook_row *b)
{
	int order = strcmp(a->map, b->map);

	for (size_t i = 0; !order && i < a->key_count && i < b->key_count; i++)
		order = strcmp(a->fields[i].text, b->fields[i].text);
	return order;
}

static int compare_pointers(const void *one, const void *other)
{
	const struct report_hook_row *const *a = one, *const *b = other;

	return compare_keys(*a, *b);
}

static bool set_number(struct report_field *field, uint64_t number)
{
	char *text;

	if (asprintf(&text, "%" PRIu64, number) < 0)
		return false;
	free(field->text);
	field->text = text;
	field->number = number;
	return true;
}

/* "packets_per_second" where there is a counter "packets": that of this time. */
static bool set_rates(struct report_hook_row *row, double seconds)
{
	for (size_t i = row->key_count; i < row->field_count; i++) {
		struct report_field *rate = &row->fields[i];
		size_t length = strlen(rate->name) - (sizeof(PER_SECOND) - 1);

		if (!ends_with(rate->name, PER_SECOND))
			continue;
		for (size_t j = row->key_count; j < row->field_count; j++) {
			const struct report_field *counter = &row->fields[j];

			if (strlen(counter->name) != length ||
			    strncmp(counter->name, rate->name, length) != 0)
				continue;
			if (!set_number(rate, (uint64_t)((double)counter->number / seconds + 0.5)))
				return false;
		}
	}
	return true;
}

/* Returns false without memory; *changed: some counter is not what it was. */
static bool subtract_row(struct report_hook_row *row, const struct report_hook_row *last,
			 bool *changed)
{
	bool counts = false;

	*changed = false;
	for (size_t i = row->key_count; i < row->field_count; i++) {
		struct report_field *field = &row->fields[i];
		uint64_t before = i < last->field_count ? last->fields[i].number : 0;

		if (!is_counter(field))
			continue;
		counts = true;
		/* lower than before: the map has made room and begun anew */
		if (field->number < before)
			before = 0;
		*changed |= field->number != before;
		if (!set_number(field, field->number - before))
			return false;
	}
	*changed |= !counts;
	return true;
}

/* The number that a map's elements are sorted by. */
static uint64_t weight(const struct report_hook_row *row)
{
	static const char *const names[] = {"bytes", "packets"};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		for (size_t j = row->key_count; j < row->field_count; j++)
			if (row->fields[j].is_unsigned && !strcmp(row->fields[j].name, names[i]))
				return row->fields[j].number;
	for (size_t j = row->key_count; j < row->field_count; j++)
		if (row->fields[j].is_unsigned)
			return row->fields[j].number;
	return 0;
}

static int compare_weights(const void *one, const void *other)
{
	const struct report_hook_row *a = one, *b = other;
	uint64_t first = weight(a), second = weight(b);

	if (first != second)
		return first < second ? 1 : -1;
	return compare_keys(a, b);
}

/* The number of rows from `from` on that are of one map. */
static size_t map_rows(const struct report_hook *hook, size_t from)
{
	size_t to = from + 1;

	while (to < hook->row_count && !strcmp(hook->rows[to].map, hook->rows[from].map))
		to++;
	return to - from;
}

/* Elements of a hash map come by their weight, those of an array by their index. */
static void mark_by_weight(struct report_hook *hook)
{
	for (size_t i = 0, count; i < hook->row_count; i += count) {
		bool sorted = hook->rows[i].key_count;

		count = map_rows(hook, i);
		for (size_t j = i + 1; j < i + count; j++)
			sorted &= weight(&hook->rows[j]) <= weight(&hook->rows[j - 1]);
		for (size_t j = i; j < i + count; j++)
			hook->rows[j].by_weight = sorted;
	}
}

static bool subtract_rows(struct report_hook *hook, const struct report_hook *last, double seconds)
{
	const struct report_hook_row **sorted = calloc(last->row_count + 1, sizeof(*sorted));
	size_t kept = 0;
	bool good = sorted;

	for (size_t i = 0; good && i < last->row_count; i++)
		sorted[i] = &last->rows[i];
	if (good && last->row_count)
		qsort(sorted, last->row_count, sizeof(*sorted), compare_pointers);
	for (size_t i = 0; good && i < hook->row_count; i++) {
		const struct report_hook_row *row = &hook->rows[i], **before;
		bool changed = true;

		before = bsearch(&row, sorted, last->row_count, sizeof(*sorted), compare_pointers);
		if (before)
			good = subtract_row(&hook->rows[i], *before, &changed);
		good = good && set_rates(&hook->rows[i], seconds);
		if (good && changed) {
			struct report_hook_row moved = hook->rows[kept];

			hook->rows[kept++] = hook->rows[i];
			hook->rows[i] = moved;
		}
	}
	free(sorted);
	while (good && hook->row_count > kept)
		report_hook_row_free(&hook->rows[--hook->row_count]);
	return good;
}

/* Sorts anew, and leaves of each hash map as many rows as are wanted. */
static void sort_and_cut(struct report_hook *hook, size_t top)
{
	size_t kept = 0;

	for (size_t i = 0, count; i < hook->row_count; i += count) {
		bool by_weight = hook->rows[i].by_weight;

		count = map_rows(hook, i);
		if (by_weight)
			qsort(&hook->rows[i], count, sizeof(*hook->rows), compare_weights);
		for (size_t j = i; j < i + count; j++) {
			if (!by_weight || j - i < top)
				hook->rows[kept++] = hook->rows[j];
			else
				report_hook_row_free(&hook->rows[j]);
		}
	}
	hook->row_count = kept;
}

bool report_hook_rows_since(struct report_hook *hook, const struct report_hook *last,
			    double seconds, size_t top)
{
	mark_by_weight(hook);
	if (last && last->row_count && seconds > 0 && !subtract_rows(hook, last, seconds))
		return false;
	sort_and_cut(hook, top);
	return true;
}
