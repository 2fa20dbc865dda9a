// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* The report for people: what was metered, how much of it, and the tree of protocols. */
#include "tools/report/tree.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define WIDTH 80  /* columns of the plainest terminal */
#define DAY 86400 /* seconds */
#define COMM_WIDTH 30
#define LINKTYPE_WIDTH 16
#define SOCKETS_SHOWN 16
#define FILTER_LEAST 16
#define NUMBER NUMBER_TEXT_MAX

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

/* 1234567 as "1,234,567" */
static void number_exact(char *text, uint64_t number)
{
	char digits[NUMBER];
	int length = snprintf(digits, sizeof(digits), "%" PRIu64, number);

	for (int i = 0; i < length; i++) {
		if (i && (length - i) % 3 == 0)
			*text++ = ',';
		*text++ = digits[i];
	}
	*text = 0;
}

void report_number_short(char *text, double number, const char *unit)
{
	static const char prefixes[][2] = {"", "k", "M", "G", "T", "P", "E"};
	bool whole = number < 999.5 && number == (double)(unsigned int)number;
	size_t prefix = 0;
	int digits;

	while (number >= 999.5 && prefix + 1 < sizeof(prefixes) / sizeof(*prefixes)) {
		number /= 1000;
		prefix++;
	}
	if (whole || number >= 99.95)
		digits = 0;
	else
		digits = number >= 9.995 ? 1 : 2;
	snprintf(text, NUMBER, "%.*f%s%s%s", digits, number, *unit || prefix ? " " : "",
		 prefixes[prefix], unit);
}

void report_number_packets(char *text, uint64_t packets)
{
	number_exact(text, packets);
	strcat(text, packets == 1 ? " packet" : " packets");
}

void report_number_share(char *text, uint64_t part, uint64_t whole)
{
	double share = whole ? 100.0 * (double)part / (double)whole : 0;

	if (part && share < 0.05)
		strcpy(text, "<0.1");
	else if (part < whole && share >= 99.95)
		strcpy(text, ">99.9");
	else
		snprintf(text, NUMBER, "%.1f", share);
}

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
		number_exact(text, packets);
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
			char text[NUMBER];

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
		if (layout->name_width + columns_width(layout) <= WIDTH)
			return;
	}
	layout->name_width = WIDTH - columns_width(layout);
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
			char text[NUMBER];

			if (!layout->shown[column])
				continue;
			cell_text(layout, node, column, text);
			fprintf(out, "  %*s", (int)layout->width[column], text);
		}
		fprintf(out, "%s\n", *color ? PLAIN : "");
		print_nodes(out, layout, node->first);
	}
}

/* "tcpdump (pid 812) on eth0 (eth)" */
static void print_source(FILE *out, const struct report_content *content)
{
	const struct report_source *source = content->source;
	const char *file =
		source->file && !strcmp(source->file, "-") ? "standard input" : source->file;
	const char *name = file ? file : source->interface;
	const char *linktype = source->linktype ? source->linktype : "";
	size_t used = *linktype ? strnlen(linktype, LINKTYPE_WIDTH) + strlen(" ()") : 0;
	char pid[32] = "";

	if (source->comm && *source->comm) {
		if (source->pid)
			snprintf(pid, sizeof(pid), " (pid %d)", source->pid);
		escape_text(out, source->comm, COMM_WIDTH);
		fprintf(out, "%s%s", pid, name && *name ? " on " : "");
		used += escape_columns(source->comm) + strlen(pid) + strlen(" on ");
	}
	escape_text(out, name, used < WIDTH ? WIDTH - used : 0);
	if (*linktype) {
		fputs(" (", out);
		escape_text(out, linktype, LINKTYPE_WIDTH);
		fputc(')', out);
	}
	fputc('\n', out);
	if (content->filter && *content->filter) {
		fputs("filter: ", out);
		escape_text(out, content->filter, WIDTH - strlen("filter: "));
		fputc('\n', out);
	}
}

/* Where their filters differ: which is whose. */
static void print_sockets(FILE *out, const struct report_content *content)
{
	const struct report_source *source = content->source;
	const char *first = source->socket_count ? source->sockets[0].program : NULL;
	bool differ = false;

	for (size_t i = 1; i < source->socket_count; i++) {
		const char *program = source->sockets[i].program;

		differ |= strcmp(program ? program : "", first ? first : "") != 0;
	}
	for (size_t i = 0; differ && i < source->socket_count; i++) {
		const struct report_socket *socket = &source->sockets[i];
		const char *filter = socket->filter    ? socket->filter
				     : socket->program ? socket->program
						       : "accepts everything";
		char number[64];
		size_t used;

		if (i == SOCKETS_SHOWN) {
			fprintf(out, "  and %zu more sockets\n", source->socket_count - i);
			return;
		}
		snprintf(number, sizeof(number), " (pid %d) socket %d on ", socket->pid,
			 socket->fd);
		used = strlen("  : ") + escape_columns(socket->comm) + strlen(number) +
		       escape_columns(socket->interface);
		fputs("  ", out);
		escape_text(out, socket->comm, COMM_WIDTH);
		fputs(number, out);
		escape_text(out, socket->interface, COMM_WIDTH);
		fputs(": ", out);
		escape_text(out, filter, used + FILTER_LEAST < WIDTH ? WIDTH - used : FILTER_LEAST);
		fputc('\n', out);
	}
}

