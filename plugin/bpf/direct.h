/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Direct reads: since Linux 6.2 a program may have its context as the kernel's struct sk_buff, and read
 * memory at any address by loads that can't fault. So it reads the packet's linear part in line, where
 * a helper call would copy it. docs/kernel-facts.md says what that rests on.
 */
#ifndef SOCKTALLY_PLUGIN_BPF_DIRECT_H
#define SOCKTALLY_PLUGIN_BPF_DIRECT_H

#include <linux/bpf.h>
#include <stdbool.h>
#include <stdint.h>

/* A program may read so many bytes from an address that is cast: a type has to have them. */
#define ST_DIRECT_BYTES 64

struct st_direct {
	bool works;  /* else reads go through helpers */
	bool forced; /* by the variable: what the kernel refuses then is not tried with helpers */
	/* functions for the verifier alone, by their numbers in the kernel's types */
	uint32_t cast_context;  /* R0 = R1, the context, as struct sk_buff */
	uint32_t cast_readonly; /* R0 = R1, any number, as the type R2 */
	uint32_t bytes;         /* a type that begins with ST_DIRECT_BYTES characters */
	/* offsets in struct sk_buff */
	uint32_t len, data_len; /* 32 bits: of the packet; of what is not in the linear part */
	uint32_t data;          /* the address of the linear part */
	char reason[160];       /* why not; "" if it works */
};

/*
 * Looked up and tried once a process, but again where it was not permitted. SOCKTALLY_READS in the
 * environment, for tests: "helper" is as if it did not work; "direct" makes what needs it fail where it
 * does not. From any thread.
 */
void st_direct_get(struct st_direct *direct);

/* A call of one of the two functions. */
static inline struct bpf_insn st_direct_call(uint32_t function)
{
	return (struct bpf_insn){.code = BPF_JMP | BPF_CALL,
				 .src_reg = 2, /* BPF_PSEUDO_KFUNC_CALL, of Linux 5.13 */
				 .imm = (__s32)function};
}

#endif
