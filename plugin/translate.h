/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Classic BPF socket filters as eBPF, to the letter. */
#ifndef SOCKTALLY_TRANSLATE_H
#define SOCKTALLY_TRANSLATE_H

#include <linux/bpf.h>
#include <linux/filter.h>
#include <stddef.h>

/* A growing program. insns is malloc'ed and freed by st_code_free(). */
struct st_code {
	struct bpf_insn *insns;
	size_t count;
	size_t room;
	int error; /* sticky: -ENOMEM, -E2BIG */
};

void st_code_emit(struct st_code *code, struct bpf_insn insn);
void st_code_free(struct st_code *code);

/*
 * Appends the filter to code as a piece that starts with the context in R1, leaves it in R6, and
 * falls out at its end with the verdict in R0 as a zero-extended 32-bit value; R7 to R9 are then
 * free, and the stack too. count 0 stands for "no filter": verdict 0xffffffff.
 *
 * -EINVAL: the kernel would refuse the filter; -EOPNOTSUPP: it uses what eBPF can't express, and
 * *what names it ("SKF_AD_HATYPE"); -E2BIG, -ENOMEM.
 */
int st_translate(struct st_code *code, const struct sock_filter *insns, size_t count,
		 const char **what);

#endif
