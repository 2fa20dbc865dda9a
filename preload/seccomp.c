// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * Seccomp filters of the tool's. One that would not let our calls through must not meet any: when it
 * is about to be set, by prctl() or by syscall(), which is how libseccomp does it, the shim tells the
 * broker, lets the other threads finish what they ask it, and from then on passes every call on. What
 * is metered already stays so; it takes no call of ours.
 *
 * A filter that comes by another way, set before this program was executed, is known by the number of
 * filters on the process.
 */
#include "proto/channel_status.h"
#include "preload/preload.h"
#include "preload/syscall.h"
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

/* Milliseconds that other threads have to finish what they ask the broker. */
enum { LEAVE_TIMEOUT = 10000 };

static atomic_int forbidding; /* filters, set or about to be, that forbid our calls */
static atomic_uint inside;    /* threads between preload_enter() and preload_leave() */
static _Atomic(atomic_uint *) page;

bool preload_enter(void)
{
	if (atomic_load(&forbidding))
		return false;
	atomic_fetch_add(&inside, 1);
	if (!atomic_load(&forbidding))
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
	if (!atomic_load(&forbidding))
		exchange_forked();
}

void preload_passed_on(void)
{
	atomic_uint *ours = atomic_load(&page);

	if (ours)
		atomic_fetch_add(ours, 1);
	else
		preload_say_sandboxed();
}

/* A file of a page's size is within the limit: else to make one is a signal, SIGXFSZ. */
static bool files_can_have_a_page(void)
{
	struct rlimit limit;

	return !getrlimit(RLIMIT_FSIZE, &limit) && limit.rlim_cur >= CHANNEL_PAGE_SIZE;
}

