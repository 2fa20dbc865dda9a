// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * The next definition of each interposed call: another interposer's or the C library's. Looked up before
 * main(), as dlsym() may not be called in a signal handler. Where there is none, the kernel is called.
 */
#include "preload/preload.h"
#include "preload/syscall.h"
#include <dlfcn.h>
#include <stdatomic.h>

enum { SOCKET, BIND, SETSOCKOPT, GETSOCKOPT, CLOSE, CLOSE_RANGE, CLOSEFROM, PRCTL, SYSCALL, CALLS };

static const char *const names[CALLS] = {"socket",     "bind",  "setsockopt",
					 "getsockopt", "close", "close_range",
					 "closefrom",  "prctl", "syscall"};
static _Atomic(void *) bound[CALLS];

static void *find(int call)
{
	void *found = atomic_load_explicit(&bound[call], memory_order_relaxed);

	if (!found) {
		found = dlsym(RTLD_NEXT, names[call]);
		atomic_store_explicit(&bound[call], found, memory_order_relaxed);
	}
	return found;
}

void next_symbols_find(void)
{
	for (int call = 0; call < CALLS; call++)
		find(call);
}

int next_socket(int domain, int type, int protocol)
{
	int (*call)(int, int, int) = (int (*)(int, int, int))find(SOCKET);

	return call ? call(domain, type, protocol)
		    : (int)syscall(SYS_socket, domain, type, protocol);
}

int next_bind(int fd, const void *address, socklen_t length)
{
	int (*call)(int, const void *, socklen_t) =
		(int (*)(int, const void *, socklen_t))find(BIND);

	return call ? call(fd, address, length) : (int)syscall(SYS_bind, fd, address, length);
}

int next_setsockopt(int fd, int level, int name, const void *value, socklen_t length)
{
	int (*call)(int, int, int, const void *, socklen_t) =
		(int (*)(int, int, int, const void *, socklen_t))find(SETSOCKOPT);

	return call ? call(fd, level, name, value, length)
		    : (int)syscall(SYS_setsockopt, fd, level, name, value, length);
}

int next_getsockopt(int fd, int level, int name, void *value, socklen_t *length)
{
	int (*call)(int, int, int, void *, socklen_t *) =
		(int (*)(int, int, int, void *, socklen_t *))find(GETSOCKOPT);

	return call ? call(fd, level, name, value, length)
		    : (int)syscall(SYS_getsockopt, fd, level, name, value, length);
}

int next_close(int fd)
{
	int (*call)(int) = (int (*)(int))find(CLOSE);

	return call ? call(fd) : (int)syscall(SYS_close, fd);
}

int next_close_range(unsigned int first, unsigned int last, int flags)
{
	int (*call)(unsigned int, unsigned int, int) =
		(int (*)(unsigned int, unsigned int, int))find(CLOSE_RANGE);

	return call ? call(first, last, flags)
		    : (int)syscall(PRELOAD_CLOSE_RANGE, first, last, flags);
}

void next_closefrom(int first)
{
	void (*call)(int) = (void (*)(int))find(CLOSEFROM);

	if (call)
		call(first);
	else
		syscall(PRELOAD_CLOSE_RANGE, first < 0 ? 0 : first, ~0u, 0);
}

prctl_fn *next_prctl(void)
{
	return (prctl_fn *)find(PRCTL);
}

syscall_fn *next_syscall(void)
{
	return (syscall_fn *)find(SYSCALL);
}
