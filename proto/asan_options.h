/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * A program that was built with -fsanitize=address (gcc: in a shared library) refuses to start when
 * another library was loaded before ASan's. This option lets it: the shim doesn't get in ASan's way.
 */
#ifndef SOCKTALLY_PROTO_ASAN_OPTIONS_H
#define SOCKTALLY_PROTO_ASAN_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define ASAN_OPTIONS_VARIABLE "ASAN_OPTIONS"

/* The variable's new value; given: what it was, or NULL. false: no room. */
static inline bool asan_options(char *to, size_t size, const char *given)
{
	static const char option[] = "verify_asan_link_order=0";
	size_t length = given ? strlen(given) : 0;

	if (length + 1 + sizeof(option) > size)
		return false;
	if (length) {
		memcpy(to, given, length);
		to[length++] = ':';
	}
	memcpy(to + length, option, sizeof(option));
	return true;
}

#endif