/* A page to share with the broker; -1: there is none. */
static int make_page(void)
{
	int fd = (int)syscall(SYS_memfd_create, "socktally", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	void *mapped = MAP_FAILED;

	if (fd < 0)
		return -1;
	if (!ftruncate(fd, CHANNEL_PAGE_SIZE) &&
	    !syscall(SYS_fcntl, fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))
		mapped = mmap(NULL, CHANNEL_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (mapped == MAP_FAILED) {
		raw_close(fd);
		return -1;
	}
	atomic_store(&page, (atomic_uint *)mapped);
	return fd;
}

static void tell_broker(void)
{
	int fd, ignored;

	if (atomic_load(&page) || !preload_channel())
		return;
	if (!files_can_have_a_page()) {
		preload_say_files_limited();
		return;
	}
	fd = make_page();
	if (fd < 0)
		return;
	preload_ask(fd, CHANNEL_SANDBOX, 0, 0, &ignored);
	raw_close(fd);
}

static void wait_for_others(void)
{
	int64_t now = raw_milliseconds();
	const int64_t deadline = now + LEAVE_TIMEOUT;

	for (; atomic_load(&inside) && now < deadline; now = raw_milliseconds())
		raw_wait(-1, 0, now + 1);
}

/* program: the tool's struct sock_fprog, which need not be there. */
static bool is_harmless(const void *program)
{
	static struct sock_filter insns[BPF_MAXINSNS];
	static atomic_flag taken = ATOMIC_FLAG_INIT;
	struct sock_fprog filter;
	struct exchange exchange;
	bool harmless;

	if (atomic_flag_test_and_set(&taken))
		return false;                /* another thread sets one at this moment */
	harmless = !exchange_try(&exchange); /* no descriptors left is no reason to say anything */
	if (harmless) {
		harmless = exchange_copy(&exchange, &filter, program, sizeof(filter)) &&
			   filter.len && filter.len <= BPF_MAXINSNS &&
			   exchange_copy(&exchange, insns, filter.filter,
					 filter.len * sizeof(*insns)) &&
			   preload_filter_allows(insns, filter.len);
		exchange_end(&exchange);
	}
	atomic_flag_clear(&taken);
	return harmless;
}

enum effect {
	HARMLESS, /* the filter allows what we do */
	FORBIDS,
	UNKNOWN, /* calls are forbidden already */
};

/* A filter is about to be set; program: NULL for the strict mode, which allows next to nothing. */
static enum effect filter_comes(const void *program)
{
	enum effect effect = FORBIDS;

	if (!preload_enter())
		return UNKNOWN;
	if (program && is_harmless(program))
		effect = HARMLESS;
	else
		tell_broker();
	preload_leave();
	if (effect == FORBIDS) {
		atomic_fetch_add(&forbidding, 1);
		wait_for_others();
	}
	return effect;
}

static void filter_came(enum effect effect, bool set)
{
	const struct channel_address *channel = preload_channel();

	if (effect == FORBIDS && !set)
		atomic_fetch_sub(&forbidding, 1);
	else if (effect == FORBIDS && channel)
		preload_channel_filters(CHANNEL_SANDBOXED);
	else if (effect == HARMLESS && set && channel && channel->filters < CHANNEL_SANDBOXED - 1)
		preload_channel_filters(channel->filters + 1);
}

/*
 * The C library declares these two with any number of arguments. Defined with all that there can be
 * they pass on the caller's registers and stack as they are, also where that is not a plain call, as
 * with SYS_clone.
 */
PRELOAD_EXPORT int preload_prctl(int option, unsigned long a, unsigned long b, unsigned long c,
				 unsigned long d) __asm__("prctl");
PRELOAD_EXPORT long preload_syscall(long number, long a, long b, long c, long d, long e,
				    long f) __asm__("syscall");

int preload_prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)
{
	preload_prctl_fn *next = real_prctl();
	enum effect effect;
	int result;

	if (!next)
		return (int)syscall(SYS_prctl, option, a, b, c, d);
	if (option != PR_SET_SECCOMP)
		return next(option, a, b, c, d);
	effect = filter_comes(a == SECCOMP_MODE_FILTER ? (const void *)b : NULL);
	result = next(option, a, b, c, d);
	filter_came(effect, !result);
	return result;
}

static bool sets_filter(long number, long a)
{
	return (number == SYS_seccomp &&
		(a == SECCOMP_SET_MODE_FILTER || a == SECCOMP_SET_MODE_STRICT)) ||
	       (number == SYS_prctl && a == PR_SET_SECCOMP);
}

static long set_filter(preload_syscall_fn *next, long number, long a, long b, long c)
{
	bool strict =
		number == SYS_seccomp ? a == SECCOMP_SET_MODE_STRICT : b != SECCOMP_MODE_FILTER;
	enum effect effect = filter_comes(strict ? NULL : (const void *)c);
	long result = next(number, a, b, c, 0, 0, 0);

	filter_came(effect, result >= 0); /* it may be a listener's descriptor */
	return result;
}

long preload_syscall(long number, long a, long b, long c, long d, long e, long f)
{
	preload_syscall_fn *next = real_syscall();

	if (!next) {
		errno = ENOSYS;
		return -1;
	}
	if (sets_filter(number, a))
		return set_filter(next, number, a, b, c);
	return next(number, a, b, c, d, e, f);
}

/*
 * Every call that the shim makes to start a broker and to ask it, in a process that may be lost.
 * execve() of nothing fails, but not by a filter.
 */
static void make_all_calls(void)
{
	char *nothing[] = {NULL};
	struct exchange exchange;
	char byte = 0, copy;
	void *mapped;
	int fd;

	syscall(SYS_setsid);
	syscall(SYS_execve, "/nonexistent/socktally", nothing, nothing);
	fd = (int)syscall(SYS_memfd_create, "socktally", MFD_CLOEXEC);
	mapped = mmap(NULL, CHANNEL_PAGE_SIZE, PROT_NONE, MAP_SHARED, fd, 0);
	if (mapped != MAP_FAILED)
		munmap(mapped, CHANNEL_PAGE_SIZE);
	syscall(SYS_pidfd_open, getpid(), 0);
	syscall(SYS_listen, -1, 0);
	syscall(SYS_setsockopt, -1, SOL_SOCKET, SO_PASSCRED, &byte, 1);
	syscall(SYS_socket, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	syscall(SYS_bind, -1, &byte, 1);
	syscall(SYS_connect, -1, &byte, 1);
	syscall(SYS_shutdown, -1, SHUT_RD);
	syscall(SYS_getsockname, -1, NULL, NULL);
	syscall(SYS_getsockopt, -1, SOL_SOCKET, SO_DOMAIN, NULL, NULL);
	syscall(SYS_getrandom, &byte, 0, 0);
	syscall(SYS_dup3, -1, -1, O_CLOEXEC);
	fcntl(-1, F_GETFD);
	if (exchange_begin(&exchange)) {
		exchange_copy(&exchange, &copy, &byte, 1);
		raw_wait(exchange.mine, 0, 0);
		exchange_end(&exchange);
	}
}

/* Whether the filters that were there when this program was executed let us do all that we do. */
static bool filters_are_harmless(const struct channel_status *own)
{
	struct channel_status parent;
	int status = -1;
	long child;

	/*
	 * Whether clone() is allowed can't be tried. It is where the parent, under the same filters,
	 * has made this process; and the runtimes of containers refuse calls but don't kill for them.
	 */
	if (own->parent && (!channel_status_read(own->parent, &parent) || !parent.filters))
		return false;
	child = syscall(SYS_clone, 0, 0, 0, 0, 0); /* with no signal at its end */
	if (!child) {
		make_all_calls();
		_exit(0);
	}
	if (child < 0)
		return false;
	while (syscall(SYS_wait4, child, &status, __WALL, NULL) < 0 && errno == EINTR)
		;
	return !status;
}

bool preload_enter_first(void)
{
	const struct channel_address *channel = preload_channel();
	struct channel_status own;

	if (channel && channel->filters == CHANNEL_SANDBOXED)
		goto forbidden;
	if (!channel_status_read(0, &own) || own.filters <= (channel ? channel->filters : 0))
		return true;
	if (!channel && filters_are_harmless(&own))
		return true;
forbidden:
	atomic_fetch_add(&forbidding, 1);
	return false;
}
