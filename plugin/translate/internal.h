/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* What the files of the translator share. */
#ifndef SOCKTALLY_PLUGIN_TRANSLATE_INTERNAL_H
#define SOCKTALLY_PLUGIN_TRANSLATE_INTERNAL_H

#include "plugin/translate/translate.h"

#include <stdbool.h>
#include <stddef.h>

/* The registers of the kernel's own conversion; it keeps no length in a register. */
#define REG_A BPF_REG_0
#define REG_CTX BPF_REG_6 /* needed there by LD_ABS and LD_IND */
#define REG_X BPF_REG_7
#define REG_LEN BPF_REG_8
#define REG_HEADERS BPF_REG_9
#define REG_READABLE REG_LEN /* with direct reads: bytes that R9 points to */

/* What holds for every packet that reaches an instruction. */
struct st_dataflow {
	bool reached;
	bool a_is_set, x_is_set;
	__u32 len_min;               /* the packet has at least so many bytes */
	__u32 a_max, x_max;          /* upper bounds of A and X */
	__u32 mem_max[BPF_MEMWORDS]; /* and of the words of scratch memory */
};
#define ST_MSH_MAX 60 /* 4 * ([k] & 0xf) */

/* Labels: instructions of the filter, then these. */
enum st_label {
	ST_LABEL_END = 0, /* the verdict is in A */
	ST_LABEL_REJECT,
	ST_LABELS,
};

struct st_fixup {
	size_t at; /* index of a jump that waits for its label; SIZE_MAX: resolved */
	__u32 label;
	__u32 next; /* next fixup of the same label, or ST_NO_FIXUP */
};
#define ST_NO_FIXUP 0xffffffffu

struct st_translation {
	struct st_code *code;
	const struct sock_filter *insns;
	__u32 count;
	struct st_dataflow *dataflow; /* `count` of them */

	/* jumps, all forward */
	__u32 *waiting; /* for each of count + ST_LABELS labels the last fixup */
	struct st_fixup *fixups;
	size_t fixup_count, fixup_room, fixup_oldest;
	size_t fixed; /* code before this index may not shrink: a jump with a fixed offset spans it */

	/* offsets from R10: scratch memory, a word for a helper to load, room to save A */
	int mem_off, word_off, save_off;
	/* with direct reads: a copy of the headers, and where loads at fixed offsets end; 0: none */
	int copy_off;
	__u32 direct_end;
	bool uses_header_buffer;
	bool uses_len;
	bool needs_a, needs_x; /* read before written: must be set to 0 first */
};

/* check.c */
int st_check_classic(const struct sock_filter *insns, size_t count);
bool st_is_conditional(const struct sock_filter *insn);
bool st_is_return(const struct sock_filter *insn);
bool st_is_ancillary(const struct sock_filter *insn);
const char *st_inexpressible(const struct sock_filter *insn);

/* dataflow.c */
__u32 st_resolve(const struct st_translation *t, size_t pc);
void st_dataflow_find(struct st_translation *t);
int st_successors(const struct st_translation *t, __u32 pc, __u32 labels[2]);
__u32 st_load_size(const struct sock_filter *insn);
bool st_never_loads(const struct sock_filter *insn);

/* jump.c */
void st_jump(struct st_translation *t, struct bpf_insn jump, __u32 label);
void st_bind(struct st_translation *t, __u32 label);
void st_island(struct st_translation *t);

/* load.c */
void st_plan_stack(struct st_translation *t);
void st_emit_header_buffer(struct st_code *code);
void st_emit_start(struct st_translation *t);
void st_emit_load(struct st_translation *t, __u32 pc);
bool st_is_absolute(const struct sock_filter *insn);
bool st_is_indirect(const struct sock_filter *insn);
/* dst = the value at base + off, in this machine's byte order. */
void st_emit_memory_load(struct st_code *code, int dst, int base, int off, __u32 size);
void st_reject_unless_long(struct st_translation *t, __u32 pc, __u32 len, int reg);

/* load_direct.c */
void st_plan_direct(struct st_translation *t);
void st_emit_direct_start(struct st_translation *t);
/* dst = what is loaded. False: it is no load at a fixed offset in the first bytes. */
bool st_emit_direct_fixed(struct st_translation *t, __u32 pc, int dst);
/*
 * A = what is loaded, where it is in the linear part. Returns where a jump is over the other way to load, which
 * the caller appends; 0: it is no such load.
 */
size_t st_emit_direct_elsewhere(struct st_translation *t, __u32 pc);

/* ancillary.c */
void st_emit_ancillary(struct st_translation *t, const struct sock_filter *insn);

static inline __u32 st_label(const struct st_translation *t, enum st_label label)
{
	return t->count + label;
}

/* The jump at this index goes to the next instruction that is written. */
static inline void st_land_here(struct st_code *code, size_t at)
{
	if (!code->error)
		code->insns[at].off = (__s16)(code->count - at - 1);
}

/* eBPF instructions. W: 32 bits, which sets the upper half to 0. */
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
#define ST_CB_OFFSET(WORD) ((int)offsetof(struct __sk_buff, cb) + 4 * (WORD))
#define ST_WRITE(SIZE, DST, OFF, SRC) st_insn(BPF_STX | (SIZE) | BPF_MEM, DST, SRC, OFF, 0)
#define ST_FROM_BE(DST, BITS) st_insn(BPF_ALU | BPF_END | BPF_TO_BE, DST, 0, 0, BITS)
#define ST_CALL(FUNC) st_insn(BPF_JMP | BPF_CALL, 0, 0, 0, FUNC)
#define ST_CALL_FUNCTION(SIZE) st_insn(BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_CALL, 0, -(SIZE))
#define ST_MAP(DST, FD) st_insn(BPF_LD | BPF_DW | BPF_IMM, DST, BPF_PSEUDO_MAP_FD, 0, (__u32)(FD))
#define ST_EXIT() st_insn(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)
#define ST_JA(OFF) st_insn(BPF_JMP | BPF_JA, 0, 0, OFF, 0)
#define ST_JUMP(OP, DST, IMM, OFF) st_insn(BPF_JMP | (OP) | BPF_K, DST, 0, OFF, IMM)
#define ST_JUMP_W(OP, DST, IMM, OFF) st_insn(BPF_JMP32 | (OP) | BPF_K, DST, 0, OFF, IMM)
#define ST_JUMP_W_REG(OP, DST, SRC, OFF) st_insn(BPF_JMP32 | (OP) | BPF_X, DST, SRC, OFF, 0)

#endif
