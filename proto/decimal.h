/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Decimal numbers without stdio, for where it may not be used or is too slow. */
#ifndef SOCKTALLY_PROTO_DECIMAL_H
#define SOCKTALLY_PROTO_DECIMAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DECIMAL_MAX 20 /* digits of a 64-bit number */

/* Writes the number, without a zero byte; returns where its digits end. */
static inline char *decimal_put(char *to, uint64_t number)
{
	char digits[DECIMAL_MAX];
	size_t count = 0;

	do
		digits[count++] = (char)('0' + number % 10);
	while (number /= 10);
	while (count)
		*to++ = digits[--count];
	return to;
}

/* *text becomes the end. false: there is no digit, or the number is above max. */
static inline bool decimal_take(const char **text, uint64_t max, uint64_t *number)
{
	const char *from = *text;

	for (*number = 0; *from >= '0' && *from <= '9'; from++) {
		uint64_t digit = (uint64_t)(*from - '0');

		if (digit > max || *number > (max - digit) / 10)
			return false;
		*number = 10 * *number + digit;
	}
	if (from == *text)
		return false;
	*text = from;
	return true;
}

#endif
