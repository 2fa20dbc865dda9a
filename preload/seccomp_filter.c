// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * What a seccomp filter would say to the shim's system calls: the filter is run on each of them, as
 * the kernel does, before it is there. What isn't known to be allowed counts as forbidden.
 */
#include "preload/preload.h"
#include "preload/syscall.h"
#include <linux/audit.h>
#include <linux/elf-em.h>
#include <linux/filter.h>
#include <linux/seccomp.h>

#if defined(__x86_64__) && defined(__LP64__)
#define OWN_ARCH AUDIT_ARCH_X86_64
#elif defined(__i386__)
#define OWN_ARCH AUDIT_ARCH_I386
#elif defined(__aarch64__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define OWN_ARCH AUDIT_ARCH_AARCH64
#elif defined(__arm__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define OWN_ARCH AUDIT_ARCH_ARM
#elif defined(__riscv) && __riscv_xlen == 64
#define OWN_ARCH AUDIT_ARCH_RISCV64
#elif defined(__powerpc64__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define OWN_ARCH AUDIT_ARCH_PPC64LE
#elif defined(__s390x__)
#define OWN_ARCH AUDIT_ARCH_S390X
#else
#define OWN_ARCH 0 /* no filter is understood: each counts as forbidding */
#endif

#define DENIED 0u /* SECCOMP_RET_KILL_THREAD */

struct machine {
	uint32_t a, x, scratch[BPF_MEMWORDS];
};

static uint32_t compute(uint16_t operation, uint32_t a, uint32_t operand)
{
	switch (operation) {
	case BPF_ADD:
		return a + operand;
	case BPF_SUB:
		return a - operand;
	case BPF_MUL:
		return a * operand;
	case BPF_DIV:
		return operand ? a / operand : 0;
	case BPF_AND:
		return a & operand;
	case BPF_OR:
		return a | operand;
	case BPF_XOR:
		return a ^ operand;
	case BPF_LSH:
		return operand < 32 ? a << operand : 0;
	case BPF_RSH:
		return operand < 32 ? a >> operand : 0;
	default: /* BPF_NEG */
		return 0 - a;
	}
}

static bool jumps(uint16_t operation, uint32_t a, uint32_t operand)
{
	switch (operation) {
	case BPF_JEQ:
		return a == operand;
	case BPF_JGT:
		return a > operand;
	case BPF_JGE:
		return a >= operand;
	default: /* BPF_JSET */
		return a & operand;
	}
}

/* Loads and stores; false: not one that seccomp has, and then the kernel refuses the filter. */
static bool move(struct machine *machine, const struct sock_filter *insn,
		 const struct seccomp_data *data)
{
	switch (insn->code) {
	case BPF_LD | BPF_W | BPF_ABS:
		if (insn->k > sizeof(*data) - sizeof(machine->a))
			return false;
		memcpy(&machine->a, (const char *)data + insn->k, sizeof(machine->a));
		return true;
	case BPF_LD | BPF_W | BPF_LEN:
		machine->a = sizeof(*data);
		return true;
	case BPF_LDX | BPF_W | BPF_LEN:
		machine->x = sizeof(*data);
		return true;
	case BPF_LD | BPF_IMM:
		machine->a = insn->k;
		return true;
	case BPF_LDX | BPF_IMM:
		machine->x = insn->k;
		return true;
	case BPF_MISC | BPF_TAX:
		machine->x = machine->a;
		return true;
	case BPF_MISC | BPF_TXA:
		machine->a = machine->x;
		return true;
	default:
		break;
	}
	if (insn->k >= BPF_MEMWORDS)
		return false;
	switch (insn->code) {
	case BPF_LD | BPF_MEM:
		machine->a = machine->scratch[insn->k];
		return true;
	case BPF_LDX | BPF_MEM:
		machine->x = machine->scratch[insn->k];
		return true;
	case BPF_ST:
		machine->scratch[insn->k] = machine->a;
		return true;
	case BPF_STX:
		machine->scratch[insn->k] = machine->x;
		return true;
	default:
		return false;
	}
}

