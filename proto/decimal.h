/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
#ifndef SOCKTALLY_PROTO_DECIMAL_H
#define SOCKTALLY_PROTO_DECIMAL_H

#include <stddef.h>
#include <stdint.h>

#define DECIMAL_MAX 20 /* digits of a 64-bit number */

/* Writes the number without stdio and without a zero byte; returns where its digits end. */
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

#endif
