// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * The attached program: the tool's filter, then the chain.
 *
 * It is a complete filter of its own: if the chain is empty, because whoever held it is gone, the
 * tail call falls through and the tool's verdict is returned.
 */
#include "plugin/attach/attach.h"
#include "plugin/bpf/syscall.h"
#include "plugin/meter/maps.h"
#include "plugin/meter/meter.h"
#include "plugin/attach/saved_filter.h"
#include "plugin/translate/translate.h"
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#define CB_OFFSET(number) (offsetof(struct __sk_buff, cb) + 4 * (number))

static struct bpf_insn move(int to, int from)
{
	return (struct bpf_insn){.code = BPF_ALU64 | BPF_MOV | BPF_X,
				 .dst_reg = to,
				 .src_reg = from};
}

static struct bpf_insn move_number(int to, uint32_t number)
{
	return (struct bpf_insn){.code = BPF_ALU | BPF_MOV | BPF_K,
				 .dst_reg = to,
				 .imm = (int32_t)number};
}

static struct bpf_insn store_cb(enum st_cb slot, int from)
{
	return (struct bpf_insn){.code = BPF_STX | BPF_MEM | BPF_W,
				 .dst_reg = BPF_REG_6,
				 .src_reg = from,
				 .off = (int16_t)CB_OFFSET(slot)};
}

/* R8 = the link: known, or by the interface that the packet came from. */
static void emit_link(struct st_code *code, const struct st_socket_link *socket_link)
{
	st_code_emit(code,
		     move_number(BPF_REG_8, socket_link->link ? socket_link->link : ST_LINK_ETH));
	if (socket_link->link)
		return;
	st_code_emit(code, (struct bpf_insn){.code = BPF_LDX | BPF_MEM | BPF_W,
					     .dst_reg = BPF_REG_9,
					     .src_reg = BPF_REG_6,
					     .off = offsetof(struct __sk_buff, ifindex)});
	for (unsigned int i = 0; i < socket_link->other_count; i++) {
		st_code_emit(code, (struct bpf_insn){.code = BPF_JMP | BPF_JNE | BPF_K,
						     .dst_reg = BPF_REG_9,
						     .off = 1,
						     .imm = socket_link->others[i].ifindex});
		st_code_emit(code, move_number(BPF_REG_8, socket_link->others[i].link));
	}
}

/* From R0 = verdict, R6 = context. R7 keeps the verdict, as a tail call clobbers R0 to R5. */
static void emit_chain(struct st_code *code, const struct st_socket_link *socket_link, int chain)
{
	st_code_emit(code, move(BPF_REG_7, BPF_REG_0));
	emit_link(code, socket_link);
	st_code_emit(code, store_cb(ST_CB_VERDICT, BPF_REG_7));
	st_code_emit(code, store_cb(ST_CB_LINK, BPF_REG_8));
	st_code_emit(code, move_number(BPF_REG_3, ST_CHAIN_ENTRY));
	_Static_assert(ST_CHAIN_ENTRY == 0, "also the first part's number");
	st_code_emit(code, store_cb(ST_CB_PART, BPF_REG_3));
	st_code_emit(code, move(BPF_REG_1, BPF_REG_6));
	st_code_emit(code, (struct bpf_insn){.code = BPF_LD | BPF_DW | BPF_IMM,
					     .dst_reg = BPF_REG_2,
					     .src_reg = BPF_PSEUDO_MAP_FD,
					     .imm = chain});
	st_code_emit(code, (struct bpf_insn){0});
	st_code_emit(code,
		     (struct bpf_insn){.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_tail_call});
	st_code_emit(code, move(BPF_REG_0, BPF_REG_7));
	st_code_emit(code, (struct bpf_insn){.code = BPF_JMP | BPF_EXIT});
}

static int translate_failed(struct socktally *meter, int error, size_t count, const char *what)
{
	switch (error) {
	case -EOPNOTSUPP:
		return st_fail(
			meter, error,
			"%s: the socket's filter uses %s, which eBPF can't express: it can't "
			"be metered",
			meter->socket_label, what ? what : "an instruction");
	case -EINVAL:
		return st_fail(meter, error, "%s: not a valid filter", meter->socket_label);
	default:
		return st_fail(meter, error,
			       "%s: can't translate its filter of %zu instructions: %s",
			       meter->socket_label, count, strerror(-error));
	}
}

/* A descriptor, or the failure: in the translation, with code->error or *what, or of the kernel. */
static int load_piece(struct socktally *meter, const struct st_socket_link *socket_link,
		      const struct sock_filter *insns, size_t count, struct st_code *code,
		      const char **what, bool *translated)
{
	int result = st_translate(code, insns, count, what);

	*translated = false;
	if (result)
		return result;
	emit_chain(code, socket_link, meter->chain_map);
	result = st_code_finish(code);
	if (result)
		return result;
	*translated = true;
	if (code->function_count)
		return st_bpf_prog_load_functions(ST_PROGRAM_NAME, code->insns, code->count,
						  code->functions, code->function_count, NULL, 0);
	return st_bpf_prog_load(ST_PROGRAM_NAME, code->insns, code->count, NULL, 0);
}

int st_socket_program_load(struct socktally *meter, const struct st_socket_link *socket_link,
			   const struct sock_filter *insns, size_t count)
{
	/* where another filter writes to this CPU's header buffer, it may cost a count, but not a packet */
	struct st_code code = {.header_buffer =
				       st_filters_interleave() ? NULL : &meter->header_buffer};
	const char *what = NULL;
	bool translated;
	int result;

	result = load_piece(meter, socket_link, insns, count, &code, &what, &translated);
	/* Not every kernel can have functions beside a tail call. */
	if (result < 0 && translated && code.function_count) {
		st_code_free(&code);
		code.plain = true;
		result = load_piece(meter, socket_link, insns, count, &code, &what, &translated);
	}
	if (result < 0 && !translated)
		translate_failed(meter, result, count, what);
	else if (result == -EPERM)
		st_fail(meter, result,
			"%s: BPF is not permitted (any more), so it can't be metered: that takes "
			"CAP_BPF and CAP_PERFMON whenever a filter is set (before Linux 5.8 "
			"CAP_SYS_ADMIN), or a broker",
			meter->socket_label);
	else if (result < 0)
		st_fail(meter, result,
			"%s: the kernel refused its filter of %zu instructions as eBPF: %s",
			meter->socket_label, count, strerror(-result));
	st_code_free(&code);
	return result;
}

int st_socket_program_try_functions(struct socktally *meter)
{
	/* a load at a negative offset is a function of the program */
	static const struct sock_filter insns[] = {
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, (uint32_t)SKF_NET_OFF),
		BPF_STMT(BPF_RET | BPF_A, 0),
	};
	const struct st_socket_link link = {.link = ST_LINK_ETH};
	struct st_code code = {0};
	const char *what;
	bool translated;
	int program = load_piece(meter, &link, insns, sizeof(insns) / sizeof(*insns), &code, &what,
				 &translated);

	st_code_free(&code);
	if (program < 0)
		return program;
	close(program);
	return 0;
}
