// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* The rows of a report as a tree of protocols. */
#include "tools/content/tree.h"

#include <errno.h>
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
	node->lost += row->lost.packets;
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

/* By name, all are alike. */
static uint64_t weight(const struct report_node *node, enum report_sort sort)
{
	switch (sort) {
	case REPORT_BY_BYTES:
		return node->sum.bytes;
	case REPORT_BY_IN:
		return node->in.packets;
	case REPORT_BY_OUT:
		return node->sum.packets - node->in.packets;
	case REPORT_BY_ACCEPTED:
		return node->sum.accepted_packets;
	case REPORT_BY_LOST:
		return node->lost;
	case REPORT_BY_NAME:
		return 0;
	default:
		return node->sum.packets;
	}
}

/* Whether a comes before b among siblings. Overflow comes last. */
static bool before(const struct report_node *a, const struct report_node *b, enum report_sort sort)
{
	bool a_last = !a->depth && !strcmp(a->name, REPORT_OVERFLOW);
	bool b_last = !b->depth && !strcmp(b->name, REPORT_OVERFLOW);
	uint64_t first = weight(a, sort), second = weight(b, sort);

	if (a_last != b_last)
		return b_last;
	if (first != second)
		return first > second;
	if (sort == REPORT_BY_PACKETS && a->sum.bytes != b->sum.bytes)
		return a->sum.bytes > b->sum.bytes;
	return strcmp(a->name, b->name) < 0;
}

/* Insertion sort: siblings are few, the protocols that can follow one protocol. */
void report_tree_sort(struct report_node *parent, enum report_sort sort)
{
	struct report_node *sorted = NULL, *node, **place;

	while ((node = parent->first)) {
		parent->first = node->next;
		for (place = &sorted; *place && before(*place, node, sort); place = &(*place)->next)
			;
		node->next = *place;
		*place = node;
		report_tree_sort(node, sort);
	}
	parent->first = sorted;
}

static size_t count_nodes(const struct report_node *node)
{
	size_t count = 0;

	for (; node; node = node->next)
		count += 1 + count_nodes(node->first);
	return count;
}

struct ranked {
	struct report_node *node;
	uint64_t weight;
	size_t order; /* parents come before what is below them */
};

static void rank(struct report_node *node, const struct report_look *look, struct ranked *ranked,
		 size_t *count)
{
	for (; node; node = node->next) {
		node->hidden = true;
		if (!look->depth || node->depth < look->depth) {
			ranked[*count] = (struct ranked){node, weight(node, look->sort), *count};
			++*count;
		}
		rank(node->first, look, ranked, count);
	}
}

static int compare_ranked(const void *one, const void *other)
{
	const struct ranked *a = one, *b = other;

	if (a->weight != b->weight)
		return a->weight > b->weight ? -1 : 1;
	return a->order < b->order ? -1 : 1;
}

/* No node has more than its parent, which is therefore never hidden before it. */
long report_tree_limit(struct report_node *root, const struct report_look *look)
{
	size_t all = count_nodes(root->first), count = 0, shown;
	struct ranked *ranked = calloc(all + 1, sizeof(*ranked));

	if (!ranked)
		return -ENOMEM;
	rank(root->first, look, ranked, &count);
	qsort(ranked, count, sizeof(*ranked), compare_ranked);
	shown = look->rows && look->rows < count ? look->rows : count;
	for (size_t i = 0; i < shown; i++)
		ranked[i].node->hidden = false;
	free(ranked);
	return (long)(all - shown);
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
		report_tree_sort(root, REPORT_BY_PACKETS);
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
