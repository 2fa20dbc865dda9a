/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Classic BPF socket filters as eBPF with exactly the same result. */
#ifndef SOCKTALLY_PLUGIN_TRANSLATE_TRANSLATE_H
#define SOCKTALLY_PLUGIN_TRANSLATE_TRANSLATE_H

#include "plugin/bpf/direct.h"
#include "plugin/bpf/header_buffer.h"
#include <linux/bpf.h>
#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * Words of __sk_buff.cb that translated code may use: whether a function has loaded something, and
 * X.
 */
#define ST_CB_LOADED 4
#define ST_CB_X 3

/* Functions for loads, by size: 1, 2 and 4 bytes. */
#define ST_LOAD_FUNCTIONS 3

/* A program that grows. insns is malloc'ed; st_code_free() frees it. */
struct st_code {
	struct bpf_insn *insns;
	size_t count;
	size_t room;
	int error;  /* stays once set: -ENOMEM, -E2BIG */
	bool plain; /* set before st_translate(): no functions, see there */
	/*
	 * Set before st_translate(): where translated code may copy the packet's first bytes; it
	 * then sets cb[ST_CB_HEADERS]. NULL: each load is a helper call or LD_ABS.
	 */
	const struct st_header_buffer *header_buffer;
	/*
	 * Set before st_translate(): the filter reads in place. It then uses no header buffer, and
	 * leaves anything in cb[ST_CB_HEADERS]. NULL: it does not.
	 */
	const struct st_direct *direct;
	bool headers_are_loaded; /* they are in the header buffer, whatever cb[ST_CB_HEADERS] says */
	__u32 functions[ST_LOAD_FUNCTIONS]; /* where they begin; set by st_code_finish() */
	size_t function_count;
};

void st_code_emit(struct st_code *code, struct bpf_insn insn);
void st_code_free(struct st_code *code);

/* To the program of number R3 in a PROG_ARRAY. Control falls through if there is none. */
void st_code_tail_call(struct st_code *code, int map);

/*
 * To be called when the program is complete: appends the functions that it calls. If there are any,
 * it must be loaded by st_bpf_prog_load_functions(). Returns code->error.
 */
int st_code_finish(struct st_code *code);

/*
 * Appends the filter as eBPF. Before: R1 is the context. After: R6 is the context, and R0 the
 * verdict, a zero-extended 32-bit value; control falls through. R7 to R9 and the stack are lost.
 * count 0 is "no filter": verdict 0xffffffff.
 *
 * Loads at offsets that are negative, or may be, become functions. Some kernels refuse functions
 * beside a tail call: all before 5.10, arm64 before 6.0, and all without a JIT. With code->plain
 * there are none: loads at negative offsets then see the packet's linear part only, as in the
 * kernel itself until 6.16.
 *
 * -EINVAL: the kernel would refuse the filter; -EOPNOTSUPP: eBPF can't express it, and *what names
 * the reason ("SKF_AD_HATYPE"); -E2BIG, -ENOMEM.
 */
int st_translate(struct st_code *code, const struct sock_filter *insns, size_t count,
		 const char **what);

#endif
