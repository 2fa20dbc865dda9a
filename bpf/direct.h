/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * For BPF programs: reading the packet's linear part in line, where the kernel can (plugin/bpf/direct.h).
 *
 *	if (st_direct()) {
 *		struct st_linear linear = st_linear_of(skb);
 *
 *		if (at < linear.size)
 *			bytes = st_bytes_at(linear.data + at);
 *	} else {
 *		bpf_skb_load_bytes(...)
 *	}
 *
 * One object file does for every kernel. st_direct() is a constant that the library fills in: the verifier
 * drops the branch that is not taken. The two functions have numbers here that no helper has, and the
 * library replaces these calls by those of the kernel's functions, where it has them. As those are moves of
 * a register only, a read costs what an ordinary load does.
 */
#ifndef SOCKTALLY_BPF_DIRECT_H
#define SOCKTALLY_BPF_DIRECT_H

#include <linux/types.h>
#include <socktally/hook_packet.h>
#include "bpf/extern.h"

struct st_linear {
	__u64 data; /* its address: a number, not a pointer */
	__u32 size;
	__u32 beyond; /* the packet's other bytes, which only a helper reads */
};

static const __u8 *(*const st_cast_context)(const void *skb) = (void *)SOCKTALLY_CALL_CONTEXT;
static const __u8 *(*const st_cast_readonly)(__u64 address,
					     __u64 type) = (void *)SOCKTALLY_CALL_READONLY;

/*
 * In assembler, so that the compiler can't make it one instruction with a read of other memory: the verifier
 * takes none that reads both.
 */
#define ST_READ(bits, pointer)                                                                     \
	({                                                                                         \
		__u64 st_value;                                                                    \
		__asm__ volatile("%0 = *(u" #bits " *)(%1 + 0)" : "=r"(st_value) : "r"(pointer));  \
		st_value;                                                                          \
	})

static __always_inline _Bool st_direct(void)
{
	return ST_EXTERN_U64(socktally_direct);
}

static __always_inline struct st_linear st_linear_of(const void *skb)
{
	const __u8 *kernel = st_cast_context(skb);
	__u32 len = ST_READ(32, kernel + ST_EXTERN_U64(socktally_direct_len));
	__u32 beyond = ST_READ(32, kernel + ST_EXTERN_U64(socktally_direct_data_len));

	return (struct st_linear){
		.data = ST_READ(64, kernel + ST_EXTERN_U64(socktally_direct_data)),
		.size = len - beyond,
		.beyond = beyond,
	};
}

/*
 * Up to 64 bytes of the kernel's memory may be read behind the pointer, at constant offsets. Only the
 * first has to be before the linear part's end: behind that lies the kernel's own struct skb_shared_info, in
 * the same piece of memory, and is longer. What is read there has to be ignored.
 */
static __always_inline const __u8 *st_bytes_at(__u64 address)
{
	return st_cast_readonly(address, ST_EXTERN_U64(socktally_direct_bytes));
}

#endif
