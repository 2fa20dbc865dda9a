// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * Without `socktally run` the first process of the tool starts a broker: before main(), so before the
 * tool drops privileges. When that process exits, it waits for the report.
 *
 * The tool must not notice. So the broker is no child of it (no SIGCHLD, nothing for wait() to find), has
 * its own session, and holds none of the tool's descriptors but stderr.
 */
#include "proto/asan_options.h"
#include "proto/channel_open.h"
#include "proto/install_path.h"
#include "preload/preload.h"
#include "preload/syscall.h"
#include <link.h>
#include <sys/file.h>
#include <sys/wait.h>

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8u
#endif

#define LIFELINE_SIZE 4096

static char variable[sizeof(CHANNEL_VARIABLE) + CHANNEL_TEXT_MAX] = CHANNEL_VARIABLE "=";
static char asan_variable[4096] = ASAN_OPTIONS_VARIABLE "=";
static char command[4096];
static void *lifeline = MAP_FAILED;

static bool is_program(const char *path)
{
	struct stat status;
	int fd = (int)raw_syscall(SYS_openat, AT_FDCWD, path, O_PATH | O_CLOEXEC);
	bool is = fd >= 0 && !raw_fstat(fd, &status) && S_ISREG(status.st_mode) &&
		  !raw_syscall(SYS_faccessat, AT_FDCWD, path, X_OK);

	if (fd >= 0)
		raw_close(fd);
	return is;
}

static int is_shim(struct dl_phdr_info *object, size_t size, void *path)
{
	(void)size;
	for (int i = 0; i < object->dlpi_phnum; i++) {
		const ElfW(Phdr) *part = &object->dlpi_phdr[i];

		if (part->p_type == PT_LOAD &&
		    (uintptr_t)variable - object->dlpi_addr - part->p_vaddr < part->p_memsz) {
			*(const char **)path = object->dlpi_name;
			return 1;
		}
	}
	return 0;
}

