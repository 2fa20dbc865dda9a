/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Classic BPF socket filters as eBPF, to the letter. */
#ifndef SOCKTALLY_PLUGIN_TRANSLATE_TRANSLATE_H
#define SOCKTALLY_PLUGIN_TRANSLATE_TRANSLATE_H

#include "plugin/bpf/header_buffer.h"
#include <linux/bpf.h>
#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>

/* The words of __sk_buff.cb that a piece may use: whether a function has loaded something, and X. */
#define ST_CB_LOADED 4
#define ST_CB_X 3

/* The functions that loads may need, by their size: 1, 2 and 4 bytes. */
#define ST_LOAD_FUNCTIONS 3

/* A growing program. insns is malloc'ed and freed by st_code_free(). */
struct st_code {
	struct bpf_insn *insns;
	size_t count;
	size_t room;
	int error;  /* sticky: -ENOMEM, -E2BIG */
	bool plain; /* to be set before st_translate(): no functions, see there */
	/*
	 * To be set before, too: where the piece may load the packet's start, and says so in
	 * cb[ST_CB_BLOCK]. NULL: it loads one by one.
	 */
	const struct st_header_buffer *blocks;
	bool headers_are_loaded;            /* it is there already, whatever cb[ST_CB_BLOCK] says */
	__u32 functions[ST_LOAD_FUNCTIONS]; /* where they begin, after st_code_finish() */
	size_t function_count;
};

void st_code_emit(struct st_code *code, struct bpf_insn insn);
void st_code_free(struct st_code *code);

/*
 * To be called once the program is whole: appends the functions that it calls. If there are any it
 * is to be loaded with st_bpf_prog_load_functions(). Returns code->error.
 */
int st_code_finish(struct st_code *code);

/*
 * Appends the filter to code as a piece that starts with the context in R1, leaves it in R6, and
 * falls out at its end with the verdict in R0 as a zero-extended 32-bit value; R7 to R9 are then
 * free, and the stack too. count 0 stands for "no filter": verdict 0xffffffff.
 *
 * Loads at negative offsets, and at what may turn out negative, are functions of their own, which
 * some kernels can't have beside a tail call (before 5.10 all, before 6.0 those for arm64, without
 * a JIT any). A plain piece does without: its loads at negative offsets see the packet's linear part
 * only, as the kernel's own did until 6.16.
 *
 * -EINVAL: the kernel would refuse the filter; -EOPNOTSUPP: it uses what eBPF can't express, and
 * *what names it ("SKF_AD_HATYPE"); -E2BIG, -ENOMEM.
 */
int st_translate(struct st_code *code, const struct sock_filter *insns, size_t count,
		 const char **what);

#endif
