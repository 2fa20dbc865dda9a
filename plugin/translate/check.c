/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * What the kernel accepts as a classic filter: bpf_check_classic() and check_load_and_stores() of
 * net/core/filter.c. The rules have been the same since Linux 4.1.
 */
#include "plugin/translate/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool st_is_conditional(const struct sock_filter *insn)
{
	return BPF_CLASS(insn->code) == BPF_JMP && BPF_OP(insn->code) != BPF_JA;
}

bool st_is_return(const struct sock_filter *insn)
{
	return insn->code == (BPF_RET | BPF_K) || insn->code == (BPF_RET | BPF_A);
}

static bool code_is_known(__u16 code)
{
	switch (code) {
	case BPF_ALU | BPF_ADD | BPF_K:
	case BPF_ALU | BPF_ADD | BPF_X:
	case BPF_ALU | BPF_SUB | BPF_K:
	case BPF_ALU | BPF_SUB | BPF_X:
	case BPF_ALU | BPF_MUL | BPF_K:
	case BPF_ALU | BPF_MUL | BPF_X:
	case BPF_ALU | BPF_DIV | BPF_K:
	case BPF_ALU | BPF_DIV | BPF_X:
	case BPF_ALU | BPF_MOD | BPF_K:
	case BPF_ALU | BPF_MOD | BPF_X:
	case BPF_ALU | BPF_AND | BPF_K:
	case BPF_ALU | BPF_AND | BPF_X:
	case BPF_ALU | BPF_OR | BPF_K:
	case BPF_ALU | BPF_OR | BPF_X:
	case BPF_ALU | BPF_XOR | BPF_K:
	case BPF_ALU | BPF_XOR | BPF_X:
	case BPF_ALU | BPF_LSH | BPF_K:
	case BPF_ALU | BPF_LSH | BPF_X:
	case BPF_ALU | BPF_RSH | BPF_K:
	case BPF_ALU | BPF_RSH | BPF_X:
	case BPF_ALU | BPF_NEG:
	case BPF_LD | BPF_W | BPF_ABS:
	case BPF_LD | BPF_H | BPF_ABS:
	case BPF_LD | BPF_B | BPF_ABS:
	case BPF_LD | BPF_W | BPF_IND:
	case BPF_LD | BPF_H | BPF_IND:
	case BPF_LD | BPF_B | BPF_IND:
	case BPF_LD | BPF_W | BPF_LEN:
	case BPF_LD | BPF_IMM:
	case BPF_LD | BPF_MEM:
	case BPF_LDX | BPF_W | BPF_LEN:
	case BPF_LDX | BPF_B | BPF_MSH:
	case BPF_LDX | BPF_IMM:
	case BPF_LDX | BPF_MEM:
	case BPF_ST:
	case BPF_STX:
	case BPF_MISC | BPF_TAX:
	case BPF_MISC | BPF_TXA:
	case BPF_RET | BPF_K:
	case BPF_RET | BPF_A:
	case BPF_JMP | BPF_JA:
	case BPF_JMP | BPF_JEQ | BPF_K:
	case BPF_JMP | BPF_JEQ | BPF_X:
	case BPF_JMP | BPF_JGE | BPF_K:
	case BPF_JMP | BPF_JGE | BPF_X:
	case BPF_JMP | BPF_JGT | BPF_K:
	case BPF_JMP | BPF_JGT | BPF_X:
	case BPF_JMP | BPF_JSET | BPF_K:
	case BPF_JMP | BPF_JSET | BPF_X:
		return true;
	}
	return false;
}

static bool operand_is_valid(const struct sock_filter *insn, size_t left)
{
	switch (insn->code) {
	case BPF_ALU | BPF_DIV | BPF_K:
	case BPF_ALU | BPF_MOD | BPF_K:
		return insn->k != 0;
	case BPF_ALU | BPF_LSH | BPF_K:
	case BPF_ALU | BPF_RSH | BPF_K:
		return insn->k < 32;
	case BPF_LD | BPF_MEM:
	case BPF_LDX | BPF_MEM:
	case BPF_ST:
	case BPF_STX:
		return insn->k < BPF_MEMWORDS;
	case BPF_JMP | BPF_JA:
		return insn->k < left;
	case BPF_LD | BPF_W | BPF_ABS:
	case BPF_LD | BPF_H | BPF_ABS:
	case BPF_LD | BPF_B | BPF_ABS:
		return insn->k < (__u32)SKF_AD_OFF ||
		       (insn->k < (__u32)(SKF_AD_OFF + SKF_AD_MAX) && insn->k % 4 == 0);
	}
	return !st_is_conditional(insn) || (insn->jt < left && insn->jf < left);
}

/* A word of scratch memory may be loaded only if every path to the load has stored it. */
static int check_scratch(const struct sock_filter *insns, size_t count)
{
	__u16 *stored =
		malloc(count * sizeof(*stored)); /* for each jump target, a bit for each word */
	__u16 now = 0;
	int error = 0;

	if (!stored)
		return -ENOMEM;
	memset(stored, 0xff, count * sizeof(*stored));
	for (size_t pc = 0; pc < count && !error; pc++) {
		const struct sock_filter *insn = &insns[pc];

		now &= stored[pc];
		if (insn->code == BPF_ST || insn->code == BPF_STX) {
			now |= 1u << insn->k;
		} else if (insn->code == (BPF_LD | BPF_MEM) || insn->code == (BPF_LDX | BPF_MEM)) {
			if (!(now & 1u << insn->k))
				error = -EINVAL;
		} else if (insn->code == (BPF_JMP | BPF_JA)) {
			stored[pc + 1 + insn->k] &= now;
			now = 0xffff;
		} else if (st_is_conditional(insn)) {
			stored[pc + 1 + insn->jt] &= now;
			stored[pc + 1 + insn->jf] &= now;
			now = 0xffff;
		}
	}
	free(stored);
	return error;
}

int st_check_classic(const struct sock_filter *insns, size_t count)
{
	if (!insns || count == 0 || count > BPF_MAXINSNS)
		return -EINVAL;
	for (size_t pc = 0; pc < count; pc++) {
		if (!code_is_known(insns[pc].code))
			return -EINVAL;
		if (!operand_is_valid(&insns[pc], count - pc - 1))
			return -EINVAL;
	}
	if (!st_is_return(&insns[count - 1]))
		return -EINVAL;
	return check_scratch(insns, count);
}

bool st_is_ancillary(const struct sock_filter *insn)
{
	return BPF_CLASS(insn->code) == BPF_LD && BPF_MODE(insn->code) == BPF_ABS &&
	       insn->k >= (__u32)SKF_AD_OFF;
}

/* Metadata that an eBPF socket filter has no access to. */
const char *st_inexpressible(const struct sock_filter *insn)
{
	if (!st_is_ancillary(insn))
		return NULL;
	switch (insn->k - (__u32)SKF_AD_OFF) {
	case SKF_AD_NLATTR:
		return "SKF_AD_NLATTR";
	case SKF_AD_NLATTR_NEST:
		return "SKF_AD_NLATTR_NEST";
	case SKF_AD_HATYPE:
		return "SKF_AD_HATYPE";
	case SKF_AD_PAY_OFFSET:
		return "SKF_AD_PAY_OFFSET";
	}
	return NULL;
}
