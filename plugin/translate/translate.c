/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Classic BPF to eBPF, one instruction after the other. A is R0 and X is R7, both zero-extended; R6
 * is the context and R8 the packet's length.
 */
#include "plugin/translate/internal.h"

#include <errno.h>
#include <stdlib.h>

/* The label of the next instruction that is written, or "reject", which comes after the last. */
static __u32 next_label(const struct st_translation *t, __u32 pc)
{
	while (++pc < t->count) {
		if (t->dataflow[pc].reached)
			return pc;
	}
	return st_label(t, ST_LABEL_REJECT);
}

static void emit_ja(struct st_translation *t, __u32 pc, __u32 label)
{
	/* a jump to "reject" is never left out, as that code exists only if a jump to it does */
	if (label != next_label(t, pc) || label == st_label(t, ST_LABEL_REJECT))
		st_jump(t, ST_JA(0), label);
}

static void emit_condition(struct st_translation *t, __u32 pc, int op, __u32 label)
{
	const struct sock_filter *insn = &t->insns[pc];

	if (BPF_SRC(insn->code) == BPF_X)
		st_jump(t, ST_JUMP_W_REG(op, REG_A, REG_X, 0), label);
	else
		st_jump(t, ST_JUMP_W(op, REG_A, insn->k, 0), label);
}

static void emit_conditional(struct st_translation *t, __u32 pc)
{
	const struct sock_filter *insn = &t->insns[pc];
	__u32 yes = st_resolve(t, pc + 1 + insn->jt), no = st_resolve(t, pc + 1 + insn->jf);
	__u32 next = next_label(t, pc);
	int op = BPF_OP(insn->code);

	if (yes == no) {
		emit_ja(t, pc, yes);
		return;
	}
	if (yes == next && op != BPF_JSET) {
		op = op == BPF_JEQ ? BPF_JNE : op == BPF_JGT ? BPF_JLE : BPF_JLT;
		emit_condition(t, pc, op, no);
		return;
	}
	emit_condition(t, pc, op, yes);
	if (no != next)
		st_jump(t, ST_JA(0), no);
}

static void emit_alu(struct st_translation *t, const struct sock_filter *insn)
{
	int op = BPF_OP(insn->code);

	if (BPF_SRC(insn->code) == BPF_K) {
		st_code_emit(t->code, ST_ALU_W(op, REG_A, op == BPF_NEG ? 0 : insn->k));
		return;
	}
	/* classic BPF returns 0 instead of dividing by 0 */
	if (op == BPF_DIV || op == BPF_MOD)
		st_jump(t, ST_JUMP_W(BPF_JEQ, REG_X, 0, 0), st_label(t, ST_LABEL_REJECT));
	st_code_emit(t->code, ST_ALU_W_REG(op, REG_A, REG_X));
}

static void emit_mem(struct st_translation *t, const struct sock_filter *insn)
{
	int class = BPF_CLASS(insn->code);
	int reg = class == BPF_LD || class == BPF_ST ? REG_A : REG_X;
	int off = t->mem_off + 4 * (int)insn->k;

	if (class == BPF_ST || class == BPF_STX)
		st_code_emit(t->code, ST_WRITE(BPF_W, BPF_REG_10, off, reg));
	else
		st_code_emit(t->code, ST_READ(BPF_W, reg, BPF_REG_10, off));
}

static void emit_ld(struct st_translation *t, __u32 pc)
{
	const struct sock_filter *insn = &t->insns[pc];
	int reg = BPF_CLASS(insn->code) == BPF_LD ? REG_A : REG_X;

	switch (BPF_MODE(insn->code)) {
	case BPF_IMM:
		st_code_emit(t->code, ST_SET_W(reg, insn->k));
		break;
	case BPF_MEM:
		emit_mem(t, insn);
		break;
	case BPF_LEN:
		if (t->code->direct)
			st_code_emit(t->code, ST_SKB(reg, len));
		else
			st_code_emit(t->code, ST_MOV_W(reg, REG_LEN));
		break;
	default:
		if (st_is_ancillary(insn))
			st_emit_ancillary(t, insn);
		else
			st_emit_load(t, pc);
	}
}

