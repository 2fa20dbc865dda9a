// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* A comparison as comma-separated values (RFC 4180): a line for the totals, and for each row that differs. */
#include "tools/common/escape.h"
#include "tools/diff/compare.h"

#include <inttypes.h>

static void print_amounts(FILE *out, const struct diff_amount *a, const struct diff_amount *b)
{
	fprintf(out, ",%" PRIu64 ",%" PRIu64 ",%" PRId64 ",%" PRIu64 ",%" PRIu64 ",%" PRId64 "\r\n",
		a->packets, b->packets, (int64_t)(b->packets - a->packets), a->bytes, b->bytes,
		(int64_t)(b->bytes - a->bytes));
}

void diff_csv(FILE *out, const struct diff *diff)
{
	fputs("kind,name,a_packets,b_packets,difference_packets,a_bytes,b_bytes,"
	      "difference_bytes\r\ntotals,",
	      out);
	print_amounts(out, &diff->a.totals, &diff->b.totals);
	for (int kind = 0; kind < DIFF_KINDS; kind++) {
		for (size_t i = 0; i < diff->tables[kind].count; i++) {
			const struct diff_row *row = &diff->tables[kind].row[i];

			fprintf(out, "%s,", diff_titles[kind]);
			escape_csv(out, row->name);
			print_amounts(out, &row->a, &row->b);
		}
	}
}
