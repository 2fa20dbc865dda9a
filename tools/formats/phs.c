// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* The tree of protocols in the layout of `tshark -z io,phs`, for scripts that read that. */
#include "tools/common/escape.h"
#include "tools/content/tree.h"
#include "tools/formats/writers.h"

#include <errno.h>
#include <inttypes.h>
#include <stdint.h>
#include <string.h>

#define NAME_WIDTH 40
#define RULE "===================================================================\n"

static void print_nodes(FILE *out, const struct report_node *node)
{
	for (; node; node = node->next) {
		int indent = 2 * (int)node->depth;
		/* what is cut short before the first layer is in no tree of tshark's */
		const char *name = *node->name ? node->name : "(cut short)";

		fprintf(out, "%*s%-*s frames:%" PRIu64 " bytes:%" PRIu64 "\n", indent, "",
			NAME_WIDTH - indent, name, node->sum.packets, node->sum.bytes);
		print_nodes(out, node->first);
	}
}

int report_phs(FILE *out, const struct report_content *content, bool later)
{
	struct report_node *root = report_tree(content->rows);

	(void)later;
	if (!root)
		return -ENOMEM;
	fputs("\n" RULE "Protocol Hierarchy Statistics\nFilter: ", out);
	escape_text(out, content->filter, SIZE_MAX);
	fputs("\n\n", out);
	print_nodes(out, root->first);
	fputs(RULE, out);
	report_tree_free(root);
	return 0;
}
