/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * For BPF programs: names that get their value when the program is loaded; bpf/extern.def has all of
 * them.
 *
 *	void *regions = ST_EXTERN_PTR(socktally_regions);   a map, or the address of a map's value
 *	__u64 paths = ST_EXTERN_U64(paths);                 a constant
 *
 * Nothing is declared: the name stands in the object file as an undefined symbol, and the library
 * alone says what it is. A use is one LD_IMM64, so the verifier knows a constant's value: it prunes
 * branches and bounds loops and offsets by it. It is assembler because clang takes the address of
 * an extern object to be non-zero and different from all others, which a constant is not.
 */
#ifndef SOCKTALLY_BPF_EXTERN_H
#define SOCKTALLY_BPF_EXTERN_H

#include <linux/types.h>

#define ST_EXTERN_U64(name)                                                                        \
	({                                                                                         \
		__u64 st_extern_value;                                                             \
		__asm__("%0 = " #name " ll" : "=r"(st_extern_value));                              \
		st_extern_value;                                                                   \
	})

#define ST_EXTERN_PTR(name)                                                                        \
	({                                                                                         \
		void *st_extern_pointer;                                                           \
		__asm__("%0 = " #name " ll" : "=r"(st_extern_pointer));                            \
		st_extern_pointer;                                                                 \
	})

#endif
