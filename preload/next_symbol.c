// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * The next definition of each interposed call: another interposer's or the C library's. Looked up before
 * main(), as dlsym() may not be called in a signal handler. Where there is none, the kernel is called.
 */
#include "preload/preload.h"
#include "preload/syscall.h"
#include <dlfcn.h>
#include <stdatomic.h>

/*
 * Before glibc 2.34 dlsym() was in libdl, of the first version that glibc had on this machine. That one is
 * asked for, as later C libraries have it too; and weakly, as a program without libdl has none.
 */
#pragma weak dlsym
#pragma weak dlerror
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 34)
#if defined(__x86_64__) && defined(__LP64__)
#define FIRST_VERSION "GLIBC_2.2.5"
#elif defined(__s390x__)
#define FIRST_VERSION "GLIBC_2.2"
#elif defined(__aarch64__) || (defined(__powerpc64__) && _CALL_ELF == 2)
#define FIRST_VERSION "GLIBC_2.17"
#elif defined(__riscv)
#define FIRST_VERSION "GLIBC_2.27"
#endif
#endif
#ifdef FIRST_VERSION
__asm__(".symver dlsym,dlsym@" FIRST_VERSION);
__asm__(".symver dlerror,dlerror@" FIRST_VERSION);
#endif

enum { SOCKET, BIND, SETSOCKOPT, GETSOCKOPT, CLOSE, CLOSE_RANGE, CLOSEFROM, PRCTL, SYSCALL, CALLS };

static const char *const names[CALLS] = {"socket",     "bind",  "setsockopt",
					 "getsockopt", "close", "close_range",
					 "closefrom",  "prctl", "syscall"};
static _Atomic(void *) bound[CALLS]; /* NULL: not looked up */
static const char none;

static void *look_up(int call)
{
	void *found = dlsym ? dlsym(RTLD_NEXT, names[call]) : NULL;

	if (!found && dlsym && dlerror)
		dlerror(); /* the tool asks after its own calls */
	return found ? found : (void *)&none;
}

static void *find(int call)
{
	void *found = atomic_load_explicit(&bound[call], memory_order_relaxed);
	int saved = errno;

	if (!found) {
		found = look_up(call);
		errno = saved;
		atomic_store_explicit(&bound[call], found, memory_order_relaxed);
	}
	return found == &none ? NULL : found;
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
		    : (int)raw_syscall(SYS_socket, domain, type, protocol);
}

int next_bind(int fd, const void *address, socklen_t length)
{
	int (*call)(int, const void *, socklen_t) =
		(int (*)(int, const void *, socklen_t))find(BIND);

	return call ? call(fd, address, length) : (int)raw_syscall(SYS_bind, fd, address, length);
}

int next_setsockopt(int fd, int level, int name, const void *value, socklen_t length)
{
	int (*call)(int, int, int, const void *, socklen_t) =
		(int (*)(int, int, int, const void *, socklen_t))find(SETSOCKOPT);

	return call ? call(fd, level, name, value, length)
		    : (int)raw_syscall(SYS_setsockopt, fd, level, name, value, length);
}

int next_getsockopt(int fd, int level, int name, void *value, socklen_t *length)
{
	int (*call)(int, int, int, void *, socklen_t *) =
		(int (*)(int, int, int, void *, socklen_t *))find(GETSOCKOPT);

	return call ? call(fd, level, name, value, length)
		    : (int)raw_syscall(SYS_getsockopt, fd, level, name, value, length);
}

int next_close(int fd)
{
	int (*call)(int) = (int (*)(int))find(CLOSE);

	return call ? call(fd) : (int)raw_syscall(SYS_close, fd);
}

int next_close_range(unsigned int first, unsigned int last, int flags)
{
	int (*call)(unsigned int, unsigned int, int) =
		(int (*)(unsigned int, unsigned int, int))find(CLOSE_RANGE);

	return call ? call(first, last, flags)
		    : (int)raw_syscall(PRELOAD_CLOSE_RANGE, first, last, flags);
}

void next_closefrom(int first)
{
	void (*call)(int) = (void (*)(int))find(CLOSEFROM);

	if (call)
		call(first);
	else
		raw_syscall(PRELOAD_CLOSE_RANGE, first < 0 ? 0 : first, ~0u, 0);
}

int next_prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)
{
	int (*call)(int, unsigned long, unsigned long, unsigned long, unsigned long) =
		(int (*)(int, unsigned long, unsigned long, unsigned long, unsigned long))find(
			PRCTL);

	return call ? call(option, a, b, c, d) : (int)raw_syscall(SYS_prctl, option, a, b, c, d);
}

long next_syscall(long number, long a, long b, long c, long d, long e, long f)
{
	long (*call)(long, long, long, long, long, long, long) =
		(long (*)(long, long, long, long, long, long, long))find(SYSCALL);

	return call ? call(number, a, b, c, d, e, f) : raw_syscall(number, a, b, c, d, e, f);
}
