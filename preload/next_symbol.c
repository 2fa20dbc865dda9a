// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * The next definition of each interposed call: another interposer's or the C library's. Bound before
 * main(), as dlsym() is not for signal handlers; where it can't be found, the kernel is called.
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

void preload_bind_all(void)
{
	for (int call = 0; call < CALLS; call++)
		find(call);
}

int real_socket(int domain, int type, int protocol)
{
	int (*call)(int, int, int) = (int (*)(int, int, int))find(SOCKET);

	return call ? call(domain, type, protocol)
		    : (int)syscall(SYS_socket, domain, type, protocol);
}

int real_bind(int fd, const void *address, socklen_t length)
{
	int (*call)(int, const void *, socklen_t) =
		(int (*)(int, const void *, socklen_t))find(BIND);

	return call ? call(fd, address, length) : (int)syscall(SYS_bind, fd, address, length);
}

int real_setsockopt(int fd, int level, int name, const void *value, socklen_t length)
{
	int (*call)(int, int, int, const void *, socklen_t) =
		(int (*)(int, int, int, const void *, socklen_t))find(SETSOCKOPT);

	return call ? call(fd, level, name, value, length)
		    : (int)syscall(SYS_setsockopt, fd, level, name, value, length);
}

int real_getsockopt(int fd, int level, int name, void *value, socklen_t *length)
{
	int (*call)(int, int, int, void *, socklen_t *) =
		(int (*)(int, int, int, void *, socklen_t *))find(GETSOCKOPT);

	return call ? call(fd, level, name, value, length)
		    : (int)syscall(SYS_getsockopt, fd, level, name, value, length);
}

int real_close(int fd)
{
	int (*call)(int) = (int (*)(int))find(CLOSE);

	return call ? call(fd) : (int)syscall(SYS_close, fd);
}

int real_close_range(unsigned int first, unsigned int last, int flags)
{
	int (*call)(unsigned int, unsigned int, int) =
		(int (*)(unsigned int, unsigned int, int))find(CLOSE_RANGE);

	return call ? call(first, last, flags)
		    : (int)syscall(PRELOAD_CLOSE_RANGE, first, last, flags);
}

void real_closefrom(int first)
{
	void (*call)(int) = (void (*)(int))find(CLOSEFROM);

	if (call)
		call(first);
	else
		syscall(PRELOAD_CLOSE_RANGE, first < 0 ? 0 : first, ~0u, 0);
}

preload_prctl_fn *real_prctl(void)
{
	return (preload_prctl_fn *)find(PRCTL);
}

preload_syscall_fn *real_syscall(void)
{
	return (preload_syscall_fn *)find(SYSCALL);
}
