// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
#include "tools/html/html.h"
#include "tools/common/escape.h"
#include "tools/content/number.h"

#include <inttypes.h>
#include <string.h>

static const struct report_units si;

void html_bytes(FILE *out, uint64_t bytes)
{
	char text[NUMBER_TEXT_MAX];

	report_number_bytes(text, bytes, &si);
	fprintf(out, "<data value=%" PRIu64 ">%s</data>", bytes, text);
}

void html_number(FILE *out, uint64_t number)
{
	char text[NUMBER_TEXT_MAX];

	report_number_exact(text, number);
	fputs(text, out);
}

void html_share(FILE *out, uint64_t part, uint64_t whole)
{
	char text[NUMBER_TEXT_MAX];

	report_number_share(text, part, whole);
	escape_html(out, text);
}

void html_time(FILE *out, const struct timespec *time)
{
	char text[40] = "";
	struct tm utc;

	if (gmtime_r(&time->tv_sec, &utc) &&
	    strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S UTC", &utc))
		fputs(text, out);
}

/* "tcpdump (pid 812) on eth0 (eth)" */
static void print_name(FILE *out, const struct report_content *content)
{
	const struct report_source *source = content->source;
	const char *file =
		source->file && !strcmp(source->file, "-") ? "standard input" : source->file;
	const char *name = file ? file : source->interface;

	if (source->comm && *source->comm) {
		escape_html(out, source->comm);
		if (source->pid)
			fprintf(out, " (pid %d)", source->pid);
		fputs(name && *name ? " on " : "", out);
	}
	escape_html(out, name);
	if (source->file_count > 1)
		fprintf(out, " and %zu more file%s", source->file_count - 1,
			source->file_count > 2 ? "s" : "");
	if (source->linktype && *source->linktype) {
		fputs(" (", out);
		escape_html(out, source->linktype);
		fputc(')', out);
	}
}

static void begin_tile(FILE *out, const char *name)
{
	fprintf(out, "<div><dt>%s<dd>", name);
}

static void print_tiles(FILE *out, const struct report_content *content)
{
	const struct socktally_counts *totals = &content->totals;
	char text[NUMBER_TEXT_MAX];

	fputs("<dl class=tiles>\n", out);
	begin_tile(out, "packets");
	html_number(out, totals->packets);
	fputs("</div>\n", out);
	begin_tile(out, "bytes");
	html_bytes(out, totals->bytes);
	fputs("</div>\n", out);
	if (content->seconds > 0) {
		begin_tile(out, "packets/s");
		report_number_short(text, (double)totals->packets / content->seconds, "");
		fprintf(out, "%s</div>\n", text);
		begin_tile(out, "mean rate");
		report_number_rate(text, (double)totals->bytes / content->seconds, &si);
		fprintf(out, "%s</div>\n", text);
	}
	begin_tile(out, "accepted packets");
	html_number(out, totals->accepted_packets);
	fputs(" <small>", out);
	html_share(out, totals->accepted_packets, totals->packets);
	fputs(" %</small></div>\n", out);
	if (content->source->lost) {
		begin_tile(out, "lost by the tool");
		html_number(out, content->source->lost->totals.lost.packets);
		fputs("</div>\n", out);
	}
	if (totals->segments != totals->packets) {
		begin_tile(out, "segments on the wire");
		html_number(out, totals->segments);
		fputs("</div>\n", out);
	}
	if (content->overflow_packets) {
		begin_tile(out, "not in a row (table full)");
		html_number(out, content->overflow_packets);
		fputs("</div>\n", out);
	}
	fputs("</dl>\n", out);
}

static void print_head(FILE *out, const struct report_content *content)
{
	fputs("<!DOCTYPE html>\n<html lang=en>\n<meta charset=utf-8>\n"
	      "<meta name=viewport content=\"width=device-width, initial-scale=1\">\n"
	      "<meta name=color-scheme content=\"light dark\">\n"
	      "<meta http-equiv=Content-Security-Policy content=\"default-src 'none'; "
	      "style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\n<title>",
	      out);
	print_name(out, content);
	fputs(": socktally</title>\n<style>\n", out);
	fputs(html_style, out);
	fputs("</style>\n<header>\n<h1>", out);
	print_name(out, content);
	fputs("</h1>\n", out);
	if (content->filter && *content->filter) {
		fputs("<p>filter: <code>", out);
		escape_html(out, content->filter);
		fputs("</code>\n", out);
	}
	if (content->start.tv_sec || content->start.tv_nsec) {
		fputs("<p>", out);
		html_time(out, &content->start);
		fputs(" to ", out);
		html_time(out, &content->end);
		fprintf(out, ", %.3f s\n", content->seconds > 0 ? content->seconds : 0);
	}
	fputs("</header>\n", out);
}

static void print_notes(FILE *out, const struct report_content *content)
{
	if (content->note_count)
		fputs("<h2>Notes</h2>\n<ul>\n", out);
	for (size_t i = 0; i < content->note_count; i++) {
		fputs("<li>", out);
		html_time(out, &content->notes[i].time);
		fputs(": ", out);
		escape_html(out, content->notes[i].text);
		fputc('\n', out);
	}
	if (content->note_count)
		fputs("</ul>\n", out);
}

int report_html(FILE *out, const struct report_content *content, bool later)
{
	int error;

	(void)later;
	print_head(out, content);
	fputs("<main>\n", out);
	print_tiles(out, content);
	print_notes(out, content);
	html_graph(out, content);
	error = html_map(out, content);
	if (!error)
		error = html_tree(out, content);
	html_groups(out, content);
	html_tables(out, content);
	fputs("</main>\n<footer>socktally " SOCKTALLY_VERSION "</footer>\n<script>\n", out);
	fputs(html_script, out);
	fputs("</script>\n", out);
	return error;
}
