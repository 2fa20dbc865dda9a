/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* The translator's parts among themselves: check, facts, jumps, loads, the walk over all. */
#ifndef SOCKTALLY_PLUGIN_TRANSLATE_INTERNAL_H
#define SOCKTALLY_PLUGIN_TRANSLATE_INTERNAL_H

#include "plugin/translate/translate.h"

#include <stdbool.h>
#include <stddef.h>

/* As the kernel's own conversion has them, but for len, which it doesn't need in a register. */
#define REG_A BPF_REG_0
#define REG_CTX BPF_REG_6 /* where LD_ABS and LD_IND want it */
#define REG_X BPF_REG_7
#define REG_LEN BPF_REG_8
#define REG_BLOCK BPF_REG_9

/* What is known of every packet that comes to an instruction, whichever way. */
struct st_dataflow {
	bool reached;
	bool a_is_set, x_is_set;
	__u32 len_min;               /* the packet is at least that long */
	__u32 a_max, x_max;          /* A and X are at most that */
	__u32 mem_max[BPF_MEMWORDS]; /* and so are the words of scratch memory */
};
#define ST_MSH_MAX 60 /* 4 * ([k] & 0xf) */

/* Labels: an instruction of the filter, or one of these, counted from its end. */
enum st_label {
	ST_LABEL_END = 0, /* A is the verdict */
	ST_LABEL_REJECT,
	ST_LABELS,
};

struct st_fixup {
	size_t at; /* a jump in the code that waits for its label; SIZE_MAX: it has it */
	__u32 label;
	__u32 next; /* of the same label; ST_NO_FIXUP ends */
};
#define ST_NO_FIXUP 0xffffffffu

struct st_translation {
	struct st_code *code;
	const struct sock_filter *insns;
	__u32 count;
	struct st_dataflow *facts; /* count */

	/* jumps, all forward */
	__u32 *waiting; /* count + ST_LABELS: the last fixup of each label */
	struct st_fixup *fixups;
	size_t fixup_count, fixup_room, fixup_oldest;
	size_t fixed; /* what is before this may not shrink: a jump goes over it by a number */

	/* the stack, offsets from R10: scratch memory, a word that one load fetches, A meanwhile */
	int mem_off, word_off, save_off;
	bool uses_block;
	bool uses_len;
	bool needs_a, needs_x; /* zero, because it is read before it is written */
};

/* translate_check.c */
int st_check_classic(const struct sock_filter *insns, size_t count);
bool st_is_conditional(const struct sock_filter *insn);
bool st_is_return(const struct sock_filter *insn);
bool st_is_ancillary(const struct sock_filter *insn);
const char *st_inexpressible(const struct sock_filter *insn);

/* translate_facts.c */
__u32 st_resolve(const struct st_translation *t, size_t pc);
void st_dataflow_find(struct st_translation *t);
int st_successors(const struct st_translation *t, __u32 pc, __u32 labels[2]);
__u32 st_load_size(const struct sock_filter *insn);
bool st_never_loads(const struct sock_filter *insn);

/* translate_jump.c */
void st_jump(struct st_translation *t, struct bpf_insn jump, __u32 label);
void st_bind(struct st_translation *t, __u32 label);
void st_island(struct st_translation *t);

/* translate_load.c */
void st_plan_stack(struct st_translation *t);
void st_emit_header_buffer(struct st_code *code);
void st_emit_block(struct st_translation *t);
void st_emit_load(struct st_translation *t, __u32 pc);

/* translate_ancillary.c */
void st_emit_ancillary(struct st_translation *t, const struct sock_filter *insn);

static inline __u32 st_label(const struct st_translation *t, enum st_label label)
{
	return t->count + label;
}

/* Instructions by what they do. W: 32 bits, the upper half becomes zero. */
static inline struct bpf_insn st_insn(int code, int dst, int src, int off, __u32 imm)
{
	return (struct bpf_insn){
		.code = (__u8)code,
		.dst_reg = (__u8)dst & 0xf,
		.src_reg = (__u8)src & 0xf,
		.off = (__s16)off,
		.imm = (__s32)imm,
	};
}

#define ST_MOV(DST, SRC) st_insn(BPF_ALU64 | BPF_MOV | BPF_X, DST, SRC, 0, 0)
#define ST_MOV_W(DST, SRC) st_insn(BPF_ALU | BPF_MOV | BPF_X, DST, SRC, 0, 0)
#define ST_SET_W(DST, IMM) st_insn(BPF_ALU | BPF_MOV | BPF_K, DST, 0, 0, IMM)
#define ST_ADD(DST, IMM) st_insn(BPF_ALU64 | BPF_ADD | BPF_K, DST, 0, 0, IMM)
#define ST_ALU_W(OP, DST, IMM) st_insn(BPF_ALU | (OP) | BPF_K, DST, 0, 0, IMM)
#define ST_ALU_W_REG(OP, DST, SRC) st_insn(BPF_ALU | (OP) | BPF_X, DST, SRC, 0, 0)
#define ST_READ(SIZE, DST, SRC, OFF) st_insn(BPF_LDX | (SIZE) | BPF_MEM, DST, SRC, OFF, 0)
#define ST_SKB(DST, FIELD) ST_READ(BPF_W, DST, REG_CTX, (int)offsetof(struct __sk_buff, FIELD))
#define ST_WRITE(SIZE, DST, OFF, SRC) st_insn(BPF_STX | (SIZE) | BPF_MEM, DST, SRC, OFF, 0)
#define ST_FROM_BE(DST, BITS) st_insn(BPF_ALU | BPF_END | BPF_TO_BE, DST, 0, 0, BITS)
#define ST_CALL(FUNC) st_insn(BPF_JMP | BPF_CALL, 0, 0, 0, FUNC)
#define ST_CALL_FUNCTION(SIZE) st_insn(BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_CALL, 0, -(SIZE))
#define ST_EXIT() st_insn(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)
#define ST_JA(OFF) st_insn(BPF_JMP | BPF_JA, 0, 0, OFF, 0)
#define ST_JUMP(OP, DST, IMM, OFF) st_insn(BPF_JMP | (OP) | BPF_K, DST, 0, OFF, IMM)
#define ST_JUMP_W(OP, DST, IMM, OFF) st_insn(BPF_JMP32 | (OP) | BPF_K, DST, 0, OFF, IMM)
#define ST_JUMP_W_REG(OP, DST, SRC, OFF) st_insn(BPF_JMP32 | (OP) | BPF_X, DST, SRC, OFF, 0)

#endif
