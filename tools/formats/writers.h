/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* One function for each format: see report_format_write(). */
#ifndef SOCKTALLY_TOOLS_FORMATS_WRITERS_H
#define SOCKTALLY_TOOLS_FORMATS_WRITERS_H

#include "tools/content/content.h"

#include <stdio.h>

int report_text(FILE *out, const struct report_content *content, bool later);
int report_json(FILE *out, const struct report_content *content, bool later);
int report_csv(FILE *out, const struct report_content *content, bool later);
int report_phs(FILE *out, const struct report_content *content, bool later);
int report_openmetrics(FILE *out, const struct report_content *content, bool later);
int report_prometheus(FILE *out, const struct report_content *content, bool later);

#endif
