// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* The tree of protocols in the text report, fitted into the columns of the plainest terminal. */
#include "tools/content/number.h"
#include "tools/formats/text.h"
#include "tools/content/tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum column { PACKETS, PACKETS_SHARE, BYTES, BYTES_SHARE, IN, OUT, ACCEPTED, LOST, COLUMNS };

static const char *const titles[COLUMNS] = {
	[PACKETS] = "packets", [PACKETS_SHARE] = "%", [BYTES] = "bytes",       [BYTES_SHARE] = "%",
	[IN] = "in",           [OUT] = "out",         [ACCEPTED] = "accepted", [LOST] = "lost",
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

/* Of intervals the columns stay where they are, as long as numbers fit in. */
#define NAME_LEAST 20
static const unsigned char least[COLUMNS] = {
	[PACKETS] = 7, [PACKETS_SHARE] = 5, [BYTES] = 7,    [BYTES_SHARE] = 5,
	[IN] = 7,      [OUT] = 7,           [ACCEPTED] = 8,
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
		report_number_bytes(text, node->sum.bytes, &layout->content->look.units);
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
	case LOST:
		packets = node->lost;
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

/* The next of the siblings that is not hidden; what is below a hidden one is hidden as well. */
static const struct report_node *shown(const struct report_node *node)
{
	while (node && node->hidden)
		node = node->next;
	return node;
}

static void measure(struct layout *layout, const struct report_node *node)
{
	for (node = shown(node); node; node = shown(node->next)) {
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
		layout->name_width =
			layout->content->head ? NAME_LEAST : (unsigned int)strlen("protocol");
		for (int column = 0; column < COLUMNS; column++) {
			layout->width[column] = (unsigned int)strlen(title(layout, column));
			if (layout->content->head)
				layout->width[column] = least[column];
		}
		measure(layout, root->first);
		if (layout->name_width + columns_width(layout) <= REPORT_TEXT_WIDTH)
			return;
	}
	layout->name_width = REPORT_TEXT_WIDTH - columns_width(layout);
}

static void format_titles(FILE *out, const struct layout *layout)
{
	fprintf(out, "%s%-*s", layout->content->look.color ? DIM : "", (int)layout->name_width,
		"protocol");
	for (int column = 0; column < COLUMNS; column++) {
		if (layout->shown[column])
			fprintf(out, "  %*s", (int)layout->width[column], title(layout, column));
	}
	fprintf(out, "%s\n", layout->content->look.color ? PLAIN : "");
}

/* Of intervals, once, and again where a column has changed. */
static void print_titles(FILE *out, const struct layout *layout)
{
	struct report_head *head = layout->content->head;
	char *line = NULL;
	size_t size;
	FILE *memory;

	if (!head) {
		fputc('\n', out);
		format_titles(out, layout);
		return;
	}
	memory = open_memstream(&line, &size);
	if (!memory)
		return;
	format_titles(memory, layout);
	if (!fclose(memory) && (!head->titles || strcmp(head->titles, line) != 0)) {
		fputs(line, out);
		free(head->titles);
		head->titles = line;
		return;
	}
	free(line);
}

/* Bold: paths of at least a tenth of all packets. Dim: nodes below a hundredth. */
static const char *color_of(const struct layout *layout, const struct report_node *node)
{
	const struct socktally_counts *totals = &layout->content->totals;

	if (!layout->content->look.color)
		return "";
	if (node->own.packets >= totals->packets / 10 && node->own.packets)
		return BOLD;
	return node->sum.packets < totals->packets / 100 && node->sum.bytes < totals->bytes / 100
		       ? DIM
		       : "";
}

static void print_nodes(FILE *out, const struct layout *layout, const struct report_node *node)
{
	for (node = shown(node); node; node = shown(node->next)) {
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
	layout->shown[LOST] = layout->content->lost;
	layout->hooks_took = report_hooks_took(layout->content->hooks);
}

int report_text_tree(FILE *out, const struct report_content *content)
{
	struct layout layout = {.content = content};
	struct report_node *root = report_tree(content->rows);
	long hidden;

	if (!root)
		return -ENOMEM;
	report_tree_sort(root, content->look.sort);
	hidden = report_tree_limit(root, &content->look);
	if (hidden >= 0) {
		choose_columns(&layout);
		fit(&layout, root);
		print_titles(out, &layout);
		print_nodes(out, &layout, root->first);
	}
	if (hidden > 0)
		fprintf(out, "and %ld more row%s\n", hidden, hidden > 1 ? "s" : "");
	report_tree_free(root);
	return hidden < 0 ? -ENOMEM : 0;
}
