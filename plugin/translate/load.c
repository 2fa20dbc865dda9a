/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Loads from the packet.
 *
 * Where programs can read in place, most are done in load_direct.c. What is here is for other kernels, and for
 * what is not in the packet's linear part.
 *
 * Most are at fixed offsets in the first headers. One helper call copies those to this CPU's header
 * buffer, which the parser needs anyway; each load is then one or two instructions.
 *
 * Other loads are LD_ABS and LD_IND, which the verifier replaces by six instructions each. They end
 * the program when they are out of range, so the length is tested first, unless data flow shows
 * that it suffices.
 *
 * Negative offsets count from the network or the link-layer header, and their range is not known.
 * There LD_IND is in a function, which it may end early. Where a program can't have functions,
 * bpf_skb_load_bytes_relative() is used, which does not read fragments.
 */
#include "bpf/parse/packet.h"
#include "plugin/translate/internal.h"

#include <stddef.h>
#include <stdint.h>

bool st_is_absolute(const struct sock_filter *insn)
{
	if (insn->code == (BPF_LDX | BPF_B | BPF_MSH))
		return true;
	return BPF_CLASS(insn->code) == BPF_LD && BPF_MODE(insn->code) == BPF_ABS &&
	       !st_is_ancillary(insn);
}

bool st_is_indirect(const struct sock_filter *insn)
{
	return BPF_CLASS(insn->code) == BPF_LD && BPF_MODE(insn->code) == BPF_IND;
}

/* The usual value of X = 4 * ([14] & 0xf). */
#define IHL 20

/*
 * The offset in the header buffer at which the load finds its value: always, or if X is IHL.
 * UINT32_MAX: it does not.
 */
static __u32 header_offset(const struct st_translation *t, __u32 pc)
{
	const struct sock_filter *insn = &t->insns[pc];
	__u32 last = ST_HEADERS_LOAD - st_load_size(insn);

	if (st_is_absolute(insn) && insn->k <= last)
		return insn->k;
	if (st_is_indirect(insn) && t->dataflow[pc].x_max == ST_MSH_MAX && insn->k <= last - IHL)
		return insn->k + IHL;
	return UINT32_MAX;
}

void st_plan_stack(struct st_translation *t)
{
	t->mem_off = 0;
	for (__u32 pc = 0; pc < t->count; pc++) {
		const struct sock_filter *insn = &t->insns[pc];

		if (!t->dataflow[pc].reached)
			continue;
		if (insn->code == BPF_ST || insn->code == BPF_STX)
			t->mem_off = -4 * BPF_MEMWORDS;
		if (st_is_indirect(insn) || (st_is_absolute(insn) && insn->k < 0x80000000u))
			t->uses_len = true;
		if (t->code->header_buffer && !t->code->direct &&
		    header_offset(t, pc) != UINT32_MAX)
			t->uses_header_buffer = true;
	}
	t->word_off = t->mem_off - 4;
	t->save_off = t->word_off - 4;
	if (t->code->direct)
		st_plan_direct(t);
}

/*
 * R9 = this CPU's header buffer. There is one for each number up to the mask, so no test is needed.
 */
void st_emit_header_buffer(struct st_code *code)
{
	int shift = __builtin_ctz(ST_HEADER_BUFFER);

	st_code_emit(code, ST_CALL(BPF_FUNC_get_smp_processor_id));
	st_code_emit(code, ST_ALU_W(BPF_AND, BPF_REG_0, code->header_buffer->mask));
	st_code_emit(code, ST_ALU_W(BPF_LSH, BPF_REG_0, (__u32)shift));
	st_code_emit(code, st_insn(BPF_LD | BPF_DW | BPF_IMM, REG_HEADERS, BPF_PSEUDO_MAP_VALUE, 0,
				   (__u32)code->header_buffer->map));
	st_code_emit(code, (struct bpf_insn){0});
	st_code_emit(code, st_insn(BPF_ALU64 | BPF_ADD | BPF_X, REG_HEADERS, BPF_REG_0, 0, 0));
}

/*
 * Sets REG_LEN, and copies the headers if a load needs them. For a short packet the rest of the
 * buffer is old, but each load tests the length first. If the helper fails, it fills the buffer
 * with zeros, and the parser loads by itself.
 */
