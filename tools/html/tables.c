// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* Everything besides the tree: classes, hooks, sockets, and what a file says of what it lacks. */
#include "tools/html/html.h"
#include "tools/common/escape.h"

#include <inttypes.h>
#include <string.h>

static void print_classes(FILE *out, const struct report_content *content)
{
	const struct report_classes *classes = content->classes;

	if (!classes->count)
		return;
	fputs("<h2>Classes</h2>\n<div class=wide><table>\n<thead><tr><th>class"
	      "<th class=l>expression<th>packets<th>%<th>bytes<th>%<th>accepted\n<tbody>\n",
	      out);
	for (size_t i = 0; i < classes->count; i++) {
		const struct report_class *class = &classes->class[i];

		fputs("<tr><td>", out);
		escape_html(out, class->name);
		fputs("<td class=l><code>", out);
		escape_html(out, class->expression);
		fputs("</code><td>", out);
		html_number(out, class->counts.packets);
		fputs("<td>", out);
		html_share(out, class->counts.packets, content->totals.packets);
		fputs("<td>", out);
		html_bytes(out, class->counts.bytes);
		fputs("<td>", out);
		html_share(out, class->counts.bytes, content->totals.bytes);
		fputs("<td>", out);
		html_number(out, class->counts.accepted_packets);
		fputc('\n', out);
	}
	fputs("</table></div>\n", out);
}

/* The rows of one map, from the first on: they have the same columns. Returns how many. */
static size_t print_map(FILE *out, const struct report_hook *hook, size_t from)
{
	const struct report_hook_row *first = &hook->rows[from];
	size_t count = 0;

	fputs("<div class=wide><table>\n<caption>", out);
	escape_html(out, first->map);
	fputs("</caption>\n<thead><tr>", out);
	for (size_t i = 0; i < first->field_count; i++) {
		fputs(first->fields[i].is_number ? "<th>" : "<th class=l>", out);
		escape_html(out, first->fields[i].name);
	}
	fputs("\n<tbody>\n", out);
	for (; from + count < hook->row_count; count++) {
		const struct report_hook_row *row = &hook->rows[from + count];

		if (strcmp(row->map, first->map) != 0 || row->field_count != first->field_count)
			break;
		fputs("<tr>", out);
		for (size_t i = 0; i < row->field_count; i++) {
			fputs(row->fields[i].is_number ? "<td>" : "<td class=l>", out);
			escape_html(out, row->fields[i].text);
		}
		fputc('\n', out);
	}
	fputs("</table></div>\n", out);
	return count;
}

static void print_hook(FILE *out, const struct report_hook *hook)
{
	const struct socktally_hook *info = &hook->info;

	fputs("<h3>", out);
	escape_html(out, hook->argument ? hook->argument : info->name);
	fputs("</h3>\n", out);
	if (info->dropped_packets || info->cut_packets) {
		fputs("<p>dropped ", out);
		html_number(out, info->dropped_packets);
		fputs(" packets, ", out);
		html_bytes(out, info->dropped_bytes);
		fputs("; cut ", out);
		html_number(out, info->cut_packets);
		fputs(" packets by ", out);
		html_bytes(out, info->cut_bytes);
		fputc('\n', out);
	}
	for (size_t i = 0; i < hook->row_count;)
		i += print_map(out, hook, i);
}

static void print_sockets(FILE *out, const struct report_source *source)
{
	if (!source->socket_count)
		return;
	fputs("<h2>Sockets</h2>\n<div class=wide><table>\n<thead><tr><th>process<th>pid"
	      "<th>descriptor<th class=l>interface<th class=l>link type<th class=l>filter\n<tbody>\n",
	      out);
	for (size_t i = 0; i < source->socket_count; i++) {
		const struct report_socket *socket = &source->sockets[i];

		fputs("<tr><td>", out);
		escape_html(out, socket->comm);
		fprintf(out, "<td>%d<td>%d<td class=l>", socket->pid, socket->fd);
		escape_html(out, socket->interface);
		fputs("<td class=l>", out);
		escape_html(out, socket->linktype);
		fputs("<td class=l><code>", out);
		escape_html(out, socket->filter ? socket->filter : socket->program);
		fputs("</code>\n", out);
	}
	fputs("</table></div>\n", out);
}

/* What the tool's files lack. */
static void print_lost(FILE *out, const struct report_lost *lost)
{
	if (!lost)
		return;
	fputs("<h2>Lost by the tool</h2>\n<div class=wide><table>\n<thead><tr><th>path<th>accepted"
	      "<th>in its files<th>lost<th>%\n<tbody>\n",
	      out);
	for (size_t i = 0; i <= lost->path_count; i++) {
		const struct report_lost_row *row =
			i < lost->path_count ? &lost->paths[i] : &lost->totals;

		fputs("<tr><td>", out);
		escape_html(out, i < lost->path_count ? row->name : "all");
		fputs("<td>", out);
		html_number(out, row->accepted.packets);
		fputs("<td>", out);
		html_number(out, row->written.packets);
		fputs("<td>", out);
		html_number(out, row->lost.packets);
		fputs("<td>", out);
		html_share(out, row->lost.packets, row->accepted.packets);
		fputc('\n', out);
	}
	fputs("</table></div>\n", out);
	if (lost->totals.after.packets) {
		fputs("<p>Not lost, but after the last packet in its files: ", out);
		html_number(out, lost->totals.after.packets);
		fputs(" packets.\n", out);
	}
}

static void print_files(FILE *out, const struct report_source *source)
{
	if (source->file_count > 1)
		fputs("<h2>Files</h2>\n<ul>\n", out);
	for (size_t i = 0; i < source->file_count && source->file_count > 1; i++) {
		fputs("<li>", out);
		escape_html(out, source->files[i]);
		fputc('\n', out);
	}
	if (source->file_count > 1)
		fputs("</ul>\n", out);
}

static void print_statistics(FILE *out, const struct capture_statistics *statistics)
{
	if (!statistics || !capture_statistics_known(statistics))
		return;
	fputs("<h2>What the file says about packets that are not in it</h2>\n<table>\n<tbody>\n",
	      out);
	for (int i = 0; i < CAPTURE_STATISTICS; i++) {
		if (!statistics->known[i])
			continue;
		fprintf(out, "<tr><td>%s<td>", capture_statistic_words[i]);
		html_number(out, statistics->packets[i]);
		fputc('\n', out);
	}
	fputs("</table>\n", out);
}

void html_tables(FILE *out, const struct report_content *content)
{
	print_lost(out, content->source->lost);
	print_classes(out, content);
	if (content->hooks->count)
		fputs("<h2>Hooks</h2>\n", out);
	for (size_t i = 0; i < content->hooks->count; i++)
		print_hook(out, &content->hooks->hook[i]);
	print_statistics(out, content->source->statistics);
	print_sockets(out, content->source);
	print_files(out, content->source);
}
