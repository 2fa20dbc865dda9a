/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Hooks in a report: the packets that each has dropped or cut, and the rows of its maps. */
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
	struct report_field *fields; /* the key's, then the value's */
	size_t field_count, key_count;
};

struct report_hook {
	struct socktally_hook info; /* its strings are malloc'ed copies */
	struct report_hook_row *rows;
	size_t row_count;
};

struct report_hooks {
	struct report_hook *hook;
	size_t count;
};

/* Reads all hooks of the meter: 0 or -errno. report_hooks_free() is needed in either case. */
int report_hooks_read(struct report_hooks *hooks, struct socktally *meter);
void report_hooks_free(struct report_hooks *hooks);

/* A copy without rows, from which the next report counts: 0 or -ENOMEM. */
int report_hooks_copy_taken(struct report_hooks *copy, const struct report_hooks *hooks);

/* Subtracts the counts of the last report. */
void report_hooks_since(struct report_hooks *hooks, const struct report_hooks *last);

/*
 * What the command line says of the hook of this name, as "drop=*:arp", unless that is known already: for
 * all reports of this process. Both strings are copied.
 */
void report_hook_argument(const char *name, const char *argument);

/* What all hooks have taken together. */
struct socktally_hook report_hooks_taken(const struct report_hooks *hooks);

/* Both print nothing if there is no hook. */
void report_hooks_json(FILE *out, const struct report_hooks *hooks);
void report_hooks_text(FILE *out, const struct report_hooks *hooks);

#endif
