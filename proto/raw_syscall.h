/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * System calls by the machine's own instruction. In the tool's process any function of the C library's,
 * syscall() too, may be another library's or the program's own (torsocks and ASan do that), may fail
 * there, and may be a cancellation point.
 */
#ifndef SOCKTALLY_PROTO_RAW_SYSCALL_H
#define SOCKTALLY_PROTO_RAW_SYSCALL_H

#include <errno.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* As the kernel returns it: -4095 to -1 is an error. */
static inline long raw_syscall6(long number, long a, long b, long c, long d, long e, long f)
{
#if defined(__x86_64__) && defined(__LP64__)
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
#elif defined(__aarch64__) && defined(__LP64__)
	register long x8 __asm__("x8") = number;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;
	register long x5 __asm__("x5") = f;

	__asm__ volatile("svc 0"
			 : "+r"(x0)
			 : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
			 : "memory", "cc");
	return x0;
#elif defined(__s390x__)
	register long r1 __asm__("r1") = number;
	register long r2 __asm__("r2") = a;
	register long r3 __asm__("r3") = b;
	register long r4 __asm__("r4") = c;
	register long r5 __asm__("r5") = d;
	register long r6 __asm__("r6") = e;
	register long r7 __asm__("r7") = f;

	__asm__ volatile("svc 0"
			 : "+d"(r2)
			 : "d"(r1), "d"(r3), "d"(r4), "d"(r5), "d"(r6), "d"(r7)
			 : "memory", "cc");
	return r2;
#else
	long result = syscall(number, a, b, c, d, e, f);

	return result < 0 ? -errno : result;
#endif
}

/* As the C library returns it: -1 with errno, which stays as it was where there is no error. */
static inline long raw_syscall_errno(long result)
{
	if (result < 0 && result >= -4095) {
		errno = (int)-result;
		return -1;
	}
	return result;
}

/* raw_syscall(number, up to six arguments) */
#define RAW_SYSCALL_PADDED(number, a, b, c, d, e, f, ...)                                          \
	raw_syscall_errno(raw_syscall6(number, (long)(a), (long)(b), (long)(c), (long)(d),         \
				       (long)(e), (long)(f)))
#define raw_syscall(...) RAW_SYSCALL_PADDED(__VA_ARGS__, 0, 0, 0, 0, 0, 0, 0)

/* Only where the C library's struct stat is known to be the kernel's. */
static inline int raw_fstat(int fd, struct stat *status)
{
#if (defined(__x86_64__) || defined(__aarch64__) || defined(__s390x__)) && defined(__LP64__)
	return (int)raw_syscall(SYS_fstat, fd, status);
#else
	return fstat(fd, status);
#endif
}

#endif
