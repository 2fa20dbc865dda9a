// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* Groups in the text report: a table for each, with a column for each field. */
#include "tools/formats/text.h"
#include "tools/common/escape.h"
#include "tools/content/number.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define KEY_WIDTH_MAX 60

struct table {
	const struct report_group *group;
	const struct socktally_counts *totals;
	const struct report_units *units;
	size_t *width;   /* of each field's column */
	bool *is_number; /* its column is aligned right */
	bool directed;   /* rows show their direction */
	bool missing;    /* and what they may lack */
};

static bool fits(const struct table *table, const char *text, size_t column)
{
	size_t width = escape_columns(text);

	return width <= table->width[column];
}

static void measure(struct table *table)
{
	const struct report_group *group = table->group;

	for (size_t column = 0; column < group->field_count; column++) {
		table->width[column] = escape_columns(group->fields[column]);
		table->is_number[column] = group->shown;
	}
	for (size_t i = 0; i < group->shown; i++) {
		table->missing |= group->row[i].missing_bytes != 0;
		for (size_t column = 0; column < group->field_count; column++) {
			const struct report_value *value = &group->row[i].key[column];
			size_t width = escape_columns(value->text);

			table->is_number[column] &= value->is_number;
			if (width > KEY_WIDTH_MAX)
				width = KEY_WIDTH_MAX;
			if (width > table->width[column])
				table->width[column] = width;
		}
	}
	/* "other" and "none" stand in the first column */
	if (table->width[0] < strlen("other"))
		table->width[0] = strlen("other");
}

static void print_key(FILE *out, const struct table *table, size_t column, const char *text)
{
	size_t blanks = fits(table, text, column) ? table->width[column] - escape_columns(text) : 0;
	bool right = table->is_number[column] && column;

	fprintf(out, "%s%*s", column ? "  " : "", right ? (int)blanks : 0, "");
	escape_text(out, text, table->width[column]);
	fprintf(out, "%*s", right ? 0 : (int)blanks, "");
}

static void print_counts(FILE *out, const struct table *table,
			 const struct socktally_counts *counts)
{
	char share[NUMBER_TEXT_MAX], bytes[NUMBER_TEXT_MAX], bytes_share[NUMBER_TEXT_MAX];

	report_number_share(share, counts->packets, table->totals->packets);
	report_number_bytes(bytes, counts->bytes, table->units);
	report_number_share(bytes_share, counts->bytes, table->totals->bytes);
	fprintf(out, "  %10" PRIu64 "  %5s  %8s  %5s  %10" PRIu64, counts->packets, share, bytes,
		bytes_share, counts->accepted_packets);
}

static void print_row(FILE *out, const struct table *table, const struct report_group_row *row)
{
	char bytes[NUMBER_TEXT_MAX];

	for (size_t column = 0; column < table->group->field_count; column++)
		print_key(out, table, column, row->key[column].text);
	if (table->directed)
		fputs(row->direction == SOCKTALLY_OUT ? "  out" : "  in ", out);
	print_counts(out, table, &row->counts);
	if (row->missing_bytes) {
		report_number_bytes(bytes, row->missing_bytes, table->units);
		fprintf(out, "  %8s", bytes);
	}
	fputc('\n', out);
}

static void print_sum(FILE *out, const struct table *table, const char *name,
		      const struct socktally_counts *counts)
{
	if (!counts->packets)
		return;
	print_key(out, table, 0, name);
	for (size_t column = 1; column < table->group->field_count; column++)
		print_key(out, table, column, "");
	if (table->directed)
		fputs("     ", out);
	print_counts(out, table, counts);
	fputc('\n', out);
}

static void print_title(FILE *out, const struct table *table)
{
	const struct report_group *group = table->group;

	for (size_t column = 0; column < group->field_count; column++)
		print_key(out, table, column, group->fields[column]);
	fprintf(out, "%s  %10s  %5s  %8s  %5s  %10s%s\n", table->directed ? "     " : "", "packets",
		"%", "bytes", "%", "accepted", table->missing ? "   missing" : "");
}

/* Whether the name says more than the fields, which are the columns' titles. */
static bool is_named(const struct report_group *group)
{
	const char *at = group->name;

	for (size_t i = 0; i < group->field_count; i++) {
		size_t length = strlen(group->fields[i]);

		if (strncmp(at, group->fields[i], length) != 0 ||
		    at[length] != (i + 1 < group->field_count ? ',' : '\0'))
			return true;
		at += length + 1;
	}
	return false;
}

static void print_table(FILE *out, struct table *table)
{
	const struct report_group *group = table->group;

	measure(table);
	fputc('\n', out);
	if (is_named(group)) {
		escape_text(out, group->name, REPORT_TEXT_WIDTH);
		fputs(":\n", out);
	}
	print_title(out, table);
	for (size_t i = 0; i < group->shown; i++)
		print_row(out, table, &group->row[i]);
	print_sum(out, table, "other", &group->other);
	print_sum(out, table, "none", &group->none);
	if (group->count > group->shown)
		fprintf(out, "%zu more rows are in \"other\"\n", group->count - group->shown);
	if (table->missing)
		fputs("missing: of the row's bytes so many at most may be in \"other\", as the "
		      "table was full (see --keys)\n",
		      out);
}

void report_text_groups(FILE *out, const struct report_content *content)
{
	for (size_t i = 0; i < content->groups->count; i++) {
		const struct report_group *group = &content->groups->group[i];
		size_t width[group->field_count];
		bool is_number[group->field_count];

		print_table(out, &(struct table){
					 .group = group,
					 .totals = &content->totals,
					 .units = &content->look.units,
					 .width = width,
					 .is_number = is_number,
					 .directed = strcmp(content->source->kind, "file") != 0,
				 });
	}
}
