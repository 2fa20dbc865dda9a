// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * Seccomp filters. A filter of the tool's may kill it for a system call that the tool itself does not
 * make, and the shim's are such calls. So when the tool sets a filter, by prctl() or by syscall() (the
 * way of libseccomp), the shim says so, waits for the threads that are just asking the broker, and from
 * then on passes every call on. What is metered stays metered: that takes no call of the shim's.
 *
 * A filter that was there before this program was executed shows in /proc/self/status.
 */
#include "proto/proc_status.h"
#include "preload/preload.h"
#include "preload/syscall.h"
#include <linux/seccomp.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

/* Milliseconds that other threads have to finish what they ask the broker. */
enum { LEAVE_TIMEOUT = 10000 };

static atomic_int filters;    /* set or about to be: the shim makes no call */
static atomic_uint inside;    /* threads between preload_enter() and preload_leave() */
static bool started_filtered; /* this program was executed under a filter that forbids our calls */

bool preload_enter(void)
{
	if (atomic_load(&filters))
		return false;
	atomic_fetch_add(&inside, 1);
	if (!atomic_load(&filters))
		return true;
	atomic_fetch_sub(&inside, 1);
	return false;
}

void preload_leave(void)
{
	atomic_fetch_sub(&inside, 1);
}

void preload_forked(void)
{
	atomic_store(&inside, 0);
	if (!atomic_load(&filters))
		rpc_forked();
}

void preload_passed_on(void)
{
	if (started_filtered)
		warn_filtered();
}

static void wait_for_others(void)
{
	int64_t now = raw_milliseconds();
	const int64_t deadline = now + LEAVE_TIMEOUT;

	for (; atomic_load(&inside) && now < deadline; now = raw_milliseconds())
		raw_wait(-1, 0, now + 1);
}

/* A filter is about to be set. false: the shim makes no calls already. */
static bool filter_comes(void)
{
	int saved = errno;

	if (!preload_enter())
		return false;
	if (preload_has_channel() && rpc_first_seccomp())
		warn_filter_comes();
	preload_leave();
	atomic_fetch_add(&filters, 1);
	wait_for_others();
	errno = saved;
	return true;
}

static void filter_came(bool set)
{
	if (set)
		preload_channel_filtered();
	else
		atomic_fetch_sub(&filters, 1);
}

/*
 * The C library declares these two with any number of arguments. Here they have as many as there can be:
 * those that the caller didn't give are whatever is in their registers, and the kernel doesn't look at them.
 */
PRELOAD_EXPORT int preload_prctl(int option, unsigned long a, unsigned long b, unsigned long c,
				 unsigned long d) __asm__("prctl");
PRELOAD_EXPORT long preload_syscall(long number, long a, long b, long c, long d, long e,
				    long f) __asm__("syscall");

/* Without an address of a filter it is a question whether the kernel has filters: EFAULT if so. */
static bool prctl_sets_filter(int option, unsigned long mode, unsigned long program)
{
	return option == PR_SET_SECCOMP &&
	       (mode == SECCOMP_MODE_STRICT || (mode == SECCOMP_MODE_FILTER && program));
}

static bool syscall_sets_filter(long number, long a, long b, long c)
{
	if (number == SYS_prctl)
		return prctl_sets_filter((int)a, (unsigned long)b, (unsigned long)c);
	return number == SYS_seccomp && ((unsigned int)a == SECCOMP_SET_MODE_STRICT ||
					 ((unsigned int)a == SECCOMP_SET_MODE_FILTER && c));
}

int preload_prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)
{
	int result;

	if (!prctl_sets_filter(option, a, b) || !filter_comes())
		return next_prctl(option, a, b, c, d);
	result = next_prctl(option, a, b, c, d);
	filter_came(!result);
	return result;
}

long preload_syscall(long number, long a, long b, long c, long d, long e, long f)
{
	long result;

	if (!syscall_sets_filter(number, a, b, c) || !filter_comes())
		return next_syscall(number, a, b, c, d, e, f);
	result = next_syscall(number, a, b, c, d, e, f);
	filter_came(result >= 0); /* it may be a listener's descriptor */
	return result;
}

/*
 * Every call that the shim makes to start a broker and to ask it, in a process that may be killed for
 * it. execve() of nothing fails, but not by a filter.
 */
static void make_all_calls(void)
{
	static const struct timespec no_time;
	char *nothing[] = {NULL};
	struct raw_signals signals = {{0}};
	char byte = 0, copy;
	void *mapped;
	int fd;

	raw_syscall(SYS_setsid);
	raw_syscall(SYS_execve, "/nonexistent/socktally", nothing, nothing);
	fd = (int)raw_syscall(SYS_memfd_create, "socktally", MFD_CLOEXEC);
	mapped = raw_map(fd, 4096, PROT_NONE, MAP_SHARED);
	if (mapped != MAP_FAILED)
		raw_syscall(SYS_munmap, mapped, 4096);
	raw_syscall(SYS_pidfd_open, raw_syscall(SYS_getpid), 0);
	raw_syscall(SYS_listen, -1, 0);
	raw_syscall(SYS_setsockopt, -1, SOL_SOCKET, SO_PASSCRED, &byte, 1);
	raw_syscall(SYS_socket, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	raw_syscall(SYS_bind, -1, &byte, 1);
	raw_syscall(SYS_connect, -1, &byte, 1);
	raw_syscall(SYS_getsockname, -1, NULL, NULL);
	raw_syscall(SYS_getsockopt, -1, SOL_SOCKET, SO_DOMAIN, NULL, NULL);
	raw_syscall(SYS_getrandom, &byte, 0, 0);
	raw_syscall(SYS_dup3, -1, -1, O_CLOEXEC);
	raw_syscall(SYS_fcntl, -1, F_GETFD);
	raw_syscall(SYS_rt_sigpending, &signals, sizeof(signals));
	raw_syscall(SYS_rt_sigtimedwait, &signals, NULL, &no_time, sizeof(signals));
	raw_syscall(SYS_write, -1, &byte, 1);
	raw_syscall(SYS_ioctl, -1, 0, NULL);
	raw_block_signals(&signals);
	rpc_copy(&copy, &byte, 1);
	raw_wait(-1, 0, 0);
	raw_restore_signals(&signals);
}

/* Whether the filters that were there when this program was executed let us do all that we do. */
static bool filters_allow_calls(const struct proc_status *own)
{
	struct proc_status parent;
	int status = -1;
	long child;

	/*
	 * Whether clone() is allowed can't be tried. It is where the parent, under the same filters,
	 * has made this process; and the runtimes of containers, whose first process has no parent
	 * that could be seen, refuse calls but don't kill for them.
	 */
	if (own->parent &&
	    (!proc_status_read(own->parent, &parent) || parent.filters < own->filters))
		return false;
	child = raw_fork();
	if (!child) {
		make_all_calls();
		raw_exit(0);
	}
	if (child < 0)
		return false;
	while (raw_syscall(SYS_wait4, child, &status, __WALL, NULL) < 0 && errno == EINTR)
		;
	return !status;
}

bool preload_may_start(void)
{
	const struct channel_address *channel = preload_channel();
	struct proc_status own;

	if (!channel || channel->filters != CHANNEL_FILTERED) {
		if (!proc_status_read(0, &own) || own.filters <= (channel ? channel->filters : 0))
			return true;
		if (!channel && filters_allow_calls(&own))
			return true;
	}
	started_filtered = true;
	atomic_fetch_add(&filters, 1);
	return false;
}
