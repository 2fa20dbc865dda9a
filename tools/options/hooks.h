/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* --hook: the hooks of the command's meter. */
#ifndef SOCKTALLY_TOOLS_OPTIONS_HOOKS_H
#define SOCKTALLY_TOOLS_OPTIONS_HOOKS_H

#include <socktally/socktally.h>
#include <stdbool.h>

#define HOOK_VARIABLES_MAX 16

/* One --hook. Its memory is kept until the process ends. */
struct hook_option {
	struct socktally_hook_opts opts;
	const char *variables[HOOK_VARIABLES_MAX];
	const char *argument; /* as given */
	char *text;           /* a copy; other members point into it */
};

struct hook_options {
	struct hook_option *hook;
	size_t count;
};

/*
 * Takes the argument of a --hook, and reads or compiles its file: 0, or EXIT_USAGE or EXIT_FAILED
 * after a message.
 */
int hook_option(struct hook_options *options, const char *argument);

/*
 * Adds all hooks to the meter: 0, or EXIT_FAILED after a message. intervals: reports are of intervals,
 * for which all rows are needed.
 */
int hook_options_add(const struct hook_options *options, struct socktally *meter, bool intervals);

/* For the log of the meter: shows what the library warns of while hooks are added. */
void hook_options_log(void *ctx, enum socktally_log_level level, const char *text);

/* Compiles a hook's source; *object is malloc'ed: 0, or EXIT_FAILED after a message. */
int hook_compile(const char *source, void **object, size_t *size);

/* Reads an object file; *object is malloc'ed: 0, or EXIT_FAILED after a message. */
int hook_read(const char *file, void **object, size_t *size);

#endif
