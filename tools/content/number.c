// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
#include "tools/content/content.h"
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

/* Three digits and a power of `base`. */
static void print_short(char *text, double number, unsigned int base, const char *unit)
{
	static const char *const prefixes[] = {"", "k", "M", "G", "T", "P", "E"};
	const double limit = base - 0.5;
	bool whole = number < limit && number == (double)(unsigned int)number;
	size_t prefix = 0;
	int digits;

	while (number >= limit && prefix + 1 < sizeof(prefixes) / sizeof(*prefixes)) {
		number /= base;
		prefix++;
	}
	if (whole || number >= 99.95)
		digits = 0;
	else
		digits = number >= 9.995 ? 1 : 2;
	snprintf(text, NUMBER_TEXT_MAX, "%.*f%s%s%s%s", digits, number, *unit || prefix ? " " : "",
		 base == 1024 && prefix == 1 ? "K" : prefixes[prefix],
		 base == 1024 && prefix ? "i" : "", unit);
}

void report_number_short(char *text, double number, const char *unit)
{
	print_short(text, number, 1000, unit);
}

static void print_units(char *text, double number, const struct report_units *units,
			const char *unit)
{
	switch (units->prefix) {
	case REPORT_SI:
		print_short(text, number, 1000, unit);
		break;
	case REPORT_IEC:
		print_short(text, number, 1024, unit);
		break;
	case REPORT_EXACT:
		report_number_exact(text, (uint64_t)(number + 0.5));
		strcat(strcat(text, " "), unit);
		break;
	}
}

void report_number_bytes(char *text, uint64_t bytes, const struct report_units *units)
{
	if (units->prefix == REPORT_EXACT) { /* a double has 53 bits */
		report_number_exact(text, bytes);
		strcat(text, " B");
	} else {
		print_units(text, (double)bytes, units, "B");
	}
}

void report_number_rate(char *text, double bytes, const struct report_units *units)
{
	print_units(text, units->byte_rates ? bytes : 8 * bytes, units,
		    units->byte_rates ? "B/s" : "bit/s");
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
