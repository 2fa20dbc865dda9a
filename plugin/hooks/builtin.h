/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* The library's own hooks: object files that are part of it, and options in the place of variables. */
#ifndef SOCKTALLY_PLUGIN_HOOKS_BUILTIN_H
#define SOCKTALLY_PLUGIN_HOOKS_BUILTIN_H

#include "plugin/hooks/object.h"

struct st_builtin;

/* NULL: there is none of that name. */
const struct st_builtin *st_builtin_find(const char *name);

/* Room for what st_builtin_check() has to say. */
enum { ST_BUILTIN_WRONG_MAX = 256 };

/* Whether the options make sense; if not, wrong says what doesn't. */
bool st_builtin_check(const struct st_builtin *builtin, const struct socktally_hook_opts *opts,
		      char wrong[ST_BUILTIN_WRONG_MAX]);

/* Rows of each hash map that it gives if not told otherwise; 0: as all hooks. */
uint32_t st_builtin_top(const struct st_builtin *builtin);

/* opts as they are for its object file; options has those of the hook. 0, or -errno, noted. */
int st_builtin_opts(struct socktally *meter, const struct st_builtin *builtin,
		    struct socktally_hook_opts *opts);

/* Gives its variables what the options say, which st_builtin_opts() has found good. */
int st_builtin_prepare(struct socktally *meter, const struct st_builtin *builtin,
		       struct st_hook_own *own, const struct socktally_hook_opts *opts);

#endif
