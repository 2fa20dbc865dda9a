// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * Loads from the packet in place, where the kernel lets programs do that: see plugin/bpf/direct.h.
 *
 * R9 points to the packet's first bytes and R8 says how many can be read there. That is the linear part if it
 * holds all that loads at fixed offsets in the first ST_HEADERS_LOAD bytes want; else those bytes are copied to the
 * stack, so that these loads have one way only. Loads elsewhere look at the linear part, and take the other way
 * where it is too short.
 *
 * The verifier of Linux 6.18 fails when it tracks back across the call of a function what it knows of a number
 * (see emit_function_call()). So these ask for address and length each time, and nothing of it is kept; and the
 * address is loaded as 8 characters, which is a number and no pointer.
 */
#include "bpf/parse/packet.h"
#include "plugin/translate/internal.h"

#define COPY_SIZE 128 /* ST_HEADERS_LOAD, and aligned */
_Static_assert(COPY_SIZE >= ST_HEADERS_LOAD && COPY_SIZE % 8 == 0, "the headers have room");

/* The end of what a load at a fixed offset in the first bytes reads; 0: it isn't one. */
static __u32 fixed_end(const struct sock_filter *insn)
{
	__u32 size = st_load_size(insn);

	return st_is_absolute(insn) && insn->k <= ST_HEADERS_LOAD - size ? insn->k + size : 0;
}

/* Elsewhere, but not only from the network or link-layer header on. */
static bool is_elsewhere(const struct sock_filter *insn)
{
	return st_is_indirect(insn) ||
	       (st_is_absolute(insn) && insn->k < 0x80000000u && !fixed_end(insn));
}

void st_plan_direct(struct st_translation *t)
{
	t->uses_len = false; /* R8 is not the length */
	for (__u32 pc = 0; pc < t->count; pc++) {
		const struct sock_filter *insn = &t->insns[pc];

		if (!t->dataflow[pc].reached)
			continue;
		if (fixed_end(insn) > t->direct_end)
			t->direct_end = fixed_end(insn);
	}
	t->copy_off = t->save_off;
	if (t->direct_end)
		t->copy_off = t->save_off / 8 * 8 - 8 - COPY_SIZE;
}

/* R0 = R1, any number, as a pointer to ST_DIRECT_BYTES bytes; R1 to R5 are lost. */
static void emit_cast(struct st_code *code)
{
	st_code_emit(code, ST_SET_W(BPF_REG_2, code->direct->bytes));
	st_code_emit(code, st_direct_call(code->direct->cast_readonly));
}

/* R8 through memory: the verifier shall not follow the filter once for each way here. */
static void emit_forget_readable(struct st_code *code)
{
	st_code_emit(code, ST_WRITE(BPF_W, REG_CTX, ST_CB_OFFSET(ST_CB_HEADERS), REG_READABLE));
	st_code_emit(code, ST_READ(BPF_W, REG_READABLE, REG_CTX, ST_CB_OFFSET(ST_CB_HEADERS)));
}

/* Copies the headers to the stack. Nothing there: R8 is 0. */
static void emit_copy(struct st_translation *t)
{
	struct st_code *code = t->code;

	st_code_emit(code, ST_MOV(REG_HEADERS, BPF_REG_10));
	st_code_emit(code, ST_ADD(REG_HEADERS, (__u32)t->copy_off));
	st_code_emit(code, ST_SKB(REG_READABLE, len));
	st_code_emit(code, ST_JUMP(BPF_JLE, REG_READABLE, ST_HEADERS_LOAD, 1));
	st_code_emit(code, ST_SET_W(REG_READABLE, ST_HEADERS_LOAD));
	st_code_emit(code, ST_JUMP(BPF_JLT, REG_READABLE, 1, 7));
	st_code_emit(code, ST_MOV(BPF_REG_1, REG_CTX));
	st_code_emit(code, ST_SET_W(BPF_REG_2, 0));
	st_code_emit(code, ST_MOV(BPF_REG_3, REG_HEADERS));
	st_code_emit(code, ST_MOV(BPF_REG_4, REG_READABLE));
	st_code_emit(code, ST_CALL(BPF_FUNC_skb_load_bytes));
	st_code_emit(code, ST_JUMP(BPF_JEQ, BPF_REG_0, 0, 1));
	st_code_emit(code, ST_SET_W(REG_READABLE, 0));
}

