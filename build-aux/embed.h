/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A BPF program as the headers that build-aux/embed makes hold it; see the top of build-aux/embed.c. */
#ifndef SOCKTALLY_BUILD_AUX_EMBED_H
#define SOCKTALLY_BUILD_AUX_EMBED_H

#include <linux/bpf.h>
#include <stddef.h>

/* The symbol of what refers to the program's constant data. */
#define ST_EMBEDDED_RODATA ".rodata"

/* One LD_IMM64 that gets its value when the program is loaded. */
struct st_extern {
	unsigned int insn;   /* index of its first half in insns */
	unsigned int addend; /* to be added to the value (for a map's value: the offset in it) */
	const char *symbol;
};

struct st_embedded {
	const char *name; /* of the function */
	const char *license;
	const struct bpf_insn *insns;
	size_t insn_count;
	const struct st_extern *externs;
	size_t extern_count;
	const unsigned char *rodata; /* constant data of the object file; NULL: none */
	size_t rodata_size;
};

#endif
