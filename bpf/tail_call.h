/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A tail call to a place of the chain that is a constant: the JIT makes it a jump, which costs nothing
 * where a call by a variable goes through a retpoline. In assembler, so that the compiler does not make one
 * call of two.
 */
#ifndef SOCKTALLY_BPF_TAIL_CALL_H
#define SOCKTALLY_BPF_TAIL_CALL_H

#include <linux/bpf.h>

static __always_inline void st_tail_call(struct __sk_buff *skb, const __u32 place)
{
	__asm__ volatile("r1 = %[skb]\n\t"
			 "r2 = socktally_programs ll\n\t"
			 "r3 = %[place]\n\t"
			 "call 12"
			 :
			 : [skb] "r"(skb), [place] "i"(place)
			 : "r0", "r1", "r2", "r3", "r4", "r5", "memory");
}

#endif
