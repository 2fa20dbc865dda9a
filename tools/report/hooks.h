/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Hooks in a report: the packets that each has dropped or cut, and the rows of its maps. */
#ifndef SOCKTALLY_TOOLS_REPORT_HOOKS_H
#define SOCKTALLY_TOOLS_REPORT_HOOKS_H

#include "tools/content/content.h"

/* Reads all hooks of the meter: 0 or -errno. report_hooks_free() is needed in either case. */
int report_hooks_read(struct report_hooks *hooks, struct socktally *meter);
void report_hooks_free(struct report_hooks *hooks);

/* A copy, from which the next report counts: 0 or -ENOMEM. */
int report_hooks_copy(struct report_hooks *copy, const struct report_hooks *hooks);

/* Subtracts the counts of the last report, which was so many seconds ago: 0 or -ENOMEM. */
int report_hooks_since(struct report_hooks *hooks, const struct report_hooks *last, double seconds);

/*
 * The same for the rows of one hook; last may be NULL. Of the rows of a hash map those with the largest
 * numbers are left, `top` at most. False: no memory.
 */
bool report_hook_rows_since(struct report_hook *hook, const struct report_hook *last,
			    double seconds, size_t top);
void report_hook_row_free(struct report_hook_row *row);

/*
 * What the command line says of the hook of this name, as "drop=*:arp", unless that is known already: for
 * all reports of this process. Both strings are copied. top: rows that are wanted of each hash map,
 * where socktally_hook_rows() gives more; 0: all.
 */
void report_hook_argument(const char *name, const char *argument, size_t top);

#endif
