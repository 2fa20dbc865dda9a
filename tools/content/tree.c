// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* The rows of a report as a tree of protocols. */
#include "tools/content/tree.h"

#include <stdlib.h>
#include <string.h>

static struct report_node *node_new(const char *name, size_t length, unsigned int depth)
{
	struct report_node *node = calloc(1, sizeof(*node));

	if (!node)
		return NULL;
	node->name = strndup(name, length);
	node->depth = depth;
	if (!node->name) {
		free(node);
		return NULL;
	}
	return node;
}

/* Rows come sorted, so the child that was added last is the most likely one: it is the first in the list. */
static struct report_node *child(struct report_node *parent, const char *name, size_t length,
				 unsigned int depth)
{
	struct report_node *node;

	for (node = parent->first; node; node = node->next) {
		if (!strncmp(node->name, name, length) && !node->name[length])
			return node;
	}
	node = node_new(name, length, depth);
	if (node) {
		node->next = parent->first;
		parent->first = node;
	}
	return node;
}

static void add(struct report_node *node, const struct report_row *row)
{
	report_counts_add(&node->sum, &row->counts);
	if (row->direction == SOCKTALLY_IN)
		report_counts_add(&node->in, &row->counts);
}

static bool add_row(struct report_node *root, const struct report_row *row)
{
	const char *layer = row->path;
	struct report_node *node = root;

	add(root, row);
	for (unsigned int depth = 0;; depth++) {
		size_t length = strcspn(layer, ":");

		node = child(node, layer, length, depth);
		if (!node)
			return false;
		add(node, row);
		if (!layer[length])
			break;
		layer += length + 1;
	}
	report_counts_add(&node->own, &row->counts);
	return true;
}

/* Whether a comes before b among siblings. Overflow comes last. */
static bool before(const struct report_node *a, const struct report_node *b)
{
	bool a_last = !a->depth && !strcmp(a->name, REPORT_OVERFLOW);
	bool b_last = !b->depth && !strcmp(b->name, REPORT_OVERFLOW);

	if (a_last != b_last)
		return b_last;
	if (a->sum.packets != b->sum.packets)
		return a->sum.packets > b->sum.packets;
	if (a->sum.bytes != b->sum.bytes)
		return a->sum.bytes > b->sum.bytes;
	return strcmp(a->name, b->name) < 0;
}

/* Insertion sort: siblings are few, the protocols that can follow one protocol. */
static void sort_children(struct report_node *parent)
{
	struct report_node *sorted = NULL, *node, **place;

	while ((node = parent->first)) {
		parent->first = node->next;
		for (place = &sorted; *place && before(*place, node); place = &(*place)->next)
			;
		node->next = *place;
		*place = node;
		sort_children(node);
	}
	parent->first = sorted;
}

struct report_node *report_tree(const struct report_rows *rows)
{
	struct report_node *root = node_new("", 0, 0);

	for (size_t i = 0; root && i < rows->count; i++) {
		if (!add_row(root, &rows->row[i])) {
			report_tree_free(root);
			root = NULL;
		}
	}
	if (root)
		sort_children(root);
	return root;
}

/* Recursion is bounded by the layers of a path. */
void report_tree_free(struct report_node *root)
{
	struct report_node *node;

	if (!root)
		return;
	while ((node = root->first)) {
		root->first = node->next;
		report_tree_free(node);
	}
	free(root->name);
	free(root);
}
