/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Finding the files of this installation from one another, also where all of it was moved, or unpacked
 * elsewhere (DESTDIR): the way between two files stays as it was configured. Without stdio, for the shim.
 */
#ifndef SOCKTALLY_PROTO_INSTALL_PATH_H
#define SOCKTALLY_PROTO_INSTALL_PATH_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* A text that grows in size bytes; full: something had no room. */
struct install_path_text {
	char *path;
	size_t size, used;
	bool full;
};

static inline void install_path_append(struct install_path_text *text, const char *from,
				       size_t length)
{
	if (length >= text->size - text->used) {
		text->full = true;
		return;
	}
	memcpy(text->path + text->used, from, length);
	text->used += length;
	text->path[text->used] = 0;
}

/*
 * The path of the file `name`, configured to lie in the folder `to`, made of the path of another file,
 * `self`, configured to lie in `from`. Both folders are absolute. false: it doesn't fit in size bytes.
 */
static inline bool install_path(char *path, size_t size, const char *self, const char *from,
				const char *to, const char *name)
{
	struct install_path_text text = {.path = path, .size = size};
	const char *slash = strrchr(self, '/');
	size_t common = 0, i = 0;

	if (!slash)
		return false;
	install_path_append(&text, self, (size_t)(slash - self) + 1);
	for (; from[i] && from[i] == to[i]; i++)
		if (from[i] == '/')
			common = i + 1;
	if (from[i] != to[i]) {
		for (const char *rest = from + common; rest; rest = strchr(rest, '/')) {
			rest += *rest == '/';
			install_path_append(&text, "../", 3);
		}
		install_path_append(&text, to + common, strlen(to + common));
		install_path_append(&text, "/", 1);
	}
	install_path_append(&text, name, strlen(name));
	return !text.full;
}

#endif
