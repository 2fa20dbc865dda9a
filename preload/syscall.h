/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The shim's own system calls, not by the C library's functions: others may interpose those too, and
 * those that wait are cancellation points, which setsockopt() and bind() are not.
 */
#ifndef SOCKTALLY_PRELOAD_SYSCALL_H
#define SOCKTALLY_PRELOAD_SYSCALL_H

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Bytes of the kernel's signal set, which is smaller than the C library's. */
#define PRELOAD_SIGSET_SIZE ((_NSIG - 1) / 8)

#ifdef SYS_close_range
#define PRELOAD_CLOSE_RANGE SYS_close_range
#else
#define PRELOAD_CLOSE_RANGE 436 /* on all machines but Alpha */
#endif

static inline void raw_close(int fd)
{
	syscall(SYS_close, fd);
}

static inline long raw_sendmsg(int fd, const struct msghdr *message)
{
	return syscall(SYS_sendmsg, fd, message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static inline long raw_recvmsg(int fd, struct msghdr *message)
{
	return syscall(SYS_recvmsg, fd, message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
}

static inline void raw_block_signals(void *old)
{
	unsigned char all[PRELOAD_SIGSET_SIZE];

	memset(all, 0xff, sizeof(all));
	syscall(SYS_rt_sigprocmask, SIG_BLOCK, all, old, PRELOAD_SIGSET_SIZE);
}

static inline void raw_restore_signals(const void *old)
{
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, old, NULL, PRELOAD_SIGSET_SIZE);
}

static inline int64_t raw_milliseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
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
		ready = syscall(SYS_ppoll, &wanted, 1, &timeout, NULL, PRELOAD_SIGSET_SIZE);
		if (ready > 0)
			return wanted.revents;
		if (!ready || errno != EINTR)
			return 0;
	}
}

#endif
