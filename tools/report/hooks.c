// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
#include "tools/report/hooks.h"
#include "tools/report/rows.h"

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

static const char *find_argument(const char *name)
{
	const struct given *given = find_given(name);

	return given ? given->argument : NULL;
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

struct socktally_hook report_hooks_taken(const struct report_hooks *hooks)
{
	struct socktally_hook sum = {0};

	for (size_t i = 0; i < hooks->count; i++) {
		const struct socktally_hook *hook = &hooks->hook[i].info;

		sum.dropped_packets += hook->dropped_packets;
		sum.dropped_bytes += hook->dropped_bytes;
		sum.cut_packets += hook->cut_packets;
		sum.cut_bytes += hook->cut_bytes;
	}
	return sum;
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

	/* it drops nothing, and its counts are in the member `classes` */
	if (!strcmp(from->kind, "classes"))
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

		if (before)
			subtract_taken(&hook->info, &before->info);
		if (!report_hook_rows_since(hook, before, seconds,
					    given && given->top ? given->top : SIZE_MAX))
			return -ENOMEM;
	}
	return 0;
}

static void print_row_json(FILE *out, const struct report_hook_row *row)
{
	fputs("{\"map\":", out);
	escape_json(out, row->map);
	for (size_t i = 0; i < row->field_count; i++) {
		const struct report_field *field = &row->fields[i];
		bool taken = !strcmp(field->name, "map");

		/* a JSON object must not have two members of one name */
		for (size_t j = 0; j < row->key_count && i >= row->key_count; j++)
			taken |= !strcmp(field->name, row->fields[j].name);
		fputc(',', out);
		if (taken) {
			fprintf(out, "\"%s_%s\":", i < row->key_count ? "key" : "value",
				field->name);
		} else {
			escape_json(out, field->name);
			fputc(':', out);
		}
		if (field->is_number)
			fputs(field->text, out);
		else
			escape_json(out, field->text);
	}
	fputc('}', out);
}

void report_hooks_json(FILE *out, const struct report_hooks *hooks)
{
	if (!hooks->count)
		return;
	fputs(",\"hooks\":[", out);
	for (size_t i = 0; i < hooks->count; i++) {
		const struct report_hook *hook = &hooks->hook[i];

		fputs(i ? ",{\"name\":" : "{\"name\":", out);
		escape_json(out, hook->info.name);
		fputs(",\"kind\":", out);
		escape_json(out, hook->info.kind);
		if (find_argument(hook->info.name)) {
			fputs(",\"argument\":", out);
			escape_json(out, find_argument(hook->info.name));
		}
		fprintf(out,
			",\"priority\":%" PRId32 ",\"dropped_packets\":%" PRIu64
			",\"dropped_bytes\":%" PRIu64 ",\"cut_packets\":%" PRIu64
			",\"cut_bytes\":%" PRIu64 ",\"rows\":[",
			hook->info.priority, hook->info.dropped_packets, hook->info.dropped_bytes,
			hook->info.cut_packets, hook->info.cut_bytes);
		for (size_t j = 0; j < hook->row_count; j++) {
			if (j)
				fputc(',', out);
			print_row_json(out, &hook->rows[j]);
		}
		fputs("]}", out);
	}
	fputc(']', out);
}

/* --- text: a table for each map */

/* The number of rows from `from` on that have the same map and columns. */
static size_t table_length(const struct report_hook *hook, size_t from)
{
	const struct report_hook_row *first = &hook->rows[from];
	size_t to;

	for (to = from + 1; to < hook->row_count; to++) {
		const struct report_hook_row *row = &hook->rows[to];

		if (strcmp(row->map, first->map) != 0 || row->field_count != first->field_count)
			break;
	}
	return to - from;
}

static size_t column_width(const struct report_hook *hook, size_t from, size_t length,
			   size_t column)
{
	size_t width = escape_columns(hook->rows[from].fields[column].name);

	for (size_t i = from; i < from + length; i++) {
		size_t own = escape_columns(hook->rows[i].fields[column].text);

		width = own > width ? own : width;
	}
	return width;
}

