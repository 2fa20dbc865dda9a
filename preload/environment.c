// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * The environment, without the C library's functions: a program may have its own (bash has), and they
 * take memory from malloc().
 */
#include "preload/preload.h"
#include "preload/syscall.h"
#include <sys/auxv.h>

bool environment_is_secure(void)
{
	return getauxval(AT_SECURE);
}

static bool is_of(const char *entry, const char *name, size_t length)
{
	return !strncmp(entry, name, length) && entry[length] == '=';
}

char *environment_get(const char *name)
{
	size_t length = strlen(name);

	for (char **entry = environ; entry && *entry && !environment_is_secure(); entry++)
		if (is_of(*entry, name, length))
			return *entry + length + 1;
	return NULL;
}

void environment_remove(const char *name)
{
	size_t length = strlen(name);
	char **to = environ;

	for (char **entry = environ; entry && *entry; entry++)
		if (!is_of(*entry, name, length))
			*to++ = *entry;
	if (to)
		*to = NULL;
}

/*
 * The new variable becomes the first. A tool that shows its state in ps(1) overwrites the memory from its
 * first argument to the end of its last variable: the last one must be one that the kernel put there.
 */
bool environment_put(char *entry)
{
	size_t count = 0, size;
	char **all;

	while (environ && environ[count])
		count++;
	size = (count + 2) * sizeof(*all);
	all = (char **)raw_map(-1, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
	if (all == MAP_FAILED)
		return false;
	all[0] = entry;
	if (count)
		memcpy(all + 1, environ, count * sizeof(*all));
	environ = all;
	return true;
}
