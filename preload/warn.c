// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* One line on the tool's standard error: why it goes on unmetered. */
#include "proto/proc_status.h"
#include "preload/preload.h"
#include "preload/syscall.h"
#include <stdatomic.h>

static atomic_bool said_here;
static atomic_bool *said = &said_here; /* shared with the processes that this one forks */
static atomic_bool stderr_known;
static dev_t stderr_device;
static ino_t stderr_inode;

/* Remembers which file standard error is: should the tool put another one there, nothing is written. */
void warn_init(void)
{
	struct stat status;
	void *shared =
		raw_map(-1, sizeof(*said), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS);

	if (shared != MAP_FAILED && !said_here)
		said = (atomic_bool *)shared;
	if (raw_fstat(STDERR_FILENO, &status))
		return;
	stderr_device = status.st_dev;
	stderr_inode = status.st_ino;
	atomic_store(&stderr_known, true);
}

static bool stderr_is_the_same(void)
{
	struct stat status;

	return atomic_load(&stderr_known) && !raw_fstat(STDERR_FILENO, &status) &&
	       status.st_dev == stderr_device && status.st_ino == stderr_inode;
}

/* The errors that the shim's own calls can have; strerror() takes locks and memory. */
static const char *error_text(int error)
{
	static const struct {
		int error;
		const char *text;
	} known[] = {
		{EMFILE, "too many open files"},
		{ENFILE, "too many open files in the system"},
		{ENOENT, "no such file"},
		{ENOMEM, "out of memory"},
		{ENOBUFS, "no buffer space"},
		{EPERM, "not permitted"},
		{EACCES, "permission denied"},
		{EPIPE, "it has ended"},
		{ECONNREFUSED, "it has ended or is out of reach"},
		{ETIMEDOUT, "no answer"},
		{EMSGSIZE, "message too long"},
		{ETOOMANYREFS, "too many descriptors on their way"},
		{EAGAIN, "it is busy"},
		{EPROTO, "it is of another version"},
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (known[i].error == error)
			return known[i].text;
	return NULL;
}

/* What isn't printable ASCII may be a control sequence: names and paths are from outside. */
static char *append(char *to, const char *end, const char *text)
{
	for (; *text && to < end; text++)
		*to++ = *text >= ' ' && *text <= '~' ? *text : '?';
	return to;
}

/* The signal that a failed write has sent to this thread. */
static int signal_of(int error)
{
	return error == EPIPE ? SIGPIPE : error == EFBIG ? SIGXFSZ : 0;
}

/* Signals are blocked, so that none of this write's, SIGTTOU among them, reaches the tool. */
static void write_line(const char *line, size_t length)
{
	static const struct timespec no_time;
	struct raw_signals blocked, pending = {{0}}, ours = {{0}};
	int number;

	raw_block_signals(&blocked);
	raw_syscall(SYS_rt_sigpending, &pending, sizeof(pending));
	if (raw_wait(STDERR_FILENO, POLLOUT, 0) & POLLOUT &&
	    raw_syscall(SYS_write, STDERR_FILENO, line, length) < 0) {
		number = signal_of(errno);
		if (number && !raw_signals_have(&pending, number)) {
			raw_signals_add(&ours, number);
			raw_syscall(SYS_rt_sigtimedwait, &ours, NULL, &no_time, sizeof(ours));
		}
	}
	raw_restore_signals(&blocked);
}

/* Whether this process may say something: nothing was said yet, and nothing is from now on. */
static bool may_warn(void)
{
	return !atomic_exchange(said, true) && preload_first_warning();
}

void warn(const char *what, int error)
{
	char line[512], number[24], *to = line;
	const char *end = line + sizeof(line) - 1, *reason = error ? error_text(error) : "";
	int saved = errno;

	if (may_warn() && stderr_is_the_same()) {
		to = append(to, end, "socktally: ");
		to = append(to, end, what);
		if (error)
			to = append(to, end, ": ");
		if (!reason) {
			*decimal_put(number, (uint64_t)error) = 0;
			to = append(to, end, "error ");
			reason = number;
		}
		to = append(to, end, reason);
		to = append(to, end, ": ");
		to = append(to, end, program_invocation_short_name);
		to = append(to, end, " goes on unmetered");
		*to++ = '\n';
		write_line(line, (size_t)(to - line));
	}
	errno = saved;
}

/* No reason why something is not metered: that may still be said. */
void warn_waits(void)
{
	char line[512], *to = line;
	const char *end = line + sizeof(line) - 1;

	if (!stderr_is_the_same())
		return;
	to = append(to, end, "socktally: the kernel is still loading its programs: ");
	to = append(to, end, program_invocation_short_name);
	to = append(to, end, " starts when they are ready");
	*to++ = '\n';
	write_line(line, (size_t)(to - line));
}

void warn_filter_comes(void)
{
	char line[512], *to = line;
	const char *end = line + sizeof(line) - 1;
	int saved = errno;

	if (may_warn() && stderr_is_the_same()) {
		to = append(to, end, "socktally: ");
		to = append(to, end, program_invocation_short_name);
		to = append(to, end,
			    " sets a seccomp filter: packet sockets that it opens and filters ");
		to = append(to, end, "that it sets from now on are not metered");
		*to++ = '\n';
		write_line(line, (size_t)(to - line));
	}
	errno = saved;
}

/* Whether a write to a regular file may be a signal, SIGXFSZ; found out by reading a file. */
static bool files_are_limited(void)
{
	static char text[PROC_STATUS_SIZE];

	return !proc_read("/proc/self/limits", text, sizeof(text)) ||
	       !strstr(text, "\nMax file size             unlimited");
}

/*
 * A pipe or a terminal is opened anew, so that the write doesn't wait. A regular file, which has to be
 * written to through the descriptor that is there, doesn't make it wait either.
 */
void warn_filtered(void)
{
	char line[512], *to = line;
	const char *end = line + sizeof(line) - 1;
	struct stat status;
	int fd = STDERR_FILENO, saved = errno;

	if (!may_warn() || raw_fstat(STDERR_FILENO, &status))
		goto out;
	if (S_ISFIFO(status.st_mode) || S_ISCHR(status.st_mode))
		fd = (int)raw_syscall(SYS_openat, AT_FDCWD, "/proc/self/fd/2",
				      O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	else if (!S_ISREG(status.st_mode) || files_are_limited())
		goto out;
	to = append(to, end, "socktally: a seccomp filter may forbid what metering takes: ");
	to = append(to, end, program_invocation_short_name);
	to = append(to, end, " goes on unmetered");
	*to++ = '\n';
	if (fd >= 0)
		raw_syscall(SYS_write, fd, line, (size_t)(to - line));
	if (fd > STDERR_FILENO)
		raw_close(fd);
out:
	errno = saved;
}