void st_emit_start(struct st_translation *t)
{
	struct st_code *code = t->code;

	if (code->direct) {
		st_emit_direct_start(t);
		return;
	}
	if (t->uses_len)
		st_code_emit(code, ST_SKB(REG_LEN, len));
	if (!t->uses_header_buffer)
		return;
	st_emit_header_buffer(code);
	if (code->headers_are_loaded)
		return;
	st_code_emit(code, ST_MOV(BPF_REG_1, REG_CTX));
	st_code_emit(code, ST_SET_W(BPF_REG_2, 0));
	st_code_emit(code, ST_MOV(BPF_REG_3, REG_HEADERS));
	st_code_emit(code, ST_SET_W(BPF_REG_4, ST_HEADERS_LOAD));
	st_code_emit(code, ST_JUMP(BPF_JGE, REG_LEN, ST_HEADERS_LOAD, 2));
	/* JLT 1 instead of JEQ 0: verifiers up to Linux 6.2 learn nothing from JEQ 0 */
	st_code_emit(code, ST_JUMP(BPF_JLT, REG_LEN, 1, 4));
	st_code_emit(code, ST_MOV(BPF_REG_4, REG_LEN));
	st_code_emit(code, ST_CALL(BPF_FUNC_skb_load_bytes));
	st_code_emit(code, ST_ADD(BPF_REG_0, 1));
	st_code_emit(code, ST_WRITE(BPF_W, REG_CTX, ST_CB_OFFSET(ST_CB_HEADERS), BPF_REG_0));
}

static __u32 ld_size(__u32 size)
{
	return size == 4 ? BPF_W : size == 2 ? BPF_H : BPF_B;
}

void st_emit_memory_load(struct st_code *code, int dst, int base, int off, __u32 size)
{
	st_code_emit(code, ST_READ((int)ld_size(size), dst, base, off));
	if (size > 1)
		st_code_emit(code, ST_FROM_BE(dst, 8 * size));
}

void st_reject_unless_long(struct st_translation *t, __u32 pc, __u32 len, int reg)
{
	if (t->dataflow[pc].len_min < len)
		st_jump(t, ST_JUMP_W(BPF_JLT, reg, len, 0), st_label(t, ST_LABEL_REJECT));
}

/* The register with the packet's length. */
static int length(struct st_translation *t)
{
	if (!t->code->direct)
		return REG_LEN;
	st_code_emit(t->code, ST_SKB(BPF_REG_3, len));
	return BPF_REG_3;
}

/*
 * A = the value at the signed offset R2, by a function. LD_IND ends the function early if there is
 * nothing there, so success is noted in the context. It can't be noted elsewhere: some verifiers
 * would conclude that the function always reaches its end, but for the context they assume any
 * value.
 *
 * The verifier of Linux 6.18 fails when it tracks back across such a call what it knows of a
 * register, so X and the length are read from the context again.
 */
static void emit_function_call(struct st_translation *t, __u32 pc, __u32 size)
{
	struct st_code *code = t->code;
	bool x_is_set = t->needs_x || t->dataflow[pc].x_is_set;

	st_code_emit(code, ST_SET_W(BPF_REG_1, 0));
	st_code_emit(code, ST_WRITE(BPF_W, REG_CTX, ST_CB_OFFSET(ST_CB_LOADED), BPF_REG_1));
	if (x_is_set)
		st_code_emit(code, ST_WRITE(BPF_W, REG_CTX, ST_CB_OFFSET(ST_CB_X), REG_X));
	if (t->direct_end)
		st_code_emit(code,
			     ST_WRITE(BPF_W, REG_CTX, ST_CB_OFFSET(ST_CB_HEADERS), REG_READABLE));
	st_code_emit(code, ST_MOV(BPF_REG_1, REG_CTX));
	st_code_emit(code, ST_CALL_FUNCTION(size));
	if (x_is_set)
		st_code_emit(code, ST_READ(BPF_W, REG_X, REG_CTX, ST_CB_OFFSET(ST_CB_X)));
	if (t->uses_len)
		st_code_emit(code, ST_SKB(REG_LEN, len));
	if (t->direct_end)
		st_code_emit(code,
			     ST_READ(BPF_W, REG_READABLE, REG_CTX, ST_CB_OFFSET(ST_CB_HEADERS)));
	st_code_emit(code, ST_READ(BPF_W, BPF_REG_1, REG_CTX, ST_CB_OFFSET(ST_CB_LOADED)));
	st_jump(t, ST_JUMP(BPF_JEQ, BPF_REG_1, 0, 0), st_label(t, ST_LABEL_REJECT));
}

