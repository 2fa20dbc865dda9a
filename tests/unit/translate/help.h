/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* What the tests of the translator share: TAP, random numbers, and the kernel as the judge. */
#ifndef SOCKTALLY_TESTS_UNIT_TRANSLATE_HELP_H
#define SOCKTALLY_TESTS_UNIT_TRANSLATE_HELP_H

#include "plugin/bpf/syscall.h"
#include "plugin/translate/translate.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#ifndef SO_ATTACH_BPF
#define SO_ATTACH_BPF 50
#endif

static unsigned int tap_number, tap_failed;

__attribute__((format(printf, 2, 3), unused)) static bool ok(bool good, const char *format, ...)
{
	va_list args;

	printf("%sok %u - ", good ? "" : "not ", ++tap_number);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	fflush(stdout);
	tap_failed += !good;
	return good;
}

__attribute__((noreturn, unused)) static void die(const char *what)
{
	printf("Bail out! %s: %s\n", what, strerror(errno));
	exit(1);
}

__attribute__((noreturn, unused)) static void done_testing(void)
{
	printf("1..%u\n", tap_number);
	exit(tap_failed != 0);
}

__attribute__((unused)) static unsigned long from_environment(const char *name,
							      unsigned long otherwise)
{
	const char *text = getenv(name);

	return text && *text ? strtoul(text, NULL, 0) : otherwise;
}

/* xorshift64*: the same numbers from the same seed, everywhere. */
static unsigned long long random_state = 1;

__attribute__((unused)) static void random_seed(unsigned long long seed)
{
	random_state = seed * 0x9e3779b97f4a7c15ull + 1;
	if (!random_state)
		random_state = 1;
}

__attribute__((unused)) static __u32 random_u32(void)
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return (__u32)((random_state * 0x2545f4914f6cdd1dull) >> 32);
}

/* 0 to below n */
__attribute__((unused)) static __u32 random_below(__u32 n)
{
	return (__u32)(((__u64)random_u32() * n) >> 32);
}

__attribute__((unused)) static bool random_percent(__u32 percent)
{
	return random_below(100) < percent;
}

__attribute__((unused)) static double seconds_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

__attribute__((unused)) static void print_filter(const struct sock_filter *insns, size_t count)
{
	if (count > 80)
		printf("#   %zu instructions\n", count);
	for (size_t pc = 0; pc < count && count <= 80; pc++)
		printf("#   %3zu: { 0x%02x, %u, %u, 0x%08x }\n", pc, insns[pc].code, insns[pc].jt,
		       insns[pc].jf, insns[pc].k);
}

/*
 * Some kernels' verifiers fail ("verifier bug") at a function that LD_IND may end early, if the
 * filter computes with constants across the call.
 */
static unsigned long verifier_bugs;

/* The header buffer of translations. */
__attribute__((unused)) static const struct st_header_buffer *test_header_buffer(void)
{
	static struct st_header_buffer buffer = {.map = -1};

	if (buffer.map < 0 &&
	    st_header_buffer_make(&buffer, (uint32_t)sysconf(_SC_NPROCESSORS_CONF)) < 0)
		die("the map of buffer");
	return &buffer;
}

/* READS in the environment: "helper" or "direct"; else one of both, at random if there are both. */
__attribute__((unused)) static const struct st_direct *test_direct(void)
{
	static struct st_direct direct;
	static bool known;
	const char *reads = getenv("READS");

	if (!known)
		st_direct_get(&direct);
	known = true;
	if (reads && !strcmp(reads, "direct") && !direct.works)
		die(direct.reason);
	if (!direct.works || (reads && !strcmp(reads, "helper")))
		return NULL;
	return reads || rand() % 2 ? &direct : NULL;
}

/*
 * The translation as a program that returns the verdict: a descriptor, or -errno. With to_the_end,
 * 0 becomes 1, which shows that the program was not ended by LD_ABS or LD_IND.
 */
static bool to_the_end;

__attribute__((unused)) static int load_translated(const struct sock_filter *insns, size_t count,
						   bool plain, char *log, size_t log_size)
{
	struct st_code code = {.plain = plain,
			       .header_buffer = test_header_buffer(),
			       .direct = test_direct()};
	int fd = st_translate(&code, insns, count, NULL);

	if (fd == 0) {
		if (to_the_end) {
			st_code_emit(&code, (struct bpf_insn){.code = BPF_JMP | BPF_JNE, .off = 1});
			st_code_emit(&code, (struct bpf_insn){.code = BPF_ALU | BPF_MOV, .imm = 1});
		}
		st_code_emit(&code, (struct bpf_insn){.code = BPF_JMP | BPF_EXIT});
		fd = st_code_finish(&code);
	}
	if (fd == 0 && code.function_count)
		fd = st_bpf_prog_load_functions("st_test", code.insns, code.count, code.functions,
						code.function_count, log, log_size);
	else if (fd == 0)
		fd = st_bpf_prog_load("st_test", code.insns, code.count, log, log_size);
	verifier_bugs += code.function_count && fd == -EFAULT;
	st_code_free(&code);
	return fd;
}

/* 0 or -errno */
__attribute__((unused)) static int attach_classic(int socket, const struct sock_filter *insns,
						  size_t count)
{
	struct sock_fprog program = {
		.len = (unsigned short)count,
		.filter = (struct sock_filter *)insns,
	};

	if (setsockopt(socket, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)))
		return -errno;
	return 0;
}

__attribute__((unused)) static int attach_program(int socket, int program)
{
	if (setsockopt(socket, SOL_SOCKET, SO_ATTACH_BPF, &program, sizeof(program)))
		return -errno;
	return 0;
}

/* A pair of Unix datagram sockets; [1] has the filter and receives what it leaves of a datagram. */
__attribute__((unused)) static void unix_pair(int pair[2])
{
	int size = 1 << 20;

	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair))
		die("socketpair");
	if (setsockopt(pair[0], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)))
		die("SO_SNDBUFFORCE");
}

/* The number of bytes that the filter lets through; 0: none. */
__attribute__((unused)) static long unix_verdict(const int pair[2], const void *packet, size_t size)
{
	static char got[1];
	ssize_t length;

	if (send(pair[0], packet, size, 0) != (ssize_t)size)
		die("send");
	length = recv(pair[1], got, sizeof(got), MSG_DONTWAIT | MSG_TRUNC);
	if (length < 0 && errno != EAGAIN)
		die("recv");
	return length < 0 ? 0 : length;
}

#endif
