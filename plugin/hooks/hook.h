/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Hooks: the programs between parser and tally, and their order. */
#ifndef SOCKTALLY_PLUGIN_HOOKS_HOOK_H
#define SOCKTALLY_PLUGIN_HOOKS_HOOK_H

#include "plugin/meter/chain.h"
#include <linux/bpf.h>
#include <stdbool.h>

/* Bytes that the maps of one hook may take: it is the kernel's memory. */
#define ST_MAP_MEMORY (256ull << 20)

void st_hooks_init(struct st_hooks *hooks);
void st_hooks_free(struct socktally *meter);

/*
 * A new hook with a name and a slot of counters, without a program. Only `replaces`, if not NULL, may
 * have the same name. NULL: *error, which is noted, says why.
 */
struct st_hook *st_hook_new(struct socktally *meter, const struct st_hook_ops *ops,
			    const char *name, int32_t priority, const struct st_hook *replaces,
			    int *error);
/* Frees it with all that is its own; it must not be in the chain. */
void st_hook_free(struct socktally *meter, struct st_hook *hook);

/* As st_symbol_resolve(), and with the names that are the hook's own. */
bool st_hook_symbol(const struct socktally *meter, const struct st_hook *hook, const char *symbol,
		    struct bpf_insn insn[2]);

/*
 * Puts a hook with its program into the chain. replaces, if not NULL, is the hook whose place it takes,
 * and which is freed. On failure the chain is as before, and the hook stays the caller's.
 */
int st_hook_insert(struct socktally *meter, struct st_hook *hook, struct st_hook *replaces);

struct st_hook *st_hook_find(const struct socktally *meter, const char *name);

/* --- plugin/hooks/object.c */

extern const struct st_hook_ops st_hook_object, st_hook_builtin;
/* Loads what opts say, without putting it into the chain; NULL: with *error, which is noted. */
struct st_hook *st_hook_object_new(struct socktally *meter, const struct socktally_hook_opts *opts,
				   const struct st_hook *replaces, int *error);

#endif