/* R1: context, R2: offset */
static void emit_function(struct st_code *code, __u32 size)
{
	st_code_emit(code, ST_MOV(REG_CTX, BPF_REG_1));
	st_code_emit(code, st_insn(BPF_LD | BPF_IND | (int)ld_size(size), 0, BPF_REG_2, 0, 0));
	st_code_emit(code, ST_SET_W(BPF_REG_1, 1));
	st_code_emit(code, ST_WRITE(BPF_W, REG_CTX, ST_CB_OFFSET(ST_CB_LOADED), BPF_REG_1));
	st_code_emit(code, ST_EXIT());
}

int st_code_finish(struct st_code *code)
{
	size_t count = code->count;

	for (__u32 size = 1; size <= 4; size *= 2) {
		size_t start = code->count;
		bool used = false;

		for (size_t i = 0; i < count; i++) {
			struct bpf_insn *insn = &code->insns[i];

			/* until then, the immediate is the size, negative */
			if (insn->code != (BPF_JMP | BPF_CALL) ||
			    insn->src_reg != BPF_PSEUDO_CALL || insn->imm != -(__s32)size)
				continue;
			insn->imm = (__s32)(start - i - 1);
			used = true;
		}
		if (!used)
			continue;
		code->functions[code->function_count++] = (__u32)start;
		emit_function(code, size);
	}
	return code->error;
}

/* A = the value at offset R2 from the header that R5 selects. */
static void emit_relative(struct st_translation *t, __u32 size)
{
	struct st_code *code = t->code;

	st_code_emit(code, ST_MOV(BPF_REG_1, REG_CTX));
	st_code_emit(code, ST_MOV(BPF_REG_3, BPF_REG_10));
	st_code_emit(code, ST_ADD(BPF_REG_3, (__u32)t->word_off));
	st_code_emit(code, ST_SET_W(BPF_REG_4, size));
	st_code_emit(code, ST_CALL(BPF_FUNC_skb_load_bytes_relative));
	st_jump(t, ST_JUMP(BPF_JNE, BPF_REG_0, 0, 0), st_label(t, ST_LABEL_REJECT));
	st_emit_memory_load(code, REG_A, BPF_REG_10, t->word_off, size);
}

static void emit_absolute(struct st_translation *t, __u32 pc, __u32 size)
{
	const struct sock_filter *insn = &t->insns[pc];
	__u32 k = insn->k;

	if (k < 0x80000000u) {
		st_reject_unless_long(t, pc, k + size, length(t));
		st_code_emit(t->code, st_insn(BPF_LD | BPF_ABS | (int)ld_size(size), 0, 0, 0, k));
		return;
	}
	if (!t->code->plain) {
		st_code_emit(t->code, ST_SET_W(BPF_REG_2, k));
		emit_function_call(t, pc, size);
		return;
	}
	if (k >= (__u32)SKF_NET_OFF) {
		st_code_emit(t->code, ST_SET_W(BPF_REG_2, k - (__u32)SKF_NET_OFF));
		st_code_emit(t->code, ST_SET_W(BPF_REG_5, BPF_HDR_START_NET));
	} else {
		st_code_emit(t->code, ST_SET_W(BPF_REG_2, k - (__u32)SKF_LL_OFF));
		st_code_emit(t->code, ST_SET_W(BPF_REG_5, BPF_HDR_START_MAC));
	}
	emit_relative(t, size);
}

/* The signed number X + k may be negative: which area is it in? */
static void emit_indirect_negative(struct st_translation *t, __u32 size)
{
	struct st_code *code = t->code;

	st_code_emit(code, ST_SET_W(BPF_REG_5, BPF_HDR_START_NET));
	st_code_emit(code, ST_ALU_W(BPF_SUB, BPF_REG_2, (__u32)SKF_NET_OFF));
	st_code_emit(code, ST_JUMP_W(BPF_JLT, BPF_REG_2, -(__u32)SKF_NET_OFF, 3));
	st_code_emit(code, ST_SET_W(BPF_REG_5, BPF_HDR_START_MAC));
	st_code_emit(code, ST_ALU_W(BPF_SUB, BPF_REG_2, (__u32)(SKF_LL_OFF - SKF_NET_OFF)));
	st_jump(t, ST_JUMP_W(BPF_JGE, BPF_REG_2, (__u32)(SKF_NET_OFF - SKF_LL_OFF), 0),
		st_label(t, ST_LABEL_REJECT));
	emit_relative(t, size);
}

