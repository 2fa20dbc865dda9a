// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* A comparison as JSON, schema socktally-diff/1: one object on one line. */
#include "tools/common/escape.h"
#include "tools/diff/compare.h"
#include "tools/formats/statistics.h"

#include <inttypes.h>

/* Negative where B has less. */
static int64_t more(uint64_t a, uint64_t b)
{
	return (int64_t)(b - a);
}

static void print_amounts(FILE *out, const struct diff_amount *a, const struct diff_amount *b)
{
	fprintf(out,
		"\"a_packets\":%" PRIu64 ",\"b_packets\":%" PRIu64
		",\"difference_packets\":%" PRId64 ",\"a_bytes\":%" PRIu64 ",\"b_bytes\":%" PRIu64
		",\"difference_bytes\":%" PRId64 ",\"share\":",
		a->packets, b->packets, more(a->packets, b->packets), a->bytes, b->bytes,
		more(a->bytes, b->bytes));
	if (a->packets)
		fprintf(out, "%.6f", (double)more(a->packets, b->packets) / (double)a->packets);
	else
		fputs("null", out);
}

static void print_side(FILE *out, const char *name, const struct diff_side *side)
{
	fprintf(out, ",\"%s\":{\"files\":[", name);
	for (size_t i = 0; i < side->file_count; i++) {
		fputs(i ? "," : "", out);
		escape_json(out, side->files[i]);
	}
	fprintf(out, "],\"kind\":\"%s\",\"counts\":\"%s\",\"bytes\":\"%s\"",
		!side->counts.sockets ? "file"
		: side->counts.files  ? "both"
				      : "socket",
		side->taken == DIFF_ACCEPTED ? "accepted" : "seen",
		side->cut ? "captured" : "whole");
	report_json_statistics(out, &side->counts.statistics);
	fprintf(out,
		",\"reports\":%" PRIu64 ",\"captures\":%" PRIu64 ",\"overflow_packets\":%" PRIu64
		"}",
		side->counts.reports, side->counts.captures, side->counts.overflow_packets);
}

void diff_json(FILE *out, const struct diff *diff)
{
	fprintf(out, "{\"schema\":\"socktally-diff/1\",\"equal\":%s",
		diff->equal ? "true" : "false");
	if (diff->shortened)
		fprintf(out, ",\"shortened_paths\":%d", diff->shortened);
	print_side(out, "a", &diff->a);
	print_side(out, "b", &diff->b);
	fputs(",\"totals\":{", out);
	print_amounts(out, &diff->a.totals, &diff->b.totals);
	fputc('}', out);
	for (int kind = 0; kind < DIFF_KINDS; kind++) {
		const struct diff_table *table = &diff->tables[kind];

		if (kind > DIFF_APPLICATIONS && !table->count && !table->equal)
			continue;
		fprintf(out, ",\"%s\":[", diff_members[kind]);
		for (size_t i = 0; i < table->count; i++) {
			fprintf(out, "%s{\"%s\":", i ? "," : "", diff_titles[kind]);
			escape_json(out, table->row[i].name);
			fputc(',', out);
			print_amounts(out, &table->row[i].a, &table->row[i].b);
			fputc('}', out);
		}
		fputc(']', out);
	}
	fputs("}\n", out);
}
