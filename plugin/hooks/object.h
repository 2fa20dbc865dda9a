/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* A hook that comes as an object file. */
#ifndef SOCKTALLY_PLUGIN_HOOKS_OBJECT_H
#define SOCKTALLY_PLUGIN_HOOKS_OBJECT_H

#include "plugin/bpf/loader.h"
#include "plugin/hooks/hook.h"

/* The section of SOCKTALLY_HOOK(), with the number of what hook and chain agree on. */
#define ST_HOOK_SECTION "socktally/"
#define ST_HOOK_INTERFACE "1"

struct st_hook_own {
	struct st_loader loader;
	uint32_t top; /* rows of each hash map at most */
};

/*
 * Each fails with the error noted in the meter, which names `file`, an object's name for people.
 */

/* Gives a global variable its first value. */
int st_object_variable_set(struct socktally *meter, struct st_hook_own *own, const char *file,
			   const char *assignment);
/* The same with its bytes as they are; false: there is no such variable of that size. */
bool st_object_variable_write(struct st_hook_own *own, const char *name, const void *value,
			      size_t size);

/* The function of the object that is the hook: the one of that name, or (NULL) the only one. */
int st_object_program_find(struct socktally *meter, const struct st_object *object,
			   const char *file, const char *name, struct st_symbol *program);
/* Loads it for a hook: a descriptor, or -errno. */
int st_object_program_load(struct socktally *meter, const struct st_hook *hook,
			   const struct st_symbol *program, const char *file);

/* plugin/hooks/verdict.c: whether its verdict may be the number 1. */
bool st_hook_returns_one(const struct st_assembly *assembly);

/* plugin/hooks/rows.c */
int st_object_rows(struct socktally *meter, const struct st_hook *hook, const char *map,
		   socktally_row_fn fn, void *ctx);

#endif
