// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* What the tool's files lack. */
#include "tools/formats/lost.h"
#include "tools/common/escape.h"
#include "tools/content/number.h"

#include <inttypes.h>

static void print_amount(FILE *out, const char *name, const struct report_amount *amount)
{
	fprintf(out, ",\"%s_packets\":%" PRIu64 ",\"%s_bytes\":%" PRIu64, name, amount->packets,
		name, amount->bytes);
}

static void print_row(FILE *out, const struct report_lost_row *row)
{
	print_amount(out, "accepted", &row->accepted);
	print_amount(out, "written", &row->written);
	print_amount(out, "lost", &row->lost);
	print_amount(out, "after_end", &row->after);
	print_amount(out, "uncertain", &row->uncertain);
}

static void print_rows(FILE *out, const char *list, const char *name,
		       const struct report_lost_row *rows, size_t count)
{
	fprintf(out, ",\"%s\":[", list);
	for (size_t i = 0; i < count; i++) {
		fprintf(out, "%s{\"%s\":", i ? "," : "", name);
		escape_json(out, rows[i].name);
		print_row(out, &rows[i]);
		fputc('}', out);
	}
	fputc(']', out);
}

void report_json_drops(FILE *out, const struct report_drops *drops)
{
	if (drops->reads)
		fprintf(out,
			",\"tool_count\":{\"reads\":%" PRIu64 ",\"packets\":%" PRIu64
			",\"drops\":%" PRIu64 ",\"freezes\":%" PRIu64 "}",
			drops->reads, drops->packets, drops->drops, drops->freezes);
}

void report_text_drops(FILE *out, const struct report_drops *drops)
{
	char packets[NUMBER_TEXT_MAX], dropped[NUMBER_TEXT_MAX];

	if (!drops->reads)
		return;
	report_number_exact(dropped, drops->drops);
	report_number_packets(packets, drops->packets);
	fprintf(out, "the tool was told: %s dropped of %s accepted\n", dropped, packets);
}

void report_json_lost(FILE *out, const struct report_lost *lost)
{
	fprintf(out, ",\"lost\":{\"bytes\":\"%s\"", lost->cut ? "captured" : "whole");
	print_row(out, &lost->totals);
	fprintf(out, ",\"unmatched_packets\":%" PRIu64, lost->unmatched);
	print_rows(out, "paths", "path", lost->paths, lost->path_count);
	if (lost->class_count)
		print_rows(out, "classes", "name", lost->classes, lost->class_count);
	fputc('}', out);
}

void report_text_lost(FILE *out, const struct report_lost *lost)
{
	const struct report_lost_row *totals = &lost->totals;
	char packets[NUMBER_TEXT_MAX], share[NUMBER_TEXT_MAX], bytes[NUMBER_TEXT_MAX];

	report_number_packets(packets, totals->lost.packets);
	report_number_share(share, totals->lost.packets, totals->accepted.packets);
	report_number_short(bytes, (double)totals->lost.bytes, "B");
	fprintf(out, "lost: %s (%s %% of the accepted), %s\n", packets, share, bytes);
	report_number_packets(packets, totals->written.packets);
	fprintf(out, "in the files: %s", packets);
	if (totals->after.packets) {
		report_number_packets(packets, totals->after.packets);
		fprintf(out, "; after the last of them came %s", packets);
	}
	fputc('\n', out);
}

void report_text_lost_paths(FILE *out, const struct report_lost *lost)
{
	fprintf(out, "\n%12s  %12s  %12s  %s\n", "accepted", "in files", "lost", "path");
	for (size_t i = 0; i < lost->path_count; i++) {
		const struct report_lost_row *row = &lost->paths[i];
		char accepted[NUMBER_TEXT_MAX], written[NUMBER_TEXT_MAX], missing[NUMBER_TEXT_MAX];

		if (!row->lost.packets)
			continue;
		report_number_exact(accepted, row->accepted.packets);
		report_number_exact(written, row->written.packets);
		report_number_exact(missing, row->lost.packets);
		fprintf(out, "%12s  %12s  %12s  ", accepted, written, missing);
		escape_text(out, row->name, SIZE_MAX);
		fputc('\n', out);
	}
}