static void print_duration(FILE *out, const struct report_content *content)
{
	/* in a file, packets need not be in the order of their times */
	double seconds = content->seconds > 0 ? content->seconds : 0;
	unsigned long long whole = (unsigned long long)seconds;
	char start[64] = "";
	struct tm utc;

	if (!content->start.tv_sec && !content->start.tv_nsec)
		return;
	if (!gmtime_r(&content->start.tv_sec, &utc) ||
	    !strftime(start, sizeof(start), "%Y-%m-%d %H:%M:%S", &utc))
		return;
	if (seconds < 600)
		fprintf(out, "%.3f s", seconds);
	else if (seconds < DAY)
		fprintf(out, "%llu:%02llu:%02llu h", whole / 3600, whole / 60 % 60, whole % 60);
	else
		fprintf(out, "%.1f days", seconds / DAY);
	fprintf(out, " from %s UTC\n", start);
}

static void print_rates(FILE *out, const struct report_content *content)
{
	double seconds = content->seconds;
	char packets[NUMBER], bits[NUMBER];

	if (seconds <= 0)
		return;
	report_number_short(packets, (double)content->totals.packets / seconds, "");
	report_number_short(bits, (double)content->totals.bytes * 8 / seconds, "bit/s");
	fprintf(out, ": %s packets/s, %s", packets, bits);
}

/* "10 packets, 1.2 kB" */
static void print_amount(FILE *out, uint64_t packets, uint64_t bytes)
{
	char packets_text[NUMBER], bytes_text[NUMBER];

	report_number_packets(packets_text, packets);
	report_number_short(bytes_text, (double)bytes, "B");
	fprintf(out, "%s, %s", packets_text, bytes_text);
}

/* What the socket's filter accepted; of a file, the bytes of each packet that are in it. */
static void print_accepted(FILE *out, const struct socktally_counts *totals,
			   const struct socktally_counts *accepted)
{
	char packets[NUMBER], bytes[NUMBER], share[NUMBER];

	if (accepted->accepted_packets == totals->packets &&
	    accepted->accepted_bytes == totals->bytes)
		return;
	report_number_short(bytes, (double)accepted->accepted_bytes, "B");
	if (accepted->accepted_packets == totals->packets) {
		fprintf(out, "captured of each only the beginning: %s\n", bytes);
		return;
	}
	report_number_packets(packets, accepted->accepted_packets);
	report_number_share(share, accepted->accepted_packets, totals->packets);
	fprintf(out, "accepted by the filter: %s (%s %%), %s\n", packets, share, bytes);
}

static bool hooks_took(const struct report_content *content)
{
	const struct socktally_hook taken = report_hooks_taken(content->hooks);

	return taken.dropped_packets || taken.cut_packets;
}

/* Of what the filter accepts, hooks take some: the rest is what the cells have as accepted. */
static void print_delivery(FILE *out, const struct report_content *content)
{
	const struct socktally_hook taken = report_hooks_taken(content->hooks);
	struct socktally_counts accepted = content->totals;

	accepted.accepted_packets += taken.dropped_packets;
	accepted.accepted_bytes += taken.dropped_bytes + taken.cut_bytes;
	print_accepted(out, &content->totals, &accepted);
	if (taken.dropped_packets) {
		fputs("dropped by hooks: ", out);
		print_amount(out, taken.dropped_packets, taken.dropped_bytes);
		fputc('\n', out);
	}
	if (taken.cut_packets) {
		fputs("cut by hooks: ", out);
		print_amount(out, taken.cut_packets, taken.cut_bytes);
		fputs(" cut off\n", out);
	}
	if (hooks_took(content)) {
		fputs("left for the tool: ", out);
		print_amount(out, content->totals.accepted_packets, content->totals.accepted_bytes);
		fputc('\n', out);
	}
}

static void print_totals(FILE *out, const struct report_content *content)
{
	const struct socktally_counts *totals = &content->totals;
	char packets[NUMBER], bytes[NUMBER];

	report_number_packets(packets, totals->packets);
	report_number_short(bytes, (double)totals->bytes, "B");
	fprintf(out, "%s, %s", packets, bytes);
	print_rates(out, content);
	fputc('\n', out);
	if (totals->segments != totals->packets) {
		number_exact(packets, totals->segments);
		fprintf(out, "on the wire: %s segments (offload joins or splits them)\n", packets);
	}
	print_delivery(out, content);
	if (content->overflow_packets) {
		report_number_packets(packets, content->overflow_packets);
		fprintf(out, "table full: %s counted as overflow (see --paths)\n", packets);
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
	layout->hooks_took = hooks_took(layout->content);
}

static void print_notes(FILE *out, const struct report_content *content)
{
	char text[16];
	struct tm utc;

	for (size_t i = 0; i < content->note_count; i++) {
		const struct report_note *note = &content->notes[i];

		if (!gmtime_r(&note->time.tv_sec, &utc) ||
		    !strftime(text, sizeof(text), "%H:%M:%S", &utc))
			*text = '\0';
		fprintf(out, "%s.%03ld ", text, note->time.tv_nsec / 1000000);
		escape_text(out, note->text, SIZE_MAX);
		fputc('\n', out);
	}
}

int report_text(FILE *out, const struct report_content *content)
{
	struct layout layout = {.content = content};
	struct report_node *root = report_tree(content->rows);

	if (!root)
		return -ENOMEM;
	print_source(out, content);
	print_sockets(out, content);
	print_duration(out, content);
	print_totals(out, content);
	print_notes(out, content);
	if (root->first) {
		choose_columns(&layout);
		fit(&layout, root);
		fputc('\n', out);
		print_titles(out, &layout);
		print_nodes(out, &layout, root->first);
	}
	report_classes_text(out, content->classes, &content->totals);
	report_hooks_text(out, content->hooks);
	report_tree_free(root);
	return 0;
}
