// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
#include "plugin/bpf/direct.h"
#include "plugin/bpf/btf.h"
#include "plugin/bpf/syscall.h"
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What a process has found. Whoever comes meanwhile looks for itself: no thread waits for another. */
static struct st_direct found;
static atomic_int found_state;
enum { NOT_YET, BEING_WRITTEN, THERE };

/* Finds all numbers; false: reason. */
static bool numbers_find(struct st_direct *direct)
{
	enum { CAST_CONTEXT, CAST_READONLY, BYTES, SK_BUFF, TYPES };
	struct st_kernel_type types[TYPES] = {
		[CAST_CONTEXT] = {.kind = BTF_KIND_FUNC, .name = "bpf_cast_to_kern_ctx"},
		[CAST_READONLY] = {.kind = BTF_KIND_FUNC, .name = "bpf_rdonly_cast"},
		/* begins with `char sysname[65]`, which no kernel can change: uname(2) copies it */
		[BYTES] = {.kind = BTF_KIND_STRUCT, .name = "new_utsname"},
		[SK_BUFF] = {.kind = BTF_KIND_STRUCT,
			     .name = "sk_buff",
			     .members = {"len", "data_len", "data"}},
	};
	int result = st_kernel_types_find(types, TYPES);

	if (result) {
		snprintf(direct->reason, sizeof(direct->reason),
			 "the kernel's types (/sys/kernel/btf/vmlinux) can't be read: %s",
			 strerror(-result));
		return false;
	}
	for (int i = 0; i < TYPES; i++) {
		if (types[i].number)
			continue;
		snprintf(direct->reason, sizeof(direct->reason), "this kernel has no %s%s",
			 types[i].name,
			 types[i].kind == BTF_KIND_FUNC ? " (Linux 6.2 is the first)" : "");
		return false;
	}
	direct->cast_context = types[CAST_CONTEXT].number;
	direct->cast_readonly = types[CAST_READONLY].number;
	direct->bytes = types[BYTES].number;
	direct->len = types[SK_BUFF].offsets[0];
	direct->data_len = types[SK_BUFF].offsets[1];
	direct->data = types[SK_BUFF].offsets[2];
	if (direct->len <= INT16_MAX && direct->data_len <= INT16_MAX && direct->data <= INT16_MAX)
		return true;
	snprintf(direct->reason, sizeof(direct->reason), "this kernel's struct sk_buff is another");
	return false;
}

/* Loads a program that reads as all do. A program runs only if the verifier and the JIT take it. */
static int program_try(const struct st_direct *direct)
{
	const struct bpf_insn insns[] = {
		st_direct_call(direct->cast_context),
		{BPF_LDX | BPF_W | BPF_MEM, BPF_REG_6, BPF_REG_0, (__s16)direct->len, 0},
		{BPF_LDX | BPF_W | BPF_MEM, BPF_REG_7, BPF_REG_0, (__s16)direct->data_len, 0},
		{BPF_LDX | BPF_DW | BPF_MEM, BPF_REG_8, BPF_REG_0, (__s16)direct->data, 0},
		/* any address, not only one that the verifier knows */
		{BPF_ALU64 | BPF_ADD | BPF_X, BPF_REG_8, BPF_REG_6, 0, 0},
		{BPF_ALU64 | BPF_SUB | BPF_X, BPF_REG_8, BPF_REG_7, 0, 0},
		{BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_1, BPF_REG_8, 0, 0},
		{BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_2, 0, 0, (__s32)direct->bytes},
		st_direct_call(direct->cast_readonly),
		{BPF_LDX | BPF_DW | BPF_MEM, BPF_REG_7, BPF_REG_0, 0, 0},
		{BPF_LDX | BPF_H | BPF_MEM, BPF_REG_7, BPF_REG_0, 1, 0},
		{BPF_LDX | BPF_B | BPF_MEM, BPF_REG_0, BPF_REG_0, ST_DIRECT_BYTES - 1, 0},
		{BPF_JMP | BPF_EXIT, 0, 0, 0, 0},
	};
	int program = st_bpf_prog_load("socktally", insns, sizeof(insns) / sizeof(*insns), NULL, 0);

	if (program < 0)
		return program;
	close(program);
	return 0;
}

/* Sets works or reason. False: another time it may be otherwise. */
static bool try(struct st_direct *direct)
{
	int result;

	if (!numbers_find(direct))
		return true;
	result = program_try(direct);
	direct->works = !result;
	if (result == -EPERM || result == -EACCES)
		snprintf(direct->reason, sizeof(direct->reason),
			 "not permitted to this process: it needs CAP_BPF and CAP_PERFMON");
	else if (result)
		snprintf(direct->reason, sizeof(direct->reason),
			 "the kernel refuses such programs (error %d)%s", -result,
			 result == -524 /* ENOTSUPP */ ? ": its BPF compiler can't do them" : "");
	return result != -EPERM && result != -EACCES && result != -ENOMEM && result != -EAGAIN;
}

static void get(struct st_direct *direct)
{
	int not_yet = NOT_YET;

	if (atomic_load_explicit(&found_state, memory_order_acquire) == THERE) {
		*direct = found;
		return;
	}
	if (!try(direct) || !atomic_compare_exchange_strong(&found_state, &not_yet, BEING_WRITTEN))
		return;
	found = *direct;
	atomic_store_explicit(&found_state, THERE, memory_order_release);
}

void st_direct_get(struct st_direct *direct)
{
	const char *wanted = secure_getenv("SOCKTALLY_READS");

	memset(direct, 0, sizeof(*direct));
	if (wanted && !strcmp(wanted, "helper")) {
		snprintf(direct->reason, sizeof(direct->reason), "SOCKTALLY_READS is \"helper\"");
		return;
	}
	get(direct);
	direct->forced = wanted && !strcmp(wanted, "direct");
}
