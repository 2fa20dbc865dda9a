// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* Hooks from source: clang, if there is one, compiles them to a temporary object file. */
#include "tools/common/command.h"
#include "tools/options/hooks.h"
#include "tools/common/file_text.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#define OBJECT_MAX (16 << 20)

extern char **environ;

int hook_read(const char *file, void **object, size_t *size)
{
	struct stat status;
	ssize_t length;

	if (stat(file, &status))
		return command_fail("%s: can't be read: %s", file, strerror(errno));
	if (!S_ISREG(status.st_mode) || status.st_size > OBJECT_MAX)
		return command_fail("%s: not an object file", file);
	*object = malloc((size_t)status.st_size + 1);
	length = *object ? file_text_read(file, *object, (size_t)status.st_size + 1) : -ENOMEM;
	if (length < 0) {
		free(*object);
		return command_fail("%s: can't be read: %s", file, strerror((int)-length));
	}
	*size = (size_t)length;
	return 0;
}

/* The folder of our headers: ../include of the program, or the one of the installation. */
static void find_headers(char folder[PATH_MAX])
{
	char *slash;
	ssize_t length = readlink("/proc/self/exe", folder, PATH_MAX - sizeof("/../include"));

	if (length > 0) {
		folder[length] = '\0';
		slash = strrchr(folder, '/');
		strcpy(slash ? slash : folder, "/../include");
		slash = folder + strlen(folder);
		if (strlen(folder) + sizeof("/socktally/hook.bpf.h") <= PATH_MAX) {
			strcat(folder, "/socktally/hook.bpf.h");
			if (!access(folder, R_OK)) {
				*slash = '\0';
				return;
			}
		}
	}
	strcpy(folder, SOCKTALLY_INCLUDEDIR);
}

static bool has_headers(void)
{
	char path[PATH_MAX + sizeof("/socktally/hook.bpf.h")];

	find_headers(path);
	strcat(path, "/socktally/hook.bpf.h");
	return !access(path, R_OK);
}

/* Exit status of the compiler; -1: there is none. Its messages go to stderr unchanged. */
static int run_compiler(const char *source, const char *object)
{
	const char *given = getenv("CLANG"), *clang = given && *given ? given : "clang";
	char headers[PATH_MAX], machine[256] = "/usr/include";
	const char *const arguments[] = {clang,   "-O2",  "-g",    "-target",    "bpf",
					 "-Wall", "-I",   headers, "-idirafter", machine,
					 "-c",    source, "-o",    object,       NULL};
	posix_spawnattr_t attributes;
	struct utsname system;
	sigset_t none;
	pid_t child;
	int result, status;

	find_headers(headers);
	/* where Debian has <asm/types.h>, for hooks that include the kernel's own headers */
	if (!uname(&system))
		snprintf(machine, sizeof(machine), "/usr/include/%.64s-linux-gnu", system.machine);
	sigemptyset(&none);
	if (posix_spawnattr_init(&attributes))
		return -1;
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
	posix_spawnattr_setsigmask(&attributes, &none);
	result = posix_spawnp(&child, clang, NULL, &attributes, (char *const *)arguments, environ);
	posix_spawnattr_destroy(&attributes);
	if (result)
		return -1;
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return 1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

int hook_compile(const char *source, void **object, size_t *size)
{
	const char *folder = getenv("TMPDIR");
	char name[PATH_MAX];
	int fd, status;

	if (access(source, R_OK))
		return command_fail("%s: can't be read: %s", source, strerror(errno));
	snprintf(name, sizeof(name), "%s/socktally-hook-XXXXXX",
		 folder && *folder ? folder : "/tmp");
	fd = mkostemp(name, O_CLOEXEC);
	if (fd < 0)
		return command_fail("%s: no temporary file for its object: %s", source,
				    strerror(errno));
	close(fd);
	status = run_compiler(source, name);
	if (status < 0)
		command_fail(
			"%s: can't be compiled here, as there is no clang: where there is one, "
			"clang -O2 -g -target bpf -I%s -c makes the object file to give instead",
			source, SOCKTALLY_INCLUDEDIR);
	else if (status > 0 && !has_headers())
		command_fail(
			"%s: clang did not compile it; <socktally/hook.bpf.h> is not installed "
			"here: the package libsocktally-dev has it",
			source);
	else if (status > 0)
		command_fail("%s: clang did not compile it", source);
	else
		status = hook_read(name, object, size) ? -1 : 0;
	unlink(name);
	return status ? EXIT_FAILED : 0;
}
