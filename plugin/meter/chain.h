/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* The chain of hooks, as the kernel runs it, and what it consists of. */
#ifndef SOCKTALLY_PLUGIN_METER_CHAIN_H
#define SOCKTALLY_PLUGIN_METER_CHAIN_H

#include "bpf/table.h"
#include <socktally/socktally.h>
#include <stdbool.h>

struct st_hook;

/* Operations of a hook, by where it comes from. */
struct st_hook_ops {
	const char *name; /* as struct socktally_hook says it */
	/* Calls fn for each row of the hook's results, of one map or (NULL) of all. NULL: none. */
	int (*rows)(struct socktally *meter, const struct st_hook *hook, const char *map,
		    socktally_row_fn fn, void *ctx);
	/* The descriptor of one of its maps, or -ENOENT. NULL: it has none. */
	int (*map)(const struct st_hook *hook, const char *map);
	/* Frees hook->own. */
	void (*free)(struct st_hook *hook);
};

#define ST_HOOK_NAME_MAX 64

/*
 * The kernel ends a program at its 34th tail call (MAX_TAIL_CALL_CNT). One is to the chain, two are to
 * further parts of the parser, one is to the program that looks at payload, and one is to the tally.
 */
#define ST_HOOK_CALLS_MAX (33 - 5)

struct st_hook {
	const struct st_hook_ops *ops;
	void *own; /* what ops work on */
	char name[ST_HOOK_NAME_MAX];
	int32_t priority;
	unsigned int slot; /* of its counters */
	int prog;
	unsigned int inner_calls;      /* tail calls within the hook */
	struct socktally_taken before; /* what its counters showed when it came */
	struct socktally_taken past;   /* what those have taken whose place it took */
};

/*
 * The hooks of a meter, in the order of the chain. Nothing of it is there before the first hook
 * comes.
 */
struct st_hooks {
	struct st_hook *hook[ST_MAX_HOOKS];
	unsigned int count;
	uint32_t slots; /* in use, a bit each */
	int parse_prog, tally_prog, look_prog;
	bool ready;               /* all that follows is made, and the parser in its slot */
	int bank_map;             /* one number: where in chain_map the parser goes on */
	int inner_map, outer_map; /* to wait for programs: see chain_wait() */
	unsigned int bank;        /* in use: 0 or 1 */
	uint32_t tally[2];        /* where in each bank it is */
	uint64_t map_memory;      /* bytes that a hook's maps may take */
};

/* Makes ready what every chain with hooks has; does nothing if it is. */
int st_chain_open(struct socktally *meter);

/*
 * From now on packets meet these hooks. When it returns, no packet is on its way through the former
 * chain. On failure packets meet what they met before.
 */
int st_chain_exchange(struct socktally *meter, struct st_hook *const *hooks, unsigned int count);

#endif