static uint32_t run(const struct sock_filter *insns, size_t count, const struct seccomp_data *data)
{
	struct machine machine = {0};

	for (size_t pc = 0; pc < count; pc++) {
		const struct sock_filter *insn = &insns[pc];
		uint32_t operand = BPF_SRC(insn->code) == BPF_X ? machine.x : insn->k;

		switch (BPF_CLASS(insn->code)) {
		case BPF_RET:
			return BPF_RVAL(insn->code) == BPF_A ? machine.a : insn->k;
		case BPF_ALU:
			machine.a = compute(BPF_OP(insn->code), machine.a, operand);
			break;
		case BPF_JMP:
			if (BPF_OP(insn->code) == BPF_JA)
				pc += insn->k;
			else
				pc += jumps(BPF_OP(insn->code), machine.a, operand) ? insn->jt
										    : insn->jf;
			break;
		default:
			if (!move(&machine, insn, data))
				return DENIED;
		}
	}
	return DENIED;
}

/* A call as the shim makes it; FD stands for a descriptor of any number, ANY for a pointer. */
enum { FD = -100, ANY = -101 };
struct call {
	long number;
	long arguments[5];
};

static const struct call calls[] = {
	{SYS_getsockopt, {FD, SOL_SOCKET, SO_DOMAIN, ANY, ANY}},
	{SYS_getsockopt, {FD, SOL_SOCKET, SO_COOKIE, ANY, ANY}},
	{SYS_getsockopt, {FD, SOL_SOCKET, SO_GET_FILTER, ANY, ANY}},
	{SYS_getsockopt, {FD, SOL_SOCKET, SO_PEERCRED, ANY, ANY}},
	{SYS_getsockname, {FD, ANY, ANY}},
	{SYS_bind, {FD, ANY, 20}},
	{SYS_socketpair, {AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ANY}},
	{SYS_socket, {AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0}},
	{SYS_connect, {FD, ANY, 45}},
	{SYS_sendmsg, {FD, ANY, MSG_NOSIGNAL | MSG_DONTWAIT}},
	{SYS_recvmsg, {FD, ANY, MSG_DONTWAIT | MSG_CMSG_CLOEXEC}},
	{SYS_shutdown, {FD, SHUT_RD}},
	{SYS_close, {FD}},
	{PRELOAD_PPOLL, {ANY, 1, ANY, 0, PRELOAD_SIGSET_SIZE}},
	{SYS_clock_gettime, {CLOCK_MONOTONIC, ANY}},
	{SYS_rt_sigprocmask, {SIG_BLOCK, ANY, ANY, PRELOAD_SIGSET_SIZE}},
	{SYS_rt_sigprocmask, {SIG_SETMASK, ANY, 0, PRELOAD_SIGSET_SIZE}},
	{SYS_getpid, {0}},
	{SYS_munmap, {ANY, 4096}},
	{SYS_fstat, {FD, ANY}},
#ifdef SYS_newfstatat
	{SYS_newfstatat, {FD, ANY, ANY, 0x1000 /* AT_EMPTY_PATH */}},
#endif
	/* the line that says why */
	{SYS_rt_sigpending, {ANY, PRELOAD_SIGSET_SIZE}},
	{PRELOAD_SIGTIMEDWAIT, {ANY, 0, ANY, PRELOAD_SIGSET_SIZE}},
	{SYS_write, {STDERR_FILENO, ANY, 100}},
};

static bool allows(const struct sock_filter *insns, size_t count, const struct call *call, int fd)
{
	struct seccomp_data data = {.nr = (int)call->number,
				    .arch = OWN_ARCH,
				    .instruction_pointer = (uintptr_t)real_syscall()};
	uint32_t action;

	for (size_t i = 0; i < sizeof(call->arguments) / sizeof(*call->arguments); i++) {
		long argument = call->arguments[i];

		if (argument == FD)
			argument = fd;
		else if (argument == ANY)
			argument = (long)(uintptr_t)&data;
		data.args[i] = (uint64_t)argument;
	}
	action = run(insns, count, &data) & SECCOMP_RET_ACTION_FULL;
	return action == SECCOMP_RET_ALLOW || action == SECCOMP_RET_LOG;
}

bool preload_filter_allows(const struct sock_filter *insns, size_t count)
{
	if (!OWN_ARCH)
		return false;
	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++)
		if (!allows(insns, count, &calls[i], 3) || !allows(insns, count, &calls[i], 1023))
			return false;
	return true;
}
