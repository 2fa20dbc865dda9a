/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* The shim's own system calls, on top of proto/raw_syscall.h. */
#ifndef SOCKTALLY_PRELOAD_SYSCALL_H
#define SOCKTALLY_PRELOAD_SYSCALL_H

#include "proto/raw_syscall.h"
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

#ifdef SYS_close_range
#define PRELOAD_CLOSE_RANGE SYS_close_range
#else
#define PRELOAD_CLOSE_RANGE 436 /* on all machines but Alpha */
#endif

static inline void raw_close(int fd)
{
	raw_syscall(SYS_close, fd);
}

static inline long raw_sendmsg(int fd, const struct msghdr *message)
{
	return raw_syscall(SYS_sendmsg, fd, message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static inline long raw_recvmsg(int fd, struct msghdr *message)
{
	return raw_syscall(SYS_recvmsg, fd, message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
}

static inline int raw_getsockopt(int fd, int name, void *value, socklen_t *size)
{
	return (int)raw_syscall(SYS_getsockopt, fd, SOL_SOCKET, name, value, size);
}

/* The kernel's set of signals, which is smaller than the C library's: bit n - 1 for signal n. */
struct raw_signals {
	unsigned long bits[(_NSIG - 1) / (8 * sizeof(unsigned long))];
};

static inline bool raw_signals_have(const struct raw_signals *signals, int number)
{
	enum { BITS = 8 * sizeof(*signals->bits) };

	return signals->bits[(number - 1) / BITS] >> ((number - 1) % BITS) & 1;
}

static inline void raw_signals_add(struct raw_signals *signals, int number)
{
	enum { BITS = 8 * sizeof(*signals->bits) };

	signals->bits[(number - 1) / BITS] |= 1ul << ((number - 1) % BITS);
}

static inline void raw_block_signals(struct raw_signals *old)
{
	struct raw_signals all;

	memset(&all, 0xff, sizeof(all));
	raw_syscall(SYS_rt_sigprocmask, SIG_BLOCK, &all, old, sizeof(all));
}

static inline void raw_restore_signals(const struct raw_signals *old)
{
	raw_syscall(SYS_rt_sigprocmask, SIG_SETMASK, old, NULL, sizeof(*old));
}

static inline void *raw_map(int fd, size_t size, int protection, int flags)
{
#ifdef __s390x__
	unsigned long arguments[] =
		{0, size, (unsigned long)protection, (unsigned long)flags, (unsigned long)fd, 0};

	return (void *)raw_syscall(SYS_mmap, arguments);
#else
	return (void *)raw_syscall(SYS_mmap, NULL, size, protection, flags, fd, 0);
#endif
}

/* false: not known. */
static inline bool raw_limit(int resource, struct rlimit *limit)
{
	return !raw_syscall(SYS_prlimit64, 0, resource, NULL, limit);
}

/* fork(), but without its handlers, and such that neither SIGCHLD nor wait() tell of the child's end. */
static inline long raw_fork(void)
{
	return raw_syscall(SYS_clone, 0, 0, 0, 0, 0);
}

static inline void raw_exit(int status)
{
	for (;;)
		raw_syscall(SYS_exit_group, status);
}

static inline int64_t raw_milliseconds(void)
{
	struct timespec now = {0};

	raw_syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* What has come of `events` by the deadline; 0 if nothing has. */
static inline int raw_wait(int fd, short events, int64_t deadline)
{
	for (;;) {
		struct pollfd wanted = {.fd = fd, .events = events};
		int64_t left = deadline - raw_milliseconds();
		struct timespec timeout;
		long ready;

		if (left < 0)
			left = 0;
		timeout =
			(struct timespec){.tv_sec = left / 1000, .tv_nsec = left % 1000 * 1000000};
		ready = raw_syscall(SYS_ppoll, &wanted, 1, &timeout, NULL,
				    sizeof(struct raw_signals));
		if (ready > 0)
			return wanted.revents;
		if (!ready || errno != EINTR)
			return 0;
	}
}

#endif
