/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Seccomp filters for socket_steps: what isn't allowed kills. */
#ifndef SOCKTALLY_TESTS_HELPERS_SECCOMP_STEPS_H
#define SOCKTALLY_TESTS_HELPERS_SECCOMP_STEPS_H

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What socket_steps's own steps take, and nothing else. */
static const int seccomp_tool[] = {
	SYS_read,        SYS_write,    SYS_socket, SYS_bind,    SYS_setsockopt,
	SYS_getsockname, SYS_recvfrom, SYS_fstat,  SYS_brk,     SYS_newfstatat,
	SYS_mmap,        SYS_munmap,   SYS_close,  SYS_ioctl,   SYS_lseek,
	SYS_exit_group,  SYS_exit,     SYS_futex,  SYS_madvise, SYS_mprotect,
#ifdef SYS_poll
	SYS_poll,
#else
	SYS_ppoll,
#endif
};
/* And to execute a program. */
static const int seccomp_exec[] = {
	SYS_execve,      SYS_openat,          SYS_pread64,
	SYS_faccessat,   SYS_set_tid_address, SYS_set_robust_list,
	SYS_prlimit64,   SYS_getrandom,       SYS_readlinkat,
	SYS_sigaltstack,
#ifdef SYS_rseq
	SYS_rseq,
#endif
#ifdef SYS_arch_prctl
	SYS_arch_prctl,
#endif
#ifdef SYS_access
	SYS_access,      SYS_readlink,
#endif
};
/* And a shell that starts it. */
static const int seccomp_shell[] = {
	SYS_clone,   SYS_wait4,  SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_getpid,
	SYS_getppid, SYS_getuid, SYS_geteuid,      SYS_getgid,         SYS_getegid,
	SYS_fcntl,   SYS_dup3,   SYS_rt_sigreturn, SYS_getcwd,
#ifdef SYS_clone3
	SYS_clone3,
#endif
#ifdef SYS_vfork
	SYS_vfork,   SYS_dup2,   SYS_stat,
#endif
};

static struct sock_filter seccomp_insns[200];
static size_t seccomp_count;

static void seccomp_allow(const int *numbers, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		seccomp_insns[seccomp_count++] =
			(struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
						     (unsigned int)numbers[i], 0, 1);
		seccomp_insns[seccomp_count++] =
			(struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	}
}

#define SECCOMP_ALLOW(list) seccomp_allow(list, sizeof(list) / sizeof(*list))

/*
 * how: "tool", "exec", "shell": allows these calls; "mild": forbids one, with an error, as containers do;
 * "strict": the old mode; "invalid": the kernel refuses it; "none": no filter, which asks whether the kernel
 * has them. Set by prctl(), or with a "+" in front by syscall(), for all threads.
 */
static long seccomp_step(const char *how)
{
	struct sock_fprog program = {.filter = seccomp_insns};
	const struct sock_fprog *address;
	bool all = *how == '+';

	how += all;
	if (!strcmp(how, "strict"))
		return prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT);
	seccomp_count = 0;
	seccomp_insns[seccomp_count++] =
		(struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
					     offsetof(struct seccomp_data, nr));
	if (!strcmp(how, "mild")) {
		seccomp_insns[seccomp_count++] =
			(struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_add_key, 0, 1);
		seccomp_insns[seccomp_count++] =
			(struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
		seccomp_insns[seccomp_count++] =
			(struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	} else {
		SECCOMP_ALLOW(seccomp_tool);
		if (strcmp(how, "tool"))
			SECCOMP_ALLOW(seccomp_exec);
		if (!strcmp(how, "shell"))
			SECCOMP_ALLOW(seccomp_shell);
		seccomp_insns[seccomp_count++] =
			(struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
	}
	if (!strcmp(how, "invalid"))
		seccomp_insns[0].code = 0xffff;
	program.len = (unsigned short)seccomp_count;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -1;
	address = strcmp(how, "none") ? &program : NULL;
	if (all)
		return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC,
			       address);
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, address);
}

#endif
