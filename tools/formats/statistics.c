// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* What a capture file says of itself. */
#include "tools/formats/statistics.h"
#include "tools/content/number.h"

#include <inttypes.h>

void report_json_statistics(FILE *out, const struct capture_statistics *statistics)
{
	const char *before = ",\"statistics\":{";

	for (int i = 0; i < CAPTURE_STATISTICS; i++) {
		if (!statistics->known[i])
			continue;
		fprintf(out, "%s\"%s\":%" PRIu64, before, capture_statistic_names[i],
			statistics->packets[i]);
		before = ",";
	}
	if (capture_statistics_known(statistics))
		fputc('}', out);
}

void report_text_statistics(FILE *out, const struct capture_statistics *statistics)
{
	const char *before = "the file itself says: ";
	char packets[NUMBER_TEXT_MAX];

	for (int i = 0; i < CAPTURE_STATISTICS; i++) {
		if (!statistics->known[i])
			continue;
		report_number_exact(packets, statistics->packets[i]);
		fprintf(out, "%s%s %s", before, capture_statistic_words[i], packets);
		before = "; ";
	}
	if (capture_statistics_known(statistics))
		fputc('\n', out);
}
