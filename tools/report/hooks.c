// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
#include "tools/report/hooks.h"
#include "tools/report/rows.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct reading {
	struct socktally *meter;
	struct report_hooks *hooks;
};

/* Room for one more; NULL: out of memory. */
static void *grow(void *array, size_t count, size_t size)
{
	/* to the next power of two, when count is one */
	return count & (count - 1) ? array : reallocarray(array, count ? 2 * count : 1, size);
}

static bool field_copy(struct report_field *copy, const struct socktally_field *field)
{
	copy->name = strdup(field->name);
	copy->text = strdup(field->text);
	copy->is_number = field->type != SOCKTALLY_TEXT;
	return copy->name && copy->text;
}

static int take_row(void *ctx, const struct socktally_row *from)
{
	struct report_hook *hook = ctx;
	struct report_hook_row *rows = grow(hook->row, hook->count, sizeof(*rows)), *row;

	if (!rows)
		return -ENOMEM;
	hook->row = rows;
	row = &rows[hook->count++];
	*row = (struct report_hook_row){.map = strdup(from->map), .key_count = from->key_count};
	row->field = calloc(from->key_count + from->value_count + 1, sizeof(*row->field));
	if (!row->map || !row->field)
		return -ENOMEM;
	for (uint32_t i = 0; i < from->key_count + from->value_count; i++) {
		const struct socktally_field *field =
			i < from->key_count ? &from->key[i] : &from->value[i - from->key_count];

		row->count++;
		if (!field_copy(&row->field[i], field))
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
	*hook = (struct report_hook){.is = *from};
	hook->is.name = strdup(from->name);
	hook->is.kind = strdup(from->kind);
	return hook->is.name && hook->is.kind ? hook : NULL;
}

static int take_hook(void *ctx, const struct socktally_hook *from)
{
	struct reading *reading = ctx;
	struct report_hook *hook;

	/* it takes nothing, and its counts are in a section of their own */
	if (!strcmp(from->kind, "classes"))
		return 0;
	hook = hook_copy(reading->hooks, from);
	if (!hook)
		return -ENOMEM;
	return socktally_hook_rows(reading->meter, from->name, NULL, take_row, hook);
}

int report_hooks_copy_taken(struct report_hooks *copy, const struct report_hooks *hooks)
{
	for (size_t i = 0; i < hooks->count; i++)
		if (!hook_copy(copy, &hooks->hook[i].is))
			return -ENOMEM;
	return 0;
}

int report_hooks_read(struct report_hooks *hooks, struct socktally *meter)
{
	struct reading reading = {.meter = meter, .hooks = hooks};

	return socktally_hooks(meter, take_hook, &reading);
}

static void row_free(struct report_hook_row *row)
{
	for (size_t i = 0; i < row->count; i++) {
		free(row->field[i].name);
		free(row->field[i].text);
	}
	free(row->field);
	free(row->map);
}

void report_hooks_free(struct report_hooks *hooks)
{
	for (size_t i = 0; i < hooks->count; i++) {
		struct report_hook *hook = &hooks->hook[i];

		for (size_t j = 0; j < hook->count; j++)
			row_free(&hook->row[j]);
		free(hook->row);
		free((char *)hook->is.name);
		free((char *)hook->is.kind);
	}
	free(hooks->hook);
	*hooks = (struct report_hooks){0};
}

void report_hooks_since(struct report_hooks *hooks, const struct report_hooks *last)
{
	for (size_t i = 0; i < hooks->count; i++) {
		struct socktally_hook *now = &hooks->hook[i].is;

		for (size_t j = 0; j < last->count; j++) {
			const struct socktally_hook *before = &last->hook[j].is;

			if (strcmp(before->name, now->name) != 0)
				continue;
			now->dropped_packets =
				report_less(now->dropped_packets, before->dropped_packets);
			now->dropped_bytes = report_less(now->dropped_bytes, before->dropped_bytes);
			now->cut_packets = report_less(now->cut_packets, before->cut_packets);
			now->cut_bytes = report_less(now->cut_bytes, before->cut_bytes);
		}
	}
}

static void print_row_json(FILE *out, const struct report_hook_row *row)
{
	fputs("{\"map\":", out);
	escape_json(out, row->map);
	for (size_t i = 0; i < row->count; i++) {
		const struct report_field *field = &row->field[i];
		bool taken = !strcmp(field->name, "map");

		/* a member stands in an object once */
		for (size_t j = 0; j < row->key_count && i >= row->key_count; j++)
			taken |= !strcmp(field->name, row->field[j].name);
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
		escape_json(out, hook->is.name);
		fputs(",\"kind\":", out);
		escape_json(out, hook->is.kind);
		fprintf(out,
			",\"priority\":%" PRId32 ",\"dropped_packets\":%" PRIu64
			",\"dropped_bytes\":%" PRIu64 ",\"cut_packets\":%" PRIu64
			",\"cut_bytes\":%" PRIu64 ",\"rows\":[",
			hook->is.priority, hook->is.dropped_packets, hook->is.dropped_bytes,
			hook->is.cut_packets, hook->is.cut_bytes);
		for (size_t j = 0; j < hook->count; j++) {
			if (j)
				fputc(',', out);
			print_row_json(out, &hook->row[j]);
		}
		fputs("]}", out);
	}
	fputc(']', out);
}

/* --- text: a table a map */

/* Rows that follow each other and have the same columns. */
static size_t table_length(const struct report_hook *hook, size_t from)
{
	const struct report_hook_row *first = &hook->row[from];
	size_t to;

	for (to = from + 1; to < hook->count; to++) {
		const struct report_hook_row *row = &hook->row[to];

		if (strcmp(row->map, first->map) != 0 || row->count != first->count)
			break;
	}
	return to - from;
}

static size_t column_width(const struct report_hook *hook, size_t from, size_t length,
			   size_t column)
{
	size_t width = escape_columns(hook->row[from].field[column].name);

	for (size_t i = from; i < from + length; i++) {
		size_t own = escape_columns(hook->row[i].field[column].text);

		width = own > width ? own : width;
	}
	return width;
}

/* Numbers at the right, names at the left; nothing behind the last name. */
static void print_cell(FILE *out, const char *text, bool right, size_t width, bool last)
{
	size_t blanks = width - escape_columns(text);

	fprintf(out, "  %*s", right ? (int)blanks : 0, "");
	escape_text(out, text, SIZE_MAX);
	fprintf(out, "%*s", right || last ? 0 : (int)blanks, "");
}

/* What has no key stands alone: a line a value. */
static void print_list(FILE *out, const struct report_hook_row *row)
{
	size_t names = 0, values = 0;

	for (size_t i = 0; i < row->count; i++) {
		size_t name = escape_columns(row->field[i].name);
		size_t value = escape_columns(row->field[i].text);

		names = name > names ? name : names;
		values = value > values ? value : values;
	}
	for (size_t i = 0; i < row->count; i++) {
		print_cell(out, row->field[i].name, false, names, false);
		print_cell(out, row->field[i].text, row->field[i].is_number, values, true);
		fputc('\n', out);
	}
}

static void print_table(FILE *out, const struct report_hook *hook, size_t from, size_t length)
{
	const struct report_hook_row *first = &hook->row[from];
	size_t *widths = calloc(first->count + 1, sizeof(*widths));

	if (!widths)
		return;
	for (size_t i = 0; i < first->count; i++) {
		widths[i] = column_width(hook, from, length, i);
		print_cell(out, first->field[i].name, first->field[i].is_number, widths[i],
			   i + 1 == first->count);
	}
	fputc('\n', out);
	for (size_t i = from; i < from + length; i++) {
		const struct report_hook_row *row = &hook->row[i];

		for (size_t j = 0; j < row->count; j++)
			print_cell(out, row->field[j].text, row->field[j].is_number, widths[j],
				   j + 1 == row->count);
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

void report_hooks_text(FILE *out, const struct report_hooks *hooks)
{
	for (size_t i = 0; i < hooks->count; i++) {
		const struct report_hook *hook = &hooks->hook[i];
		size_t length;

		fputs("\nhook ", out);
		escape_text(out, hook->is.name, SIZE_MAX);
		fprintf(out, " (priority %" PRId32 ")", hook->is.priority);
		print_taken(out, &hook->is);
		fputc('\n', out);
		for (size_t j = 0; j < hook->count; j += length) {
			length = table_length(hook, j);
			if (strcmp(hook->row[j].map, hook->is.name) != 0) {
				fputs("  ", out);
				escape_text(out, hook->row[j].map, SIZE_MAX);
				fputc('\n', out);
			}
			if (length == 1 && !hook->row[j].key_count)
				print_list(out, &hook->row[j]);
			else
				print_table(out, hook, j, length);
		}
	}
}
