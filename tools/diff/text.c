// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* A comparison for people: what was compared, and a table of each kind with the rows that differ. */
#include "tools/common/escape.h"
#include "tools/diff/compare.h"
#include "tools/formats/statistics.h"
#include "tools/content/number.h"

#include <inttypes.h>
#include <string.h>

#define WIDTH 80
#define NAME_WIDTH_MIN 12
#define NUMBERS_WIDTH (12 + 12 + 13 + 8 + 10) /* of the columns behind the name */

/* "+1,234" */
static void signed_text(char *text, uint64_t a, uint64_t b)
{
	*text = a > b ? '-' : a < b ? '+' : ' ';
	report_number_exact(text + 1, a > b ? a - b : b - a);
}

static void share_text(char *text, uint64_t a, uint64_t b)
{
	uint64_t part = a > b ? a - b : b - a;

	if (!a)
		strcpy(text, "new");
	else if (part / 10 > a)
		strcpy(text, ">1000");
	else
		report_number_share(text, part, a);
}

static void print_side(FILE *out, const char *name, const struct diff_side *side)
{
	char packets[NUMBER_TEXT_MAX], bytes[NUMBER_TEXT_MAX];

	report_number_packets(packets, side->totals.packets);
	report_number_short(bytes, (double)side->totals.bytes, "B");
	fprintf(out, "%s: ", name);
	escape_text(out, strcmp(side->files[0], "-") ? side->files[0] : "standard input", SIZE_MAX);
	if (side->file_count > 1)
		fprintf(out, " and %zu more", side->file_count - 1);
	fprintf(out, ": %s%s, %s%s\n",
		side->taken == DIFF_ACCEPTED && side->counts.sockets ? "accepted by the filter: "
								     : "",
		packets, bytes, side->cut ? " captured" : "");
	report_text_statistics(out, &side->counts.statistics);
}

static void print_totals(FILE *out, const struct diff *diff)
{
	const struct diff_amount *a = &diff->a.totals, *b = &diff->b.totals;
	char packets[NUMBER_TEXT_MAX], bytes[NUMBER_TEXT_MAX], share[NUMBER_TEXT_MAX];
	bool less = b->packets < a->packets;

	if (diff->equal) {
		fputs("equal\n", out);
		return;
	}
	if (a->packets == b->packets) {
		fputs("as many packets, but not the same\n", out);
		return;
	}
	report_number_packets(packets, less ? a->packets - b->packets : b->packets - a->packets);
	share_text(share, a->packets, b->packets);
	report_number_short(bytes,
			    a->bytes > b->bytes ? (double)(a->bytes - b->bytes)
						: (double)(b->bytes - a->bytes),
			    "B");
	fprintf(out, "B has %s %s", packets, less ? "less" : "more");
	if (a->packets)
		fprintf(out, " (%s %%)", share);
	fprintf(out, ", %s %s\n", bytes, a->bytes > b->bytes ? "less" : "more");
	if (diff->a.counts.overflow_packets || diff->b.counts.overflow_packets)
		fputs("a table was full: its overflow row is of unknown paths (see --paths)\n",
		      out);
}

static void print_shortened(FILE *out, const struct diff *diff)
{
	if (diff->shortened)
		fprintf(out,
			"packets are cut short: what is inside them is counted where %d of their "
			"paths end%s\n",
			diff->shortened, diff->shortened == 1 ? "s" : "");
}

static int name_width(const struct diff_table *table, const char *title)
{
	size_t width = strlen(title) > NAME_WIDTH_MIN ? strlen(title) : NAME_WIDTH_MIN;

	for (size_t i = 0; i < table->count; i++) {
		size_t columns = escape_columns(table->row[i].name);

		if (columns > width)
			width = columns;
	}
	return width < WIDTH - NUMBERS_WIDTH ? (int)width : WIDTH - NUMBERS_WIDTH;
}

/* A name that is too long stands on a line of its own. */
static void print_row(FILE *out, const struct diff_row *row, int width)
{
	char a[NUMBER_TEXT_MAX], b[NUMBER_TEXT_MAX], packets[NUMBER_TEXT_MAX + 1],
		share[NUMBER_TEXT_MAX], bytes[NUMBER_TEXT_MAX];
	const struct diff_amount *in_a = &row->a, *in_b = &row->b;
	int columns = (int)escape_columns(row->name);

	report_number_exact(a, in_a->packets);
	report_number_exact(b, in_b->packets);
	signed_text(packets, in_a->packets, in_b->packets);
	share_text(share, in_a->packets, in_b->packets);
	bytes[0] = in_a->bytes > in_b->bytes ? '-' : in_a->bytes < in_b->bytes ? '+' : ' ';
	report_number_short(bytes + 1,
			    in_a->bytes > in_b->bytes ? (double)(in_a->bytes - in_b->bytes)
						      : (double)(in_b->bytes - in_a->bytes),
			    "B");
	escape_text(out, row->name, SIZE_MAX);
	if (columns > width) {
		fputc('\n', out);
		columns = 0;
	}
	fprintf(out, "%*s  %10s  %10s  %11s  %6s  %8s\n", width - columns, "", a, b, packets, share,
		bytes);
}

static void print_table(FILE *out, const struct diff_table *table, const char *title,
			const char *plural)
{
	int width = name_width(table, title);

	if (!table->count)
		return;
	fprintf(out, "\n%-*s  %10s  %10s  %11s  %6s  %8s\n", width, title, "A", "B", "difference",
		"% of A", "bytes");
	for (size_t i = 0; i < table->count; i++)
		print_row(out, &table->row[i], width);
	if (table->equal)
		fprintf(out, "%zu of %zu %s are equal\n", table->equal, table->equal + table->count,
			plural);
}

void diff_text(FILE *out, const struct diff *diff)
{
	print_side(out, "A", &diff->a);
	print_side(out, "B", &diff->b);
	print_totals(out, diff);
	print_shortened(out, diff);
	for (int kind = 0; kind < DIFF_KINDS; kind++)
		print_table(out, &diff->tables[kind], diff_titles[kind], diff_members[kind]);
}