void st_emit_direct_start(struct st_translation *t)
{
	struct st_code *code = t->code;
	const struct st_direct *direct = code->direct;
	size_t whole, enough;

	if (!t->direct_end)
		return;
	/* R1 is the context still */
	st_code_emit(code, st_direct_call(direct->cast_context));
	st_code_emit(code, ST_READ(BPF_W, REG_READABLE, BPF_REG_0, (int)direct->len));
	st_code_emit(code, ST_READ(BPF_W, BPF_REG_1, BPF_REG_0, (int)direct->data_len));
	st_code_emit(code, ST_READ(BPF_DW, REG_HEADERS, BPF_REG_0, (int)direct->data));
	whole = code->count;
	st_code_emit(code, ST_JUMP(BPF_JEQ, BPF_REG_1, 0, 0));
	st_code_emit(code, ST_ALU_W_REG(BPF_SUB, REG_READABLE, BPF_REG_1));
	enough = code->count;
	st_code_emit(code, ST_JUMP(BPF_JGE, REG_READABLE, t->direct_end, 0));
	emit_copy(t);
	st_land_here(code, enough);
	emit_forget_readable(code);
	st_land_here(code, whole);
	st_code_emit(code, ST_MOV(BPF_REG_1, REG_HEADERS));
	emit_cast(code);
	st_code_emit(code, ST_MOV(REG_HEADERS, BPF_REG_0));
}

/* At R9 + offset; A is lost if it has to be cast anew, unless it is what is loaded. */
static void emit_fixed(struct st_translation *t, __u32 pc, int dst)
{
	struct st_code *code = t->code;
	__u32 k = t->insns[pc].k, size = st_load_size(&t->insns[pc]);

	st_reject_unless_long(t, pc, k + size, REG_READABLE);
	if (k + size <= ST_DIRECT_BYTES) {
		st_emit_memory_load(code, dst, REG_HEADERS, (int)k, size);
		return;
	}
	if (dst != REG_A)
		st_code_emit(code, ST_WRITE(BPF_W, BPF_REG_10, t->save_off, REG_A));
	st_code_emit(code, ST_MOV(BPF_REG_1, REG_HEADERS));
	st_code_emit(code, ST_ADD(BPF_REG_1, k));
	emit_cast(code);
	st_emit_memory_load(code, dst, BPF_REG_0, 0, size);
	if (dst != REG_A)
		st_code_emit(code, ST_READ(BPF_W, REG_A, BPF_REG_10, t->save_off));
}

bool st_emit_direct_fixed(struct st_translation *t, __u32 pc, int dst)
{
	if (!fixed_end(&t->insns[pc]))
		return false;
	emit_fixed(t, pc, dst);
	return true;
}

/* R2 = the offset, 32 bits */
static void emit_offset(struct st_code *code, const struct sock_filter *insn)
{
	if (!st_is_indirect(insn)) {
		st_code_emit(code, ST_SET_W(BPF_REG_2, insn->k));
		return;
	}
	st_code_emit(code, ST_MOV_W(BPF_REG_2, REG_X));
	if (insn->k)
		st_code_emit(code, ST_ALU_W(BPF_ADD, BPF_REG_2, insn->k));
}

size_t st_emit_direct_elsewhere(struct st_translation *t, __u32 pc)
{
	struct st_code *code = t->code;
	const struct st_direct *direct = code->direct;
	const struct sock_filter *insn = &t->insns[pc];
	__u32 size = st_load_size(insn);
	size_t fork, past;

	if (!is_elsewhere(insn))
		return 0;
	st_code_emit(code, ST_MOV(BPF_REG_1, REG_CTX));
	st_code_emit(code, st_direct_call(direct->cast_context));
	st_code_emit(code, ST_READ(BPF_W, BPF_REG_3, BPF_REG_0, (int)direct->len));
	st_code_emit(code, ST_READ(BPF_W, BPF_REG_4, BPF_REG_0, (int)direct->data_len));
	st_code_emit(code, ST_ALU_W_REG(BPF_SUB, BPF_REG_3, BPF_REG_4));
	emit_offset(code, insn);
	st_code_emit(code, ST_ADD(BPF_REG_2, size));
	fork = code->count;
	st_code_emit(code, st_insn(BPF_JMP | BPF_JGT | BPF_X, BPF_REG_2, BPF_REG_3, 0, 0));
	st_code_emit(code, ST_MOV(BPF_REG_1, BPF_REG_0));
	st_code_emit(code, ST_ADD(BPF_REG_1, direct->data));
	emit_cast(code);
	st_code_emit(code, ST_READ(BPF_DW, BPF_REG_1, BPF_REG_0, 0));
	emit_offset(code, insn);
	st_code_emit(code, st_insn(BPF_ALU64 | BPF_ADD | BPF_X, BPF_REG_1, BPF_REG_2, 0, 0));
	emit_cast(code);
	st_emit_memory_load(code, REG_A, BPF_REG_0, 0, size);
	past = code->count;
	st_code_emit(code, ST_JA(0));
	st_land_here(code, fork);
	return past;
}
