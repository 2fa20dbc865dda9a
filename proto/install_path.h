/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Finding the files of this installation from one another, also where all of it was moved, or unpacked
 * elsewhere (DESTDIR): the way between two files stays as it was configured.
 */
#ifndef SOCKTALLY_PROTO_INSTALL_PATH_H
#define SOCKTALLY_PROTO_INSTALL_PATH_H

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/*
 * The path of the file `name`, configured to lie in the folder `to`, made of the path of another file,
 * `self`, configured to lie in `from`. Both folders are absolute. false: it doesn't fit in size bytes.
 */
static inline bool install_path(char *path, size_t size, const char *self, const char *from,
				const char *to, const char *name)
{
	const char *slash = strrchr(self, '/');
	size_t common = 0, used;

	if (!slash || (size_t)(slash - self) + 2 > size)
		return false;
	for (size_t i = 0; from[i] == to[i]; i++) {
		if (!from[i])
			return snprintf(path, size, "%.*s/%s", (int)(slash - self), self, name) <
			       (int)size;
		if (from[i] == '/')
			common = i + 1;
	}
	used = (size_t)snprintf(path, size, "%.*s/", (int)(slash - self), self);
	for (const char *rest = from + common; rest; rest = strchr(rest, '/')) {
		rest += *rest == '/';
		if (used + sizeof("../") > size)
			return false;
		strcpy(path + used, "../");
		used += 3;
	}
	return snprintf(path + used, size - used, "%s/%s", to + common, name) < (int)(size - used);
}

#endif
