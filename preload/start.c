// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * Without `socktally run` the first process of the tool starts a broker: before main(), so before the
 * tool drops privileges. When that process exits, it waits for the report.
 *
 * The tool must not notice. So the broker is no child of it (no SIGCHLD, nothing for wait() to find), has
 * its own session, and holds none of the tool's descriptors but stderr.
 */
#include "proto/channel_open.h"
#include "proto/install_path.h"
#include "preload/preload.h"
#include "preload/syscall.h"
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8u
#endif

#define LIFELINE_SIZE 4096

static char variable[sizeof(CHANNEL_VARIABLE) + CHANNEL_TEXT_MAX] = CHANNEL_VARIABLE "=";
static char command[4096];
static void *lifeline = MAP_FAILED;

static bool is_program(const char *path)
{
	struct stat status;

	return !stat(path, &status) && S_ISREG(status.st_mode) && !access(path, X_OK);
}

/* The socktally command: from the environment, beside the shim, or where it was installed. */
static bool find_command(void)
{
	const char *told = secure_getenv("SOCKTALLY_COMMAND");
	Dl_info shim;

	if (told) {
		if (strlen(told) >= sizeof(command))
			return false;
		strcpy(command, told);
		return is_program(command);
	}
	if (dladdr(variable, &shim) && shim.dli_fname && strchr(shim.dli_fname, '/')) {
		if (install_path(command, sizeof(command), shim.dli_fname, "/", "/", "socktally") &&
		    is_program(command))
			return true;
		if (install_path(command, sizeof(command), shim.dli_fname, SOCKTALLY_LIBDIR,
				 SOCKTALLY_BINDIR, "socktally") &&
		    is_program(command))
			return true;
	}
	strcpy(command, SOCKTALLY_BINDIR "/socktally");
	return is_program(command);
}

/*
 * The lock lasts as long as this program or a forked child has the file mapped. The file stays empty: to
 * make it longer is a signal (SIGXFSZ) where the size of files is limited.
 */
static int make_lifeline(void)
{
	int fd = (int)syscall(SYS_memfd_create, "socktally", MFD_CLOEXEC | MFD_NOEXEC_SEAL);

	if (fd < 0)
		fd = (int)syscall(SYS_memfd_create, "socktally", MFD_CLOEXEC);
	if (fd < 0)
		return -1;
	if (!flock(fd, LOCK_EX | LOCK_NB))
		lifeline = mmap(NULL, LIFELINE_SIZE, PROT_NONE, MAP_SHARED, fd, 0);
	if (lifeline == MAP_FAILED) {
		raw_close(fd);
		return -1;
	}
	return fd;
}

/* In the broker's process: what it must not inherit from the tool. */
static void leave_tool(void)
{
	struct sigaction by_default = {.sa_handler = SIG_DFL};
	unsigned char none[PRELOAD_SIGSET_SIZE] = {0};

	for (int number = 1; number < _NSIG; number++)
		sigaction(number, &by_default, NULL);
	raw_restore_signals(none);
	for (char **entry = environ; *entry; entry++) {
		while (*entry && !strncmp(*entry, "LD_PRELOAD=", 11))
			for (char **next = entry; (*next = next[1]); next++)
				;
		if (!*entry)
			break;
	}
}

static void close_from(unsigned int first)
{
	struct rlimit limit;

	if (!syscall(PRELOAD_CLOSE_RANGE, first, ~0u, 0))
		return;
	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur > 65536)
		limit.rlim_cur = 65536;
	for (unsigned int fd = first; fd < limit.rlim_cur; fd++)
		raw_close((int)fd);
}

/* Gives the descriptors the numbers that the broker expects; first moves all of them out of the way. */
static void place_descriptors(const int *descriptors, int count)
{
	int moved[8], null;
	struct rlimit limit;

	if (!getrlimit(RLIMIT_NOFILE, &limit)) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
	null = (int)syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDWR | O_CLOEXEC);
	for (int i = 0; i < count; i++)
		moved[i] = descriptors[i] < 0 ? -1 : fcntl(descriptors[i], F_DUPFD_CLOEXEC, 16);
	if (null > STDERR_FILENO || null < 0) {
		dup2(null, STDIN_FILENO);
		dup2(null, STDOUT_FILENO);
		if (fcntl(STDERR_FILENO, F_GETFD) < 0)
			dup2(null, STDERR_FILENO);
	}
	for (int i = 0; i < count; i++) {
		raw_close(CHANNEL_SERVER + i);
		if (moved[i] >= 0)
			dup2(moved[i], CHANNEL_SERVER + i);
	}
	close_from((unsigned int)(CHANNEL_SERVER + count));
}

