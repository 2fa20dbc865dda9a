// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
#include "pattern.h"
#include <string.h>

static const char *const names[] = {
#define SOCKTALLY_PROTOCOL(NUMBER, SYMBOL, NAME, LAYER, RECOGNISED, SOURCE) NAME,
#include <socktally/protocols.def>
#undef SOCKTALLY_PROTOCOL
#define SOCKTALLY_LINKTYPE(NUMBER, NAME) NAME,
#include "linktypes.def"
#undef SOCKTALLY_LINKTYPE
	"overflow",
};

static bool is_name(const char *text, size_t length)
{
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (strlen(names[i]) == length && !memcmp(names[i], text, length))
			return true;
	/* "DLT147": a link type that nobody has named */
	return length > 3 && !memcmp(text, "DLT", 3) &&
	       strspn(text + 3, "0123456789") >= length - 3;
}

bool st_pattern_is_valid(const char *pattern, const char **bad, size_t *length)
{
	for (;; pattern += *length + 1) {
		*length = strcspn(pattern, ":");
		*bad = pattern;
		if (!(*length == 1 && *pattern == '*') && !is_name(pattern, *length))
			return false;
		if (!pattern[*length])
			return true;
	}
}

/* Behind the layer and its colon, or the end. */
static const char *next(const char *text)
{
	text += strcspn(text, ":");
	return text + (*text == ':');
}

/* As for file names: only the last "*" has to be tried again with one layer more. */
bool st_pattern_matches(const char *pattern, const char *path)
{
	const char *star = NULL, *star_path = NULL;

	while (*pattern) {
		size_t length = strcspn(pattern, ":");

		if (length == 1 && *pattern == '*') {
			star = pattern = next(pattern);
			star_path = path;
		} else if (*path && strcspn(path, ":") == length &&
			   !memcmp(pattern, path, length)) {
			pattern = next(pattern);
			path = next(path);
		} else if (star && *star_path) {
			star_path = path = next(star_path);
			pattern = star;
		} else {
			return false;
		}
	}
	return true;
}
