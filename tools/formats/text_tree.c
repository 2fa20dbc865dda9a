// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* The tree of protocols in the text report, fitted into the columns of the plainest terminal. */
#include "tools/content/number.h"
#include "tools/formats/text.h"
#include "tools/content/tree.h"

#include <errno.h>
#include <string.h>

enum column { PACKETS, PACKETS_SHARE, BYTES, BYTES_SHARE, IN, OUT, ACCEPTED, COLUMNS };

static const char *const titles[COLUMNS] = {
	[PACKETS] = "packets", [PACKETS_SHARE] = "%", [BYTES] = "bytes",       [BYTES_SHARE] = "%",
	[IN] = "in",           [OUT] = "out",         [ACCEPTED] = "accepted",
};

struct layout {
	const struct report_content *content;
	bool shown[COLUMNS];
	unsigned int width[COLUMNS];
	unsigned int name_width; /* of the widest name, or the space that the columns leave */
	unsigned int indent;     /* of each layer */
	bool short_numbers;
	bool hooks_took;
};

static const char *title(const struct layout *layout, int column)
{
	return column == ACCEPTED && layout->hooks_took ? "left" : titles[column];
}

#define BOLD "\033[1m"
#define DIM "\033[2m"
#define PLAIN "\033[0m"

static void cell_text(const struct layout *layout, const struct report_node *node,
		      enum column column, char *text)
{
	const struct socktally_counts *totals = &layout->content->totals;
	uint64_t packets = node->sum.packets;

	*text = 0;
	switch (column) {
	case PACKETS_SHARE:
		report_number_share(text, node->sum.packets, totals->packets);
		return;
	case BYTES:
		report_number_short(text, (double)node->sum.bytes, "B");
		return;
	case BYTES_SHARE:
		report_number_share(text, node->sum.bytes, totals->bytes);
		return;
	case IN:
		packets = node->in.packets;
		break;
	case OUT:
		packets = node->sum.packets - node->in.packets;
		break;
	case ACCEPTED:
		packets = node->sum.accepted_packets;
		break;
	default:
		break;
	}
	if (layout->short_numbers)
		report_number_short(text, (double)packets, "");
	else
		report_number_exact(text, packets);
}

static const char *name_text(const struct report_node *node)
{
	return *node->name ? node->name : "(cut short)";
}

static void measure(struct layout *layout, const struct report_node *node)
{
	for (; node; node = node->next) {
		unsigned int width =
			node->depth * layout->indent + (unsigned int)strlen(name_text(node));

		if (width > layout->name_width)
			layout->name_width = width;
		for (int column = 0; column < COLUMNS; column++) {
			char text[NUMBER_TEXT_MAX];

			cell_text(layout, node, column, text);
			if (strlen(text) > layout->width[column])
				layout->width[column] = (unsigned int)strlen(text);
		}
		measure(layout, node->first);
	}
}

/* Width of all shown columns, with two blanks before each. */
static unsigned int columns_width(const struct layout *layout)
{
	unsigned int width = 0;

	for (int column = 0; column < COLUMNS; column++)
		width += layout->shown[column] ? layout->width[column] + 2 : 0;
	return width;
}

/*
 * Exact numbers and an indent of two columns if they fit, else an indent of one, then short numbers. If
 * that is still too wide, the numbers of the longest names go to the next line.
 */
static void fit(struct layout *layout, const struct report_node *root)
{
	static const struct {
		unsigned int indent;
		bool short_numbers;
	} tries[] = {{2, false}, {1, false}, {2, true}, {1, true}};

	for (size_t i = 0; i < sizeof(tries) / sizeof(*tries); i++) {
		layout->indent = tries[i].indent;
		layout->short_numbers = tries[i].short_numbers;
		layout->name_width = (unsigned int)strlen("protocol");
		for (int column = 0; column < COLUMNS; column++)
			layout->width[column] = (unsigned int)strlen(title(layout, column));
		measure(layout, root->first);
		if (layout->name_width + columns_width(layout) <= REPORT_TEXT_WIDTH)
			return;
	}
	layout->name_width = REPORT_TEXT_WIDTH - columns_width(layout);
}

static void print_titles(FILE *out, const struct layout *layout)
{
	fprintf(out, "%s%-*s", layout->content->color ? DIM : "", (int)layout->name_width,
		"protocol");
	for (int column = 0; column < COLUMNS; column++) {
		if (layout->shown[column])
			fprintf(out, "  %*s", (int)layout->width[column], title(layout, column));
	}
	fprintf(out, "%s\n", layout->content->color ? PLAIN : "");
}

/* Bold: paths of at least a tenth of all packets. Dim: nodes below a hundredth. */
static const char *color_of(const struct layout *layout, const struct report_node *node)
{
	const struct socktally_counts *totals = &layout->content->totals;

	if (!layout->content->color)
		return "";
	if (node->own.packets >= totals->packets / 10 && node->own.packets)
		return BOLD;
	return node->sum.packets < totals->packets / 100 && node->sum.bytes < totals->bytes / 100
		       ? DIM
		       : "";
}

static void print_nodes(FILE *out, const struct layout *layout, const struct report_node *node)
{
	for (; node; node = node->next) {
		const char *color = color_of(layout, node);
		unsigned int indent = node->depth * layout->indent;
		unsigned int used = indent + (unsigned int)strlen(name_text(node));

		fprintf(out, "%s%*s%s", color, (int)indent, "", name_text(node));
		if (used > layout->name_width) {
			fputc('\n', out);
			used = 0;
		}
		fprintf(out, "%*s", (int)(layout->name_width - used), "");
		for (int column = 0; column < COLUMNS; column++) {
			char text[NUMBER_TEXT_MAX];

			if (!layout->shown[column])
				continue;
			cell_text(layout, node, column, text);
			fprintf(out, "  %*s", (int)layout->width[column], text);
		}
		fprintf(out, "%s\n", *color ? PLAIN : "");
		print_nodes(out, layout, node->first);
	}
}

static void choose_columns(struct layout *layout)
{
	const struct socktally_counts *totals = &layout->content->totals;
	/* a socket's packets have a direction even if it is always the same */
	bool directed = strcmp(layout->content->source->kind, "file") != 0;

	for (int column = PACKETS; column <= BYTES_SHARE; column++)
		layout->shown[column] = true;
	layout->shown[IN] = layout->shown[OUT] = directed;
	layout->shown[ACCEPTED] = totals->accepted_packets != totals->packets;
	layout->hooks_took = report_hooks_took(layout->content->hooks);
}

int report_text_tree(FILE *out, const struct report_content *content)
{
	struct layout layout = {.content = content};
	struct report_node *root = report_tree(content->rows);

	if (!root)
		return -ENOMEM;
	choose_columns(&layout);
	fit(&layout, root);
	fputc('\n', out);
	print_titles(out, &layout);
	print_nodes(out, &layout, root->first);
	report_tree_free(root);
	return 0;
}
