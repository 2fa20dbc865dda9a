// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
#include "tools/content/number.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

void report_number_exact(char *text, uint64_t number)
{
	char digits[NUMBER_TEXT_MAX];
	int length = snprintf(digits, sizeof(digits), "%" PRIu64, number);

	for (int i = 0; i < length; i++) {
		if (i && (length - i) % 3 == 0)
			*text++ = ',';
		*text++ = digits[i];
	}
	*text = 0;
}

void report_number_short(char *text, double number, const char *unit)
{
	static const char prefixes[][2] = {"", "k", "M", "G", "T", "P", "E"};
	bool whole = number < 999.5 && number == (double)(unsigned int)number;
	size_t prefix = 0;
	int digits;

	while (number >= 999.5 && prefix + 1 < sizeof(prefixes) / sizeof(*prefixes)) {
		number /= 1000;
		prefix++;
	}
	if (whole || number >= 99.95)
		digits = 0;
	else
		digits = number >= 9.995 ? 1 : 2;
	snprintf(text, NUMBER_TEXT_MAX, "%.*f%s%s%s", digits, number, *unit || prefix ? " " : "",
		 prefixes[prefix], unit);
}

void report_number_packets(char *text, uint64_t packets)
{
	report_number_exact(text, packets);
	strcat(text, packets == 1 ? " packet" : " packets");
}

void report_number_share(char *text, uint64_t part, uint64_t whole)
{
	double share = whole ? 100.0 * (double)part / (double)whole : 0;

	if (part && share < 0.05)
		strcpy(text, "<0.1");
	else if (part < whole && share >= 99.95)
		strcpy(text, ">99.9");
	else
		snprintf(text, NUMBER_TEXT_MAX, "%.1f", share);
}