/* Numbers are aligned right, names left. No blanks follow the last cell of a line. */
static void print_cell(FILE *out, const char *text, bool right, size_t width, bool last)
{
	size_t blanks = width - escape_columns(text);

	fprintf(out, "  %*s", right ? (int)blanks : 0, "");
	escape_text(out, text, SIZE_MAX);
	fprintf(out, "%*s", right || last ? 0 : (int)blanks, "");
}

/* A map without keys has one row: a line for each of its values. */
static void print_list(FILE *out, const struct report_hook_row *row)
{
	size_t names = 0, values = 0;

	for (size_t i = 0; i < row->field_count; i++) {
		size_t name = escape_columns(row->fields[i].name);
		size_t value = escape_columns(row->fields[i].text);

		names = name > names ? name : names;
		values = value > values ? value : values;
	}
	for (size_t i = 0; i < row->field_count; i++) {
		print_cell(out, row->fields[i].name, false, names, false);
		print_cell(out, row->fields[i].text, row->fields[i].is_number, values, true);
		fputc('\n', out);
	}
}

static void print_table(FILE *out, const struct report_hook *hook, size_t from, size_t length)
{
	const struct report_hook_row *first = &hook->rows[from];
	size_t *widths = calloc(first->field_count + 1, sizeof(*widths));

	if (!widths)
		return;
	for (size_t i = 0; i < first->field_count; i++) {
		widths[i] = column_width(hook, from, length, i);
		print_cell(out, first->fields[i].name, first->fields[i].is_number, widths[i],
			   i + 1 == first->field_count);
	}
	fputc('\n', out);
	for (size_t i = from; i < from + length; i++) {
		const struct report_hook_row *row = &hook->rows[i];

		for (size_t j = 0; j < row->field_count; j++)
			print_cell(out, row->fields[j].text, row->fields[j].is_number, widths[j],
				   j + 1 == row->field_count);
		fputc('\n', out);
	}
	free(widths);
}

static void print_taken(FILE *out, const struct socktally_hook *hook)
{
	char packets[NUMBER_TEXT_MAX], bytes[NUMBER_TEXT_MAX];

	if (hook->dropped_packets) {
		report_number_packets(packets, hook->dropped_packets);
		report_number_short(bytes, (double)hook->dropped_bytes, "B");
		fprintf(out, ": dropped %s, %s", packets, bytes);
	}
	if (hook->cut_packets) {
		report_number_packets(packets, hook->cut_packets);
		report_number_short(bytes, (double)hook->cut_bytes, "B");
		fprintf(out, "%s cut %s by %s", hook->dropped_packets ? "," : ":", packets, bytes);
	}
}

/* "drop=*:arp", "drop-2, drop=*:udp"; a hook of a file has its own name. */
static void print_name(FILE *out, const struct socktally_hook *hook)
{
	const char *argument = strcmp(hook->kind, "built-in") ? NULL : find_argument(hook->name);
	size_t length = strlen(hook->name);
	bool begins_with_it = argument && !strncmp(argument, hook->name, length) &&
			      (!argument[length] || strchr("=,@", argument[length]));

	if (!begins_with_it)
		escape_text(out, hook->name, SIZE_MAX);
	if (argument && !begins_with_it)
		fputs(", ", out);
	escape_text(out, argument, SIZE_MAX);
}

void report_hooks_text(FILE *out, const struct report_hooks *hooks)
{
	for (size_t i = 0; i < hooks->count; i++) {
		const struct report_hook *hook = &hooks->hook[i];
		size_t length;

		fputs("\nhook ", out);
		print_name(out, &hook->info);
		fprintf(out, " (priority %" PRId32 ")", hook->info.priority);
		print_taken(out, &hook->info);
		fputc('\n', out);
		for (size_t j = 0; j < hook->row_count; j += length) {
			length = table_length(hook, j);
			if (strcmp(hook->rows[j].map, hook->info.name) != 0) {
				fputs("  ", out);
				escape_text(out, hook->rows[j].map, SIZE_MAX);
				fputc('\n', out);
			}
			if (length == 1 && !hook->rows[j].key_count)
				print_list(out, &hook->rows[j]);
			else
				print_table(out, hook, j, length);
		}
	}
}
