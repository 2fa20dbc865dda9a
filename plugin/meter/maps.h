/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* What a meter has in the kernel: its maps and the library's own programs. */
#ifndef SOCKTALLY_PLUGIN_METER_MAPS_H
#define SOCKTALLY_PLUGIN_METER_MAPS_H

#include <linux/bpf.h>
#include <socktally/socktally.h>
#include <stdbool.h>
#include <stddef.h>

/* As the kernel lists an attached program and a chain. */
#define ST_PROGRAM_NAME "socktally"
#define ST_CHAIN_NAME "socktally_chain"

/* Makes the map and the program that count, and the chain. */
int st_meter_maps_open(struct socktally *meter);

struct st_own_program {
	const char *name;
	int *prog; /* where its descriptor goes; it is loaded if that is -1 */
	/* what the names in its object mean; NULL: as st_symbol_resolve() says */
	bool (*resolve)(const void *ctx, const char *name, struct bpf_insn insn[2]);
	const void *ctx;
};

/* Loads programs of an object file that is part of the library: 0, or -errno with it noted. */
int st_own_programs_load(struct socktally *meter, const unsigned char *object, size_t size,
			 const struct st_own_program *programs, size_t count);

/*
 * Whether a filter may be preempted by another one on the same CPU, so that what they keep there isn't
 * theirs alone: on PREEMPT_RT kernels (from Linux 6.18 on where CONFIG_PREEMPT_RT_NEEDS_BH_LOCK is not
 * set, which can't be seen).
 */
bool st_filters_interleave(void);

/*
 * Gives the two halves of an LD_IMM64 the value of a name that the library knows; false: it knows
 * none of that name.
 */
bool st_symbol_resolve(const struct socktally *meter, const char *symbol, struct bpf_insn insn[2]);

#endif
