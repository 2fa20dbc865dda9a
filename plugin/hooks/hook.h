/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Hooks: what stands between parser and tally, of whatever kind, and its order. */
#ifndef SOCKTALLY_PLUGIN_HOOKS_HOOK_H
#define SOCKTALLY_PLUGIN_HOOKS_HOOK_H

#include "bpf/table.h"
#include <linux/bpf.h>
#include <socktally/socktally.h>
#include <stdbool.h>

struct st_hook;

/* What is different from kind to kind. */
struct st_hook_kind {
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

struct st_hook {
	const struct st_hook_kind *kind;
	void *own; /* the kind's */
	char name[ST_HOOK_NAME_MAX];
	int32_t priority;
	unsigned int slot; /* of its counters */
	int prog;
	struct socktally_taken before; /* what its counters showed when it came */
	struct socktally_taken past;   /* what those have taken whose place it took */
};

/* A hook's maps are the kernel's memory, which it would take from everybody. */
#define ST_MAP_MEMORY (256ull << 20)

/*
 * The hooks of a meter, in the order of the chain. Nothing of it is there before the first hook
 * comes.
 */
struct st_hooks {
	struct st_hook *hook[ST_MAX_HOOKS];
	unsigned int count;
	uint32_t slots; /* in use, a bit each */
	int parse_prog, tally_prog;
	int bank_map;             /* one number: where in chain_map the parser goes on */
	int inner_map, outer_map; /* to wait for programs: see chain_wait() */
	unsigned int bank;        /* in use: 0 or 1 */
	uint64_t map_memory;      /* bytes that a hook's maps may take */
};

void st_hooks_init(struct st_hooks *hooks);
void st_hooks_free(struct socktally *meter);

/*
 * A hook that is about to be loaded: its name, which no other but `replaces` may have (NULL: none
 * may), and its counters. NULL: with *error, which is noted.
 */
struct st_hook *st_hook_new(struct socktally *meter, const struct st_hook_kind *kind,
			    const char *name, int32_t priority, const struct st_hook *replaces,
			    int *error);
/* Frees it with all that its kind holds; it must not be in the chain. */
void st_hook_free(struct socktally *meter, struct st_hook *hook);

/* As st_symbol_resolve(), and with the names that are the hook's own. */
bool st_hook_symbol(const struct socktally *meter, const struct st_hook *hook, const char *symbol,
		    struct bpf_insn insn[2]);

/*
 * Puts a hook with its program into the chain, in the place of `replaces` if that isn't NULL, which
 * is then freed. On failure the chain is as it was, and the hook still the caller's.
 */
int st_hook_insert(struct socktally *meter, struct st_hook *hook, struct st_hook *replaces);

struct st_hook *st_hook_find(const struct socktally *meter, const char *name);

/* --- plugin/bpf/chain.c */

/* Makes ready what every chain with hooks has; does nothing if it is. */
int st_chain_open(struct socktally *meter);

/*
 * From now on packets meet these hooks. When it returns, no packet is on its way through the former
 * chain. On failure packets meet what they met before.
 */
int st_chain_exchange(struct socktally *meter, struct st_hook *const *hooks, unsigned int count);

/* --- plugin/hooks/object.c */

extern const struct st_hook_kind st_hook_object, st_hook_builtin;
/* Loads what opts say, without putting it into the chain; NULL: with *error, which is noted. */
struct st_hook *st_hook_object_new(struct socktally *meter, const struct socktally_hook_opts *opts,
				   const struct st_hook *replaces, int *error);

#endif
