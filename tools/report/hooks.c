// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
#include "tools/report/hooks.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define HOOK_ARGUMENTS 28 /* hooks that a meter may have */

/* What the command line says of a hook. */
static struct given {
	char *name, *argument;
	size_t top;
} givens[HOOK_ARGUMENTS];
static size_t given_count;

static const struct given *find_given(const char *name)
{
	for (size_t i = 0; i < given_count; i++)
		if (!strcmp(givens[i].name, name))
			return &givens[i];
	return NULL;
}

void report_hook_argument(const char *name, const char *argument, size_t top)
{
	struct given given = {.top = top};

	if (given_count == HOOK_ARGUMENTS || find_given(name))
		return;
	given.name = strdup(name);
	given.argument = strdup(argument);
	if (given.name && given.argument) {
		givens[given_count++] = given;
		return;
	}
	free(given.name);
	free(given.argument);
}

struct hooks_reader {
	struct socktally *meter;
	struct report_hooks *hooks;
};

/* The array with room for one element more; NULL: out of memory. */
static void *grow(void *array, size_t count, size_t size)
{
	/* it is full where count is a power of two, or 0: doubled then */
	return count & (count - 1) ? array : reallocarray(array, count ? 2 * count : 1, size);
}

static bool field_copy(struct report_field *copy, const struct socktally_field *field)
{
	copy->name = strdup(field->name);
	copy->text = strdup(field->text);
	copy->is_number = field->type != SOCKTALLY_TEXT;
	copy->is_unsigned = field->type == SOCKTALLY_UNSIGNED;
	copy->number = field->number;
	return copy->name && copy->text;
}

static int take_row(void *ctx, const struct socktally_row *from)
{
	struct report_hook *hook = ctx;
	struct report_hook_row *rows = grow(hook->rows, hook->row_count, sizeof(*rows)), *row;

	if (!rows)
		return -ENOMEM;
	hook->rows = rows;
	row = &rows[hook->row_count++];
	*row = (struct report_hook_row){.map = strdup(from->map), .key_count = from->key_count};
	row->fields = calloc(from->key_count + from->value_count + 1, sizeof(*row->fields));
	if (!row->map || !row->fields)
		return -ENOMEM;
	for (uint32_t i = 0; i < from->key_count + from->value_count; i++) {
		const struct socktally_field *field =
			i < from->key_count ? &from->key[i] : &from->value[i - from->key_count];

		row->field_count++;
		if (!field_copy(&row->fields[i], field))
			return -ENOMEM;
	}
	return 0;
}

/* Adds one without rows; NULL: out of memory. */
static struct report_hook *hook_copy(struct report_hooks *hooks, const struct socktally_hook *from)
{
	struct report_hook *all = grow(hooks->hook, hooks->count, sizeof(*all)), *hook;

	if (!all)
		return NULL;
	hooks->hook = all;
	hook = &all[hooks->count++];
	*hook = (struct report_hook){.info = *from};
	hook->info.name = strdup(from->name);
	hook->info.kind = strdup(from->kind);
	return hook->info.name && hook->info.kind ? hook : NULL;
}

static int take_hook(void *ctx, const struct socktally_hook *from)
{
	struct hooks_reader *reader = ctx;
	struct report_hook *hook;

	/* they drop nothing, and their counts are in the members `classes` and `groups` */
	if (!strcmp(from->kind, "classes") || !strcmp(from->kind, "group"))
		return 0;
	hook = hook_copy(reader->hooks, from);
	if (!hook)
		return -ENOMEM;
	return socktally_hook_rows(reader->meter, from->name, NULL, take_row, hook);
}

static bool row_copy(struct report_hook *hook, const struct report_hook_row *from)
{
	struct report_hook_row *rows = grow(hook->rows, hook->row_count, sizeof(*rows)), *row;

	if (!rows)
		return false;
	hook->rows = rows;
	row = &rows[hook->row_count++];
	*row = (struct report_hook_row){.map = strdup(from->map), .key_count = from->key_count};
	row->fields = calloc(from->field_count + 1, sizeof(*row->fields));
	if (!row->map || !row->fields)
		return false;
	for (size_t i = 0; i < from->field_count; i++) {
		row->field_count++;
		row->fields[i] = from->fields[i];
		row->fields[i].name = strdup(from->fields[i].name);
		row->fields[i].text = strdup(from->fields[i].text);
		if (!row->fields[i].name || !row->fields[i].text)
			return false;
	}
	return true;
}

int report_hooks_copy(struct report_hooks *copy, const struct report_hooks *hooks)
{
	for (size_t i = 0; i < hooks->count; i++) {
		struct report_hook *hook = hook_copy(copy, &hooks->hook[i].info);

		if (!hook)
			return -ENOMEM;
		for (size_t j = 0; j < hooks->hook[i].row_count; j++)
			if (!row_copy(hook, &hooks->hook[i].rows[j]))
				return -ENOMEM;
	}
	return 0;
}

int report_hooks_read(struct report_hooks *hooks, struct socktally *meter)
{
	struct hooks_reader reader = {.meter = meter, .hooks = hooks};

	return socktally_hooks(meter, take_hook, &reader);
}

void report_hook_row_free(struct report_hook_row *row)
{
	for (size_t i = 0; i < row->field_count; i++) {
		free(row->fields[i].name);
		free(row->fields[i].text);
	}
	free(row->fields);
	free(row->map);
}

void report_hooks_free(struct report_hooks *hooks)
{
	for (size_t i = 0; i < hooks->count; i++) {
		struct report_hook *hook = &hooks->hook[i];

		for (size_t j = 0; j < hook->row_count; j++)
			report_hook_row_free(&hook->rows[j]);
		free(hook->rows);
		free((char *)hook->info.name);
		free((char *)hook->info.kind);
	}
	free(hooks->hook);
	*hooks = (struct report_hooks){0};
}

static const struct report_hook *find_hook(const struct report_hooks *hooks, const char *name)
{
	for (size_t i = 0; i < hooks->count; i++)
		if (!strcmp(hooks->hook[i].info.name, name))
			return &hooks->hook[i];
	return NULL;
}

static void subtract_taken(struct socktally_hook *now, const struct socktally_hook *before)
{
	now->dropped_packets = report_less(now->dropped_packets, before->dropped_packets);
	now->dropped_bytes = report_less(now->dropped_bytes, before->dropped_bytes);
	now->cut_packets = report_less(now->cut_packets, before->cut_packets);
	now->cut_bytes = report_less(now->cut_bytes, before->cut_bytes);
}

int report_hooks_since(struct report_hooks *hooks, const struct report_hooks *last, double seconds)
{
	for (size_t i = 0; i < hooks->count; i++) {
		struct report_hook *hook = &hooks->hook[i];
		const struct report_hook *before = find_hook(last, hook->info.name);
		const struct given *given = find_given(hook->info.name);

		hook->argument = given ? given->argument : NULL;
		if (before)
			subtract_taken(&hook->info, &before->info);
		if (!report_hook_rows_since(hook, before, seconds,
					    given && given->top ? given->top : SIZE_MAX))
			return -ENOMEM;
	}
	return 0;
}
