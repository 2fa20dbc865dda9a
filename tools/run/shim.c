// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* Finding the library that is loaded into the tool. */
#include "tools/run/run.h"
#include "tools/common/command.h"
#include "proto/install_path.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SHIM "libsocktally-preload.so"

/* Beside the command in the build tree; in an installation as far from it as configured. */
static bool near_command(char path[PATH_MAX])
{
	char self[PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (length <= 0)
		return false;
	self[length] = 0;
	if (install_path(path, PATH_MAX, self, "/", "/", SHIM) && !access(path, R_OK))
		return true;
	return install_path(path, PATH_MAX, self, SOCKTALLY_BINDIR, SOCKTALLY_LIBDIR, SHIM) &&
	       !access(path, R_OK);
}

const char *run_find_shim(const char *tool)
{
	const char *told = secure_getenv("SOCKTALLY_PRELOAD"), *path;
	static char found[PATH_MAX];

	if (told && *told)
		path = told;
	else if (near_command(found))
		path = found;
	else
		path = SOCKTALLY_LIBDIR "/" SHIM;
	if (access(path, R_OK)) {
		command_fail("%s: %s: %s goes on unmetered (SOCKTALLY_PRELOAD can name another)",
			     path, strerror(errno), tool);
		return NULL;
	}
	if (path[strcspn(path, ": \t\n")]) {
		command_fail("%s: LD_PRELOAD can't have a space or colon in a path: %s goes on "
			     "unmetered",
			     path, tool);
		return NULL;
	}
	return path;
}
