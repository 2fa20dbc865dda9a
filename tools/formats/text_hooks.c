// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* Hooks in the text report: a table for each map. */
#include "tools/formats/text.h"
#include "tools/common/escape.h"
#include "tools/content/number.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

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

static void print_taken(FILE *out, const struct socktally_hook *hook,
			const struct report_units *units)
{
	char packets[NUMBER_TEXT_MAX], bytes[NUMBER_TEXT_MAX];

	if (hook->dropped_packets) {
		report_number_packets(packets, hook->dropped_packets);
		report_number_bytes(bytes, hook->dropped_bytes, units);
		fprintf(out, ": dropped %s, %s", packets, bytes);
	}
	if (hook->cut_packets) {
		report_number_packets(packets, hook->cut_packets);
		report_number_bytes(bytes, hook->cut_bytes, units);
		fprintf(out, "%s cut %s by %s", hook->dropped_packets ? "," : ":", packets, bytes);
	}
}

/* "drop=*:arp", "drop-2, drop=*:udp"; a hook of a file has its own name. */
static void print_name(FILE *out, const struct report_hook *hook)
{
	const char *argument = strcmp(hook->info.kind, "built-in") ? NULL : hook->argument;
	const char *name = hook->info.name;
	size_t length = strlen(name);
	bool begins_with_it = argument && !strncmp(argument, name, length) &&
			      (!argument[length] || strchr("=,@", argument[length]));

	if (!begins_with_it)
		escape_text(out, name, SIZE_MAX);
	if (argument && !begins_with_it)
		fputs(", ", out);
	escape_text(out, argument, SIZE_MAX);
}

void report_text_hooks(FILE *out, const struct report_content *content)
{
	const struct report_hooks *hooks = content->hooks;

	for (size_t i = 0; i < hooks->count; i++) {
		const struct report_hook *hook = &hooks->hook[i];
		size_t length;

		fputs("\nhook ", out);
		print_name(out, hook);
		fprintf(out, " (priority %" PRId32 ")", hook->info.priority);
		print_taken(out, &hook->info, &content->look.units);
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
