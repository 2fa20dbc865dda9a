// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
#include "tools/common/name_list.h"

#include <string.h>

void name_list_add(struct name_list *names, const char *name)
{
	size_t length = strlen(name), used = strlen(names->text);
	char *at = names->text;

	if (!length || used + length + 2 > sizeof(names->text))
		return;
	while (*at) {
		size_t other = strcspn(at, ",");
		int order = strncmp(at, name, other);

		if (!order && length == other)
			return;
		if (order > 0 || (!order && other > length))
			break;
		at += other;
		at += *at == ',';
	}
	if (*at) {
		memmove(at + length + 1, at, strlen(at) + 1);
		memcpy(at, name, length);
		at[length] = ',';
	} else {
		if (at > names->text)
			*at++ = ',';
		memcpy(at, name, length + 1);
	}
}