/* clone() with no exit signal is fork() that neither SIGCHLD nor wait() tell of. */
static long quiet_fork(void)
{
	return syscall(SYS_clone, 0, 0, 0, 0, 0);
}

static void spawn(const int *descriptors, int count)
{
	char *arguments[] = {"socktally", "broker", NULL};

	setsid();
	if (quiet_fork())
		_exit(0);
	place_descriptors(descriptors, count);
	leave_tool();
	execve(command, arguments, environ);
	_exit(127);
}

static int start(const int *descriptors, int count)
{
	unsigned long mask[sizeof(((struct rpc *)0)->mask) / sizeof(unsigned long)];
	int status, error = 0;
	long child;

	raw_block_signals(mask);
	child = quiet_fork();
	if (!child)
		spawn(descriptors, count);
	if (child < 0)
		error = errno;
	else
		while (syscall(SYS_wait4, child, &status, __WALL, NULL) < 0 && errno == EINTR)
			;
	raw_restore_signals(mask);
	return error;
}

/*
 * The new variable becomes the first. A tool that shows its state in ps(1) overwrites the memory from its
 * first argument to the end of its last variable: the last one must be one that the kernel put there.
 */
static void put_first(char *entry)
{
	size_t at = 0;

	while (environ[at] && environ[at] != entry)
		at++;
	if (!environ[at])
		return;
	memmove(environ + 1, environ, at * sizeof(*environ));
	environ[0] = entry;
}

static void start_broker(void)
{
	struct channel_address address;
	struct channel_ends ends = {-1, -1, -1};
	struct rlimit limit;
	int highest = CHANNEL_HIGHEST_FD, error;
	int pidfd, lifeline_fd;

	if (!find_command()) {
		preload_channel_none(command, ENOENT);
		return;
	}
	if (!getrlimit(RLIMIT_NOFILE, &limit) && limit.rlim_cur <= (rlim_t)highest)
		highest = (int)limit.rlim_cur - 1;
	error = channel_open(&ends, &address, highest);
	if (error) {
		preload_channel_none("can't start a broker", -error);
		return;
	}
	channel_format(variable + sizeof(CHANNEL_VARIABLE), &address);
	pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
	lifeline_fd = make_lifeline();
	if (!putenv(variable)) {
		put_first(variable);
		error = start((int[]){ends.server, ends.listener, pidfd, lifeline_fd}, 4);
	}
	raw_close(ends.server);
	raw_close(ends.listener);
	raw_close(pidfd);
	raw_close(lifeline_fd);
	if (error) {
		raw_close(ends.client);
		preload_channel_none("can't start a broker", error);
		return;
	}
	if (ends.client >= 0)
		fcntl(ends.client, F_SETFD, 0); /* for the tool's children, too */
	preload_channel_set(&address, variable + sizeof(CHANNEL_VARIABLE));
}

__attribute__((constructor)) static void preload_start(void)
{
	int saved = errno;

	next_symbols_find();
	if (!preload_may_start()) {
		errno = saved;
		return;
	}
	warn_init();
	pthread_atfork(NULL, NULL, preload_forked);
	if (getauxval(AT_SECURE))
		preload_channel_none("a setuid program or one with file capabilities", 0);
	else if (!preload_channel())
		start_broker();
	errno = saved;
}

/* Also in a program that the tool's first process has executed since: it has the same process number. */
__attribute__((destructor)) static void preload_end(void)
{
	const struct channel_address *address = preload_channel();
	int saved = errno;

	if (!preload_enter())
		return; /* the broker sees for itself that the process ends */
	if (address && address->pid == (uint32_t)getpid()) {
		if (lifeline != MAP_FAILED)
			munmap(lifeline, LIFELINE_SIZE);
		rpc_finish(address);
	}
	preload_leave();
	errno = saved;
}
