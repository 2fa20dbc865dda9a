/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
#ifndef SOCKTALLY_TOOLS_FORMATS_STATISTICS_H
#define SOCKTALLY_TOOLS_FORMATS_STATISTICS_H

#include "tools/capture/statistics.h"

#include <stdio.h>

/* A member `,"statistics":{...}` of those that the file has, if there are any. */
void report_json_statistics(FILE *out, const struct capture_statistics *statistics);

/* A line, "the file itself says: accepted by the filter 1,234; dropped by the system 5", or nothing. */
void report_text_statistics(FILE *out, const struct capture_statistics *statistics);

#endif