static void emit_indirect(struct st_translation *t, __u32 pc, __u32 size)
{
	struct st_code *code = t->code;
	const struct sock_filter *insn = &t->insns[pc];
	__u64 last = (__u64)insn->k + t->dataflow[pc].x_max;
	bool signed_too = last >= 0x80000000u;
	size_t fork = 0, done = 0;

	st_code_emit(code, ST_MOV_W(BPF_REG_2, REG_X));
	if (insn->k)
		st_code_emit(code, ST_ALU_W(BPF_ADD, BPF_REG_2, insn->k));
	if (signed_too && !code->plain) {
		emit_function_call(t, pc, size);
		return;
	}
	if (signed_too) {
		fork = code->count;
		st_code_emit(code, ST_JUMP_W(BPF_JSGE, BPF_REG_2, 0, 0));
		emit_indirect_negative(t, size);
		done = code->count;
		st_code_emit(code, ST_JA(0));
		if (!code->error)
			code->insns[fork].off = (__s16)(code->count - fork - 1);
	}
	if (signed_too || t->dataflow[pc].len_min < last + size) {
		st_code_emit(code, ST_MOV_W(BPF_REG_1, BPF_REG_2));
		st_code_emit(code, ST_ALU_W(BPF_ADD, BPF_REG_1, size));
		st_jump(t, ST_JUMP_W_REG(BPF_JGT, BPF_REG_1, length(t), 0),
			st_label(t, ST_LABEL_REJECT));
	}
	st_code_emit(code, st_insn(BPF_LD | BPF_IND | (int)ld_size(size), 0, BPF_REG_2, 0, 0));
	if (signed_too && !code->error)
		code->insns[done].off = (__s16)(code->count - done - 1);
}

/* Loads from the header buffer if possible. *past: the jump over another way to load, or 0. */
static bool emit_from_header_buffer(struct st_translation *t, __u32 pc, int dst, size_t *past)
{
	struct st_code *code = t->code;
	__u32 offset = header_offset(t, pc), size = st_load_size(&t->insns[pc]);
	size_t fork = code->count;

	*past = 0;
	if (!t->uses_header_buffer || offset == UINT32_MAX)
		return false;
	if (st_is_indirect(&t->insns[pc]))
		st_code_emit(code, ST_JUMP_W(BPF_JNE, REG_X, IHL, 0));
	st_reject_unless_long(t, pc, offset + size, REG_LEN);
	st_emit_memory_load(code, dst, REG_HEADERS, (int)offset, size);
	if (st_is_indirect(&t->insns[pc]) && !code->error) {
		*past = code->count;
		st_code_emit(code, ST_JA(0));
		if (!code->error)
			code->insns[fork].off = (__s16)(code->count - fork - 1);
	}
	return true;
}

void st_emit_load(struct st_translation *t, __u32 pc)
{
	struct st_code *code = t->code;
	const struct sock_filter *insn = &t->insns[pc];
	bool to_x = BPF_CLASS(insn->code) == BPF_LDX;
	__u32 size = st_load_size(insn);
	int dst = to_x ? REG_X : REG_A;
	size_t past = 0;
	bool done;

	if (st_never_loads(insn)) {
		st_jump(t, ST_JA(0), st_label(t, ST_LABEL_REJECT));
		return;
	}
	done = code->direct ? st_emit_direct_fixed(t, pc, dst)
			    : emit_from_header_buffer(t, pc, dst, &past);
	if (!done || past) {
		if (to_x)
			st_code_emit(code, ST_WRITE(BPF_W, BPF_REG_10, t->save_off, REG_A));
		if (code->direct)
			past = st_emit_direct_elsewhere(t, pc);
		if (st_is_indirect(insn))
			emit_indirect(t, pc, size);
		else
			emit_absolute(t, pc, size);
		if (past)
			st_land_here(code, past);
		if (to_x) {
			st_code_emit(code, ST_MOV(REG_X, REG_A));
			st_code_emit(code, ST_READ(BPF_W, REG_A, BPF_REG_10, t->save_off));
		}
	}
	if (to_x) {
		st_code_emit(code, ST_ALU_W(BPF_AND, REG_X, 0xf));
		st_code_emit(code, ST_ALU_W(BPF_LSH, REG_X, 2));
	}
}
