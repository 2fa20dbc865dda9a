/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Numbers as people read them. */
#ifndef SOCKTALLY_TOOLS_CONTENT_NUMBER_H
#define SOCKTALLY_TOOLS_CONTENT_NUMBER_H

#include <stdint.h>

#define NUMBER_TEXT_MAX 48 /* room for a number as text, with its unit */

/* Three digits and a power of 1000: 1234567 B as "1.23 MB", 999 B as "999 B". */
void report_number_short(char *text, double number, const char *unit);
/* Bytes, and bytes a second as rates, in the units that the user wants: "1.23 MB", "1.18 MiB", "9.88 Mbit/s" */
struct report_units;
void report_number_bytes(char *text, uint64_t bytes, const struct report_units *units);
void report_number_rate(char *text, double bytes, const struct report_units *units);
/* Percent: "12.3", "<0.1", ">99.9" */
void report_number_share(char *text, uint64_t part, uint64_t whole);
/* 1234567 as "1,234,567" */
void report_number_exact(char *text, uint64_t number);
/* "1 packet", "1,234 packets" */
void report_number_packets(char *text, uint64_t packets);

#endif
