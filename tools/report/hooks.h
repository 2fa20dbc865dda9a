/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* What a report says of hooks: what each has taken, and the rows of its maps. */
#ifndef SOCKTALLY_TOOLS_REPORT_HOOKS_H
#define SOCKTALLY_TOOLS_REPORT_HOOKS_H

#include <socktally/socktally.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct report_field {
	char *name;
	char *text;
	bool is_number;
};

struct report_hook_row {
	char *map;
	struct report_field *field; /* the key's, then the value's */
	size_t count, key_count;
};

struct report_hook {
	struct socktally_hook is; /* its strings are the hook's own copies */
	struct report_hook_row *row;
	size_t count;
};

struct report_hooks {
	struct report_hook *hook;
	size_t count;
};

/* What is there now: 0 or -errno. Hooks are freed by report_hooks_free() in either case. */
int report_hooks_read(struct report_hooks *hooks, struct socktally *meter);
void report_hooks_free(struct report_hooks *hooks);

/* A copy without rows, for the next report: 0 or -ENOMEM. */
int report_hooks_copy_taken(struct report_hooks *copy, const struct report_hooks *hooks);

/* Takes what the hooks had taken by the last report off what they have by now. */
void report_hooks_since(struct report_hooks *hooks, const struct report_hooks *last);

/* Both print nothing where there are none. */
void report_hooks_json(FILE *out, const struct report_hooks *hooks);
void report_hooks_text(FILE *out, const struct report_hooks *hooks);

#endif
