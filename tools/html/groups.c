// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* Groups: a table for each, with a column for each field. */
#include "tools/html/html.h"
#include "tools/common/escape.h"

struct table {
	const struct report_group *group;
	const struct socktally_counts *totals;
	bool directed, missing;
};

static void print_counts(FILE *out, const struct table *table,
			 const struct socktally_counts *counts, uint64_t missing)
{
	fputs("<td>", out);
	html_number(out, counts->packets);
	fputs("<td>", out);
	html_share(out, counts->packets, table->totals->packets);
	fputs("<td>", out);
	html_bytes(out, counts->bytes);
	fputs("<td>", out);
	html_share(out, counts->bytes, table->totals->bytes);
	fputs("<td>", out);
	html_number(out, counts->accepted_packets);
	if (table->missing) {
		fputs("<td>", out);
		html_bytes(out, missing);
	}
	fputc('\n', out);
}

static void print_titles(FILE *out, const struct table *table)
{
	const struct report_group *group = table->group;

	fputs("<h2>By ", out);
	escape_html(out, group->name);
	fputs("</h2>\n<div class=wide><table>\n<thead><tr>", out);
	for (size_t i = 0; i < group->field_count; i++) {
		fputs("<th class=l>", out);
		escape_html(out, group->fields[i]);
	}
	fputs(table->directed ? "<th class=l>direction" : "", out);
	fputs("<th>packets<th>%<th>bytes<th>%<th>accepted", out);
	fputs(table->missing ? "<th>may be missing\n<tbody>\n" : "\n<tbody>\n", out);
}

/* All that no row has. */
static void print_sum(FILE *out, const struct table *table, const char *name,
		      const struct socktally_counts *counts)
{
	size_t columns = table->group->field_count + table->directed;

	if (!counts->packets)
		return;
	fprintf(out, "<tr><td>%s", name);
	for (size_t i = 1; i < columns; i++)
		fputs("<td>", out);
	print_counts(out, table, counts, 0);
}

static void print_group(FILE *out, struct table *table)
{
	const struct report_group *group = table->group;

	for (size_t i = 0; i < group->shown; i++) {
		table->directed |= group->row[i].direction == SOCKTALLY_OUT;
		table->missing |= group->row[i].missing_bytes != 0;
	}
	print_titles(out, table);
	for (size_t i = 0; i < group->shown; i++) {
		const struct report_group_row *row = &group->row[i];

		fputs("<tr>", out);
		for (size_t j = 0; j < group->field_count; j++) {
			fputs("<td class=l>", out);
			escape_html(out, row->key[j].text);
		}
		if (table->directed)
			fputs(row->direction == SOCKTALLY_OUT ? "<td class=l>out"
							      : "<td class=l>in",
			      out);
		print_counts(out, table, &row->counts, row->missing_bytes);
	}
	print_sum(out, table, "other", &group->other);
	print_sum(out, table, "none", &group->none);
	fputs("</table></div>\n", out);
}

void html_groups(FILE *out, const struct report_content *content)
{
	for (size_t i = 0; i < content->groups->count; i++)
		print_group(out, &(struct table){.group = &content->groups->group[i],
						 .totals = &content->totals});
}
