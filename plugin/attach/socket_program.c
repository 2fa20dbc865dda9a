// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * The program for one socket: the tool's filter, then a tail call into the chain. If the chain is empty,
 * because the meter is gone, the tail call does nothing and the tool's verdict is returned.
 */
#include "plugin/attach/attach.h"
#include "plugin/bpf/direct.h"
#include "plugin/bpf/syscall.h"
#include "plugin/meter/maps.h"
#include "plugin/meter/meter.h"
#include "plugin/attach/saved_filter.h"
#include "plugin/translate/internal.h"
#include "plugin/translate/translate.h"
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#define CB(SLOT) ((int)(offsetof(struct __sk_buff, cb) + 4 * (SLOT)))

/* After st_translate(). The verdict is kept, as a tail call changes R0 to R5. */
enum { REG_VERDICT = BPF_REG_7, REG_LINK = BPF_REG_8 };

/* From R0 = verdict. */
static void emit_chain(struct st_code *code, const struct st_socket_link *socket_link, int chain)
{
	st_code_emit(code, ST_MOV(REG_VERDICT, BPF_REG_0));
	st_code_emit(code, ST_SET_W(REG_LINK, socket_link->link));
	st_code_emit(code, ST_WRITE(BPF_W, REG_CTX, CB(ST_CB_VERDICT), REG_VERDICT));
	st_code_emit(code, ST_WRITE(BPF_W, REG_CTX, CB(ST_CB_LINK), REG_LINK));
	st_code_emit(code, ST_SET_W(BPF_REG_3, ST_CHAIN_ENTRY));
	_Static_assert(ST_CHAIN_ENTRY == 0, "also the first part's number");
	st_code_emit(code, ST_WRITE(BPF_W, REG_CTX, CB(ST_CB_PART), BPF_REG_3));
	if (code->direct) /* nothing is in the header buffer */
		st_code_emit(code, ST_WRITE(BPF_W, REG_CTX, CB(ST_CB_HEADERS), BPF_REG_3));
	st_code_tail_call(code, chain);
	st_code_emit(code, ST_MOV(BPF_REG_0, REG_VERDICT));
	st_code_emit(code, ST_EXIT());
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

/* A descriptor, or -errno: of the kernel if *translated, else of the translation. */
static int translate_and_load(struct socktally *meter, const struct st_socket_link *socket_link,
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

/* Not every kernel can have functions beside a tail call, or any. */
static bool functions_refused(int result)
{
	enum { NOT_SUPPORTED = 524 }; /* the kernel's own ENOTSUPP: it can't compile them */

	return result == -EINVAL || result == -EOPNOTSUPP || result == -NOT_SUPPORTED;
}

/* As translate_and_load(); what one kernel does not take is done in another way. */
static int try_all_ways(struct socktally *meter, const struct st_socket_link *socket_link,
			const struct sock_filter *insns, size_t count, struct st_code *code,
			const struct st_direct *direct, const char **what, bool *translated)
{
	/* another filter that writes to it meanwhile may spoil a count, but not the tool's verdict */
	const struct st_header_buffer *buffer =
		st_filters_interleave() ? NULL : &meter->header_buffer;
	int result;

	for (int way = direct->works ? 0 : 2;;) {
		*code = (struct st_code){.header_buffer = buffer,
					 .direct = way < 2 ? direct : NULL,
					 .plain = way % 2};
		result = translate_and_load(meter, socket_link, insns, count, code, what,
					    translated);
		if (*translated && code->function_count && functions_refused(result))
			way++;
		else if (*translated && result < 0 && way < 2 && !direct->forced)
			way = 2;
		else
			break;
		st_code_free(code);
	}
	return result;
}

int st_socket_program_load(struct socktally *meter, const struct st_socket_link *socket_link,
			   const struct sock_filter *insns, size_t count)
{
	struct st_code code = {0};
	struct st_direct direct;
	const char *what = NULL;
	bool translated;
	int result;

	st_direct_get(&direct);
	if (direct.forced && !direct.works)
		return st_fail(meter, -EOPNOTSUPP, "%s: SOCKTALLY_READS is \"direct\", but: %s",
			       meter->socket_label, direct.reason);
	result = try_all_ways(meter, socket_link, insns, count, &code, &direct, &what, &translated);
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
	int program = translate_and_load(meter, &link, insns, sizeof(insns) / sizeof(*insns), &code,
					 &what, &translated);

	st_code_free(&code);
	if (program < 0)
		return program;
	close(program);
	return 0;
}