static void emit_insn(struct st_translation *t, __u32 pc)
{
	const struct sock_filter *insn = &t->insns[pc];

	switch (BPF_CLASS(insn->code)) {
	case BPF_LD:
	case BPF_LDX:
		emit_ld(t, pc);
		break;
	case BPF_ST:
	case BPF_STX:
		emit_mem(t, insn);
		break;
	case BPF_ALU:
		emit_alu(t, insn);
		break;
	case BPF_JMP:
		if (st_is_conditional(insn)) {
			emit_conditional(t, pc);
			break;
		}
		emit_ja(t, pc, st_resolve(t, pc));
		break;
	case BPF_MISC:
		if (BPF_MISCOP(insn->code) == BPF_TAX)
			st_code_emit(t->code, ST_MOV(REG_X, REG_A));
		else
			st_code_emit(t->code, ST_MOV(REG_A, REG_X));
		break;
	case BPF_RET:
		if (insn->code == (BPF_RET | BPF_A)) {
			st_jump(t, ST_JA(0), st_label(t, ST_LABEL_END));
		} else if (insn->k == 0) {
			st_jump(t, ST_JA(0), st_label(t, ST_LABEL_REJECT));
		} else {
			st_code_emit(t->code, ST_SET_W(REG_A, insn->k));
			st_jump(t, ST_JA(0), st_label(t, ST_LABEL_END));
		}
		break;
	}
}

static void emit_all(struct st_translation *t)
{
	struct st_code *code = t->code;

	st_code_emit(code, ST_MOV(REG_CTX, BPF_REG_1));
	st_emit_start(t);
	if (t->needs_a)
		st_code_emit(code, ST_SET_W(REG_A, 0));
	if (t->needs_x)
		st_code_emit(code, ST_SET_W(REG_X, 0));
	t->fixed = code->count;
	for (__u32 pc = 0; pc < t->count && !code->error; pc++) {
		if (!t->dataflow[pc].reached)
			continue;
		st_bind(t, pc);
		st_island(t);
		emit_insn(t, pc);
	}
	if (t->waiting[st_label(t, ST_LABEL_REJECT)] != ST_NO_FIXUP) {
		st_bind(t, st_label(t, ST_LABEL_REJECT));
		st_code_emit(code, ST_SET_W(REG_A, 0));
	}
	st_bind(t, st_label(t, ST_LABEL_END));
}

static int translate(struct st_translation *t, const char **what)
{
	st_dataflow_find(t);
	for (__u32 pc = 0; pc < t->count; pc++) {
		const char *name = st_inexpressible(&t->insns[pc]);

		if (t->dataflow[pc].reached && name) {
			if (what)
				*what = name;
			return -EOPNOTSUPP;
		}
		if (t->dataflow[pc].reached && BPF_MODE(t->insns[pc].code) == BPF_LEN &&
		    BPF_CLASS(t->insns[pc].code) <= BPF_LDX)
			t->uses_len = true;
	}
	for (__u32 label = 0; label < t->count + ST_LABELS; label++)
		t->waiting[label] = ST_NO_FIXUP;
	st_plan_stack(t);
	emit_all(t);
	return t->code->error;
}

int st_translate(struct st_code *code, const struct sock_filter *insns, size_t count,
		 const char **what)
{
	struct st_translation t = {.code = code, .insns = insns, .count = (__u32)count};
	int error;

	if (what)
		*what = NULL;
	if (count == 0) {
		st_code_emit(code, ST_MOV(REG_CTX, BPF_REG_1));
		st_code_emit(code, ST_SET_W(REG_A, 0xffffffff));
		return code->error;
	}
	error = st_check_classic(insns, count);
	if (error)
		return error;
	t.dataflow = calloc(count, sizeof(*t.dataflow));
	t.waiting = malloc((count + ST_LABELS) * sizeof(*t.waiting));
	error = t.dataflow && t.waiting ? translate(&t, what) : -ENOMEM;
	free(t.dataflow);
	free(t.waiting);
	free(t.fixups);
	return error;
}
