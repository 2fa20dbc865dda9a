/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* The rows of a report as a tree of protocols, each with the sum of all below it. */
#ifndef SOCKTALLY_TOOLS_CONTENT_TREE_H
#define SOCKTALLY_TOOLS_CONTENT_TREE_H

#include "tools/content/content.h"

struct report_node {
	char *name;                  /* of the protocol; "" at the root */
	unsigned int depth;          /* 0: outermost layer; meaningless at the root */
	struct socktally_counts sum; /* this path and all below it */
	uint64_t lost;               /* packets of the sum: see report_row */
	struct socktally_counts own; /* packets that end here */
	struct socktally_counts in;  /* the part of the sum that was received */
	bool hidden;                 /* not one of the rows that are wanted */
	struct report_node *first;   /* the child with most packets */
	struct report_node *next;    /* sibling */
};

/* NULL: out of memory. */
struct report_node *report_tree(const struct report_rows *rows);
/* Another order of siblings than that by packets. */
void report_tree_sort(struct report_node *root, enum report_sort sort);
/* Hides what is deeper, and all but so many nodes, those with most; 0: all. Returns how many it hides, or -ENOMEM. */
long report_tree_limit(struct report_node *root, const struct report_look *look);
void report_tree_free(struct report_node *root);

#endif
