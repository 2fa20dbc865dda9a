// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* Finding the shim, and the tools that can't take it. */
#include "tools/run.h"
#include "tools/common/command.h"
#include "proto/install_path.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define SHIM "libsocktally-preload.so"

/* The build tree has it beside the command, an installation as far from it as configured. */
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

/* The program as the shell would find it, or false. */
static bool find_program(const char *tool, char path[PATH_MAX])
{
	const char *search = getenv("PATH");

	if (strchr(tool, '/'))
		return snprintf(path, PATH_MAX, "%s", tool) < PATH_MAX;
	if (!search)
		search = "/usr/local/bin:/usr/bin:/bin";
	for (; *search; search += *search == ':') {
		size_t length = strcspn(search, ":");

		if (snprintf(path, PATH_MAX, "%.*s/%s", (int)length, search, tool) < PATH_MAX &&
		    !access(path, X_OK))
			return true;
		search += length;
	}
	return false;
}

/* A dynamic program names its loader in a program header. */
static bool is_static(const char *path)
{
	union {
		unsigned char ident[EI_NIDENT];
		Elf32_Ehdr narrow;
		Elf64_Ehdr wide;
		char bytes[4096]; /* the program headers stand at its start */
	} file;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t size;
	size_t offset, entry, count;

	if (fd < 0)
		return false;
	size = read(fd, &file, sizeof(file));
	close(fd);
	if (size < (ssize_t)sizeof(file.wide) || memcmp(file.ident, ELFMAG, SELFMAG))
		return false;
	if (file.ident[EI_CLASS] == ELFCLASS64) {
		offset = file.wide.e_phoff;
		entry = file.wide.e_phentsize;
		count = file.wide.e_phnum;
	} else {
		offset = file.narrow.e_phoff;
		entry = file.narrow.e_phentsize;
		count = file.narrow.e_phnum;
	}
	for (size_t i = 0; i < count; i++, offset += entry) {
		Elf64_Word type; /* the first field in both classes */

		if (!entry || offset > (size_t)size - sizeof(type))
			return false;
		memcpy(&type, file.bytes + offset, sizeof(type));
		if (type == PT_INTERP)
			return false;
	}
	return true;
}

/* The loader ignores LD_PRELOAD in a program that gets more rights than its caller has. */
static const char *raised_rights(const char *path)
{
	struct stat status;

	if (stat(path, &status))
		return NULL;
	if (status.st_mode & S_ISUID && status.st_uid != geteuid())
		return "is setuid";
	if (status.st_mode & S_ISGID && status.st_gid != getegid())
		return "is setgid";
	if (geteuid() && getxattr(path, "security.capability", NULL, 0) > 0)
		return "has file capabilities";
	return NULL;
}

void run_say_no_contact(const char *tool)
{
	char path[PATH_MAX];
	const char *rights;

	if (!find_program(tool, path))
		path[0] = 0;
	rights = raised_rights(path);
	if (is_static(path))
		command_fail("%s is linked statically, so LD_PRELOAD can't reach it: nothing was "
			     "metered; try run --attach",
			     path);
	else if (rights)
		command_fail("%s %s, so LD_PRELOAD can't reach it: nothing was metered; try as "
			     "root",
			     path, rights);
	else
		command_fail("no packet socket of %s was seen: nothing to report", tool);
}
