/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
#ifndef SOCKTALLY_TOOLS_FORMATS_LOST_H
#define SOCKTALLY_TOOLS_FORMATS_LOST_H

#include "tools/content/content.h"

#include <stdio.h>

/* A member `,"tool_count":{...}`, or a line, if the tool has asked for its drops. */
void report_json_drops(FILE *out, const struct report_drops *drops);
void report_text_drops(FILE *out, const struct report_drops *drops);

/* A member `,"lost":{...}`. */
void report_json_lost(FILE *out, const struct report_lost *lost);

/* "lost: 39,088 packets (39.1 % of the accepted), 3.1 MB", and what is not lost, but not in the files either. */
void report_text_lost(FILE *out, const struct report_lost *lost);

/* A table of the paths with lost packets: where the report's rows are of another time. */
void report_text_lost_paths(FILE *out, const struct report_lost *lost);

#endif
