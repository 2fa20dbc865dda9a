// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
#include "tools/content/time.h"

void report_time(FILE *out, const struct timespec *time)
{
	/* the last year with four digits (ISO 8601); a corrupt file may claim any */
	const time_t last = 253402300799; /* 9999-12-31T23:59:59Z */
	time_t seconds = time->tv_sec < 0 ? 0 : time->tv_sec > last ? last : time->tv_sec;
	char text[32] = "1970-01-01T00:00:00";
	struct tm utc;

	if (gmtime_r(&seconds, &utc))
		strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &utc);
	fprintf(out, "%s.%06ldZ", text, time->tv_nsec / 1000);
}
