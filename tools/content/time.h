/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
#ifndef SOCKTALLY_TOOLS_CONTENT_TIME_H
#define SOCKTALLY_TOOLS_CONTENT_TIME_H

#include <stdio.h>
#include <time.h>

/* "2026-01-01T00:00:00.000000Z" (ISO 8601) */
void report_time(FILE *out, const struct timespec *time);

#endif
