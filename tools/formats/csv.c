// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* The report as comma-separated values (RFC 4180): a line for each path, direction and report. */
#include "tools/common/escape.h"
#include "tools/content/time.h"
#include "tools/formats/writers.h"

#include <inttypes.h>

/* A line of each report tells which source it is of: several may share an output. */
static const char titles[] = "start,end,kind,interface,pid,comm,file,path,direction,"
			     "packets,segments,bytes,accepted_packets,accepted_bytes,"
			     "lost_packets,lost_bytes\r\n";

int report_csv(FILE *out, const struct report_content *content, bool later)
{
	const struct report_source *source = content->source;

	if (!later)
		fputs(titles, out);
	for (size_t i = 0; i < content->rows->count; i++) {
		const struct report_row *row = &content->rows->row[i];
		const struct socktally_counts *counts = &row->counts;
		const struct report_amount *lost;

		report_time(out, &content->start);
		fputc(',', out);
		report_time(out, &content->end);
		fprintf(out, ",%s,", source->kind);
		escape_csv(out, source->interface);
		fprintf(out, ",%d,", source->pid);
		escape_csv(out, source->comm);
		fputc(',', out);
		escape_csv(out, source->file);
		fprintf(out, ",%s,%s,%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64,
			row->path, row->direction == SOCKTALLY_OUT ? "out" : "in", counts->packets,
			counts->segments, counts->bytes, counts->accepted_packets,
			counts->accepted_bytes);
		lost = content->lost ? report_row_lost(content->rows, i) : NULL;
		if (lost)
			fprintf(out, ",%" PRIu64 ",%" PRIu64, lost->packets, lost->bytes);
		fputs(lost ? "\r\n" : ",,\r\n", out);
	}
	return 0;
}
