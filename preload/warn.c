// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* The one line that the shim may write: why the tool goes on unmetered. */
#include "preload/preload.h"
#include "preload/syscall.h"
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>

static atomic_bool said_here;
static atomic_bool *said = &said_here; /* shared with the processes that this one forks */
static atomic_bool stderr_known;
static atomic_bool files_limited;
static dev_t stderr_device;
static ino_t stderr_inode;

/* Remembers what standard error is, so that nothing is ever written into another file. */
void preload_say_init(void)
{
	struct stat status;
	void *shared = mmap(NULL, sizeof(*said), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			    -1, 0);

	if (shared != MAP_FAILED && !said_here)
		said = (atomic_bool *)shared;
	if (fstat(STDERR_FILENO, &status))
		return;
	stderr_device = status.st_dev;
	stderr_inode = status.st_ino;
	atomic_store(&stderr_known, true);
}

void preload_say_files_limited(void)
{
	atomic_store(&files_limited, true);
}

static bool stderr_is_the_same(void)
{
	struct stat status;

	return atomic_load(&stderr_known) && !fstat(STDERR_FILENO, &status) &&
	       status.st_dev == stderr_device && status.st_ino == stderr_inode;
}

/* strerror() takes locks and memory; these are the errors that the shim's own calls can have. */
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

static char *append(char *to, const char *end, const char *text)
{
	while (*text && to < end)
		*to++ = *text++;
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
	static const int64_t no_time[2] = {0}; /* a timespec of either size */
	unsigned long mask[sizeof(((struct exchange *)0)->mask) / sizeof(unsigned long)];
	sigset_t pending, ours;
	int number;

	raw_block_signals(mask);
	sigpending(&pending);
	if (raw_wait(STDERR_FILENO, POLLOUT, 0) & POLLOUT &&
	    syscall(SYS_write, STDERR_FILENO, line, length) < 0) {
		number = signal_of(errno);
		if (number && !sigismember(&pending, number)) {
			sigemptyset(&ours);
			sigaddset(&ours, number);
			syscall(PRELOAD_SIGTIMEDWAIT, &ours, NULL, no_time, PRELOAD_SIGSET_SIZE);
		}
	}
	raw_restore_signals(mask);
}

static char *append_name(char *to, const char *end)
{
	to = append(to, end, ": ");
	to = append(to, end, program_invocation_short_name);
	to = append(to, end, " goes on unmetered");
	*to++ = '\n';
	return to;
}

void preload_say(const char *what, int error)
{
	char line[512], *to = line;
	const char *end = line + sizeof(line) - 1, *reason = error ? error_text(error) : NULL;
	int saved = errno;

	if (atomic_exchange(said, true) || !preload_first_warning() || !stderr_is_the_same())
		goto out;
	to = append(to, end, "socktally: ");
	to = append(to, end, what);
	if (reason) {
		to = append(to, end, ": ");
		to = append(to, end, reason);
	} else if (error) {
		char number[24];

		*decimal_put(number, (uint64_t)error) = 0;
		to = append(to, end, ": error ");
		to = append(to, end, number);
	}
	to = append_name(to, end);
	write_line(line, (size_t)(to - line));
out:
	errno = saved;
}

/*
 * Of a pipe or a terminal another open file that doesn't wait; a regular file has to be written to through the
 * descriptor that is there, and doesn't wait either.
 */
void preload_say_sandboxed(void)
{
	char line[512], *to = line;
	const char *end = line + sizeof(line) - 1;
	struct stat status;
	int fd = STDERR_FILENO, saved = errno;

	if (atomic_exchange(said, true) || !preload_first_warning() ||
	    fstat(STDERR_FILENO, &status))
		goto out;
	if (S_ISFIFO(status.st_mode) || S_ISCHR(status.st_mode))
		fd = (int)syscall(SYS_openat, AT_FDCWD, "/proc/self/fd/2",
				  O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	else if (!S_ISREG(status.st_mode) || atomic_load(&files_limited))
		goto out;
	to = append(to, end, "socktally: a seccomp filter may forbid what metering takes");
	to = append_name(to, end);
	if (fd >= 0)
		syscall(SYS_write, fd, line, (size_t)(to - line));
	if (fd > STDERR_FILENO)
		raw_close(fd);
out:
	errno = saved;
}
