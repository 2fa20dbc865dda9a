// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* The tree of protocols as a table, whose script sorts and folds. */
#include "tools/html/html.h"
#include "tools/common/escape.h"
#include "tools/content/tree.h"

#include <errno.h>
#include <string.h>

struct layout {
	const struct report_content *content;
	bool directed; /* a socket's packets have a direction, those of a file have none */
	bool accepted; /* differs from all */
};

static void print_titles(FILE *out, const struct layout *layout)
{
	fputs("<thead><tr><th>protocol<th>packets<th>%<th>bytes<th>%", out);
	if (layout->directed)
		fputs("<th>in<th>out", out);
	if (layout->accepted)
		fputs("<th>accepted<th>accepted bytes", out);
	fputs("\n<tbody>\n", out);
}

static void print_node(FILE *out, const struct layout *layout, const struct report_node *node)
{
	const struct socktally_counts *totals = &layout->content->totals, *sum = &node->sum;
	double share = totals->bytes ? 100.0 * (double)sum->bytes / (double)totals->bytes : 0;

	fprintf(out, "<tr data-d=%u><td>", node->depth);
	escape_html(out, *node->name ? node->name : "(cut short)");
	fputs("<td>", out);
	html_number(out, sum->packets);
	fputs("<td>", out);
	html_share(out, sum->packets, totals->packets);
	fputs("<td>", out);
	html_bytes(out, sum->bytes);
	if (share >= 1)
		fprintf(out, "<td style=--p:%.0f>", share);
	else
		fputs("<td>", out);
	html_share(out, sum->bytes, totals->bytes);
	if (layout->directed) {
		fputs("<td>", out);
		html_number(out, node->in.packets);
		fputs("<td>", out);
		html_number(out, sum->packets - node->in.packets);
	}
	if (layout->accepted) {
		fputs("<td>", out);
		html_number(out, sum->accepted_packets);
		fputs("<td>", out);
		html_bytes(out, sum->accepted_bytes);
	}
	fputc('\n', out);
}

/* Recursion is bounded by the layers of a path. */
static void print_nodes(FILE *out, const struct layout *layout, const struct report_node *node)
{
	for (; node; node = node->next) {
		print_node(out, layout, node);
		print_nodes(out, layout, node->first);
	}
}

int html_tree(FILE *out, const struct report_content *content)
{
	const struct layout layout = {
		.content = content,
		.directed = strcmp(content->source->kind, "file") != 0,
		.accepted = content->totals.accepted_packets != content->totals.packets ||
			    content->totals.accepted_bytes != content->totals.bytes,
	};
	struct report_node *root = report_tree(content->rows);

	if (!root)
		return -ENOMEM;
	if (root->first) {
		fputs("<h2>Protocols</h2>\n<div class=wide><table id=tree>\n", out);
		print_titles(out, &layout);
		print_nodes(out, &layout, root->first);
		fputs("</table></div>\n", out);
	}
	report_tree_free(root);
	return 0;
}