/* The socktally command: from the environment, beside the shim, or where it was installed. */
static bool find_command(void)
{
	const char *told = environment_get("SOCKTALLY_COMMAND"), *shim = NULL;

	if (told) {
		if (strlen(told) >= sizeof(command))
			return false;
		strcpy(command, told);
		return is_program(command);
	}
	if (dl_iterate_phdr(is_shim, &shim) && shim) {
		if (install_path(command, sizeof(command), shim, "/", "/", "socktally") &&
		    is_program(command))
			return true;
		if (install_path(command, sizeof(command), shim, SOCKTALLY_LIBDIR, SOCKTALLY_BINDIR,
				 "socktally") &&
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
static int make_lifeline(const struct channel_address *address)
{
	char name[CHANNEL_NAME_LENGTH + 1] = "";
	int fd;

	channel_name(name, address); /* by which the broker's watcher knows its tool */
	fd = (int)raw_syscall(SYS_memfd_create, name, MFD_CLOEXEC | MFD_NOEXEC_SEAL);
	if (fd < 0)
		fd = (int)raw_syscall(SYS_memfd_create, name, MFD_CLOEXEC);
	if (fd < 0)
		return -1;
	if (!raw_syscall(SYS_flock, fd, LOCK_EX | LOCK_NB))
		lifeline = raw_map(fd, LIFELINE_SIZE, PROT_NONE, MAP_SHARED);
	if (lifeline == MAP_FAILED) {
		raw_close(fd);
		return -1;
	}
	return fd;
}

/* In the broker's process: what it must not inherit from the tool. */
static void leave_tool(void)
{
	static const char by_default[64]; /* the kernel's struct sigaction: SIG_DFL, no flags */
	struct raw_signals none = {{0}};

	for (int number = 1; number < _NSIG; number++)
		raw_syscall(SYS_rt_sigaction, number, by_default, NULL, sizeof(none));
	raw_restore_signals(&none);
	environment_remove("LD_PRELOAD");
}

static void close_from(unsigned int first)
{
	struct rlimit limit;

	if (!raw_syscall(PRELOAD_CLOSE_RANGE, first, ~0u, 0))
		return;
	if (!raw_limit(RLIMIT_NOFILE, &limit) || limit.rlim_cur > 65536)
		limit.rlim_cur = 65536;
	for (unsigned int fd = first; fd < limit.rlim_cur; fd++)
		raw_close((int)fd);
}

/* Gives the descriptors the numbers that the broker expects; first moves all of them out of the way. */
static void place_descriptors(const int *descriptors, int count)
{
	int moved[8], null;
	struct rlimit limit;

	if (raw_limit(RLIMIT_NOFILE, &limit)) {
		limit.rlim_cur = limit.rlim_max;
		raw_syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, &limit, NULL);
	}
	null = (int)raw_syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDWR | O_CLOEXEC);
	for (int i = 0; i < count; i++)
		moved[i] = descriptors[i] < 0 ? -1
					      : (int)raw_syscall(SYS_fcntl, descriptors[i],
								 F_DUPFD_CLOEXEC, 16);
	if (null > STDERR_FILENO || null < 0) {
		raw_syscall(SYS_dup3, null, STDIN_FILENO, 0);
		raw_syscall(SYS_dup3, null, STDOUT_FILENO, 0);
		if (raw_syscall(SYS_fcntl, STDERR_FILENO, F_GETFD) < 0)
			raw_syscall(SYS_dup3, null, STDERR_FILENO, 0);
	}
	for (int i = 0; i < count; i++) {
		raw_close(CHANNEL_SERVER + i);
		if (moved[i] >= 0)
			raw_syscall(SYS_dup3, moved[i], CHANNEL_SERVER + i, 0);
	}
	close_from((unsigned int)(CHANNEL_SERVER + count));
}

static void spawn(const int *descriptors, int count)
{
	char *arguments[] = {"socktally", "broker", NULL};

	raw_syscall(SYS_setsid);
	if (raw_fork())
		raw_exit(0);
	place_descriptors(descriptors, count);
	leave_tool();
	raw_syscall(SYS_execve, command, arguments, environ);
	raw_exit(127);
}

static int start(const int *descriptors, int count)
{
	struct raw_signals signals;
	int status, error = 0;
	long child;

	raw_block_signals(&signals);
	child = raw_fork();
	if (!child)
		spawn(descriptors, count);
	if (child < 0)
		error = errno;
	else
		while (raw_syscall(SYS_wait4, child, &status, __WALL, NULL) < 0 && errno == EINTR)
			;
	raw_restore_signals(&signals);
	return error;
}

/* For the programs that this one executes, the broker among them. */
static bool set_environment(void)
{
	char *asan = asan_variable + sizeof(ASAN_OPTIONS_VARIABLE);

	if (asan_options(asan, sizeof(asan_variable) - sizeof(ASAN_OPTIONS_VARIABLE),
			 environment_get(ASAN_OPTIONS_VARIABLE))) {
		environment_remove(ASAN_OPTIONS_VARIABLE);
		environment_put(asan_variable);
	}
	environment_remove(CHANNEL_VARIABLE);
	return environment_put(variable);
}

/*
 * Milliseconds for the broker to load its programs, which is done here once, so that no call of the tool's has
 * to wait for it; and until the user is told.
 */
enum { START_TIMEOUT = 60000, START_PATIENCE = 2000 };

/* One that has ended, or is not ready in time, is said where the tool needs it. */
static void wait_for_broker(int channel)
{
	int64_t now = raw_milliseconds();

	if (raw_wait(channel, POLLIN, now + START_PATIENCE))
		return;
	warn_waits();
	raw_wait(channel, POLLIN, now + START_TIMEOUT);
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
	if (raw_limit(RLIMIT_NOFILE, &limit) && limit.rlim_cur <= (rlim_t)highest)
		highest = (int)limit.rlim_cur - 1;
	error = channel_open(&ends, &address);
	if (error) {
		preload_channel_none("can't start a broker", -error);
		return;
	}
	channel_format(variable + sizeof(CHANNEL_VARIABLE), &address);
	pidfd = (int)raw_syscall(SYS_pidfd_open, raw_syscall(SYS_getpid), 0);
	lifeline_fd = make_lifeline(&address);
	error = ENOMEM;
	if (set_environment())
		error = start((int[]){ends.server, ends.listener, pidfd, lifeline_fd}, 4);
	raw_close(ends.server);
	raw_close(ends.listener);
	raw_close(pidfd);
	raw_close(lifeline_fd);
	if (error) {
		raw_close(ends.client);
		environment_remove(CHANNEL_VARIABLE);
		preload_channel_none("can't start a broker", error);
		return;
	}
	wait_for_broker(ends.client);
	channel_place(&ends, &address, highest);
	channel_format(variable + sizeof(CHANNEL_VARIABLE), &address);
	if (ends.client >= 0)
		raw_syscall(SYS_fcntl, ends.client, F_SETFD, 0); /* for the tool's children, too */
	preload_channel_set(&address, variable + sizeof(CHANNEL_VARIABLE));
}

/* glibc has the first only, musl the second: a name that must be there would keep a program from starting. */
extern int __register_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void),
			     void *library) __attribute__((weak));
extern int preload_pthread_atfork(void (*prepare)(void), void (*parent)(void),
				  void (*child)(void)) __asm__("pthread_atfork")
	__attribute__((weak));
extern void *__dso_handle __attribute__((visibility("hidden")));

static void watch_forks(void)
{
	if (__register_atfork)
		__register_atfork(NULL, NULL, preload_forked, &__dso_handle);
	else if (preload_pthread_atfork)
		preload_pthread_atfork(NULL, NULL, preload_forked);
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
	watch_forks();
	if (environment_is_secure())
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
	if (address && address->pid == (uint32_t)raw_syscall(SYS_getpid)) {
		if (lifeline != MAP_FAILED)
			raw_syscall(SYS_munmap, lifeline, LIFELINE_SIZE);
		rpc_finish(address);
	}
	preload_leave();
	errno = saved;
}
