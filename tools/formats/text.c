// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* The report for people: what was metered, how much of it, and the tree of protocols. */
#include "tools/common/escape.h"
#include "tools/content/number.h"
#include "tools/formats/text.h"
#include "tools/formats/lost.h"
#include "tools/formats/statistics.h"
#include "tools/formats/writers.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define DAY 86400 /* seconds */
#define COMM_WIDTH 30
#define LINKTYPE_WIDTH 16
#define SOCKETS_SHOWN 16
#define FILTER_LEAST 16

/* "tcpdump (pid 812) on eth0 (eth)" */
static void print_source(FILE *out, const struct report_content *content)
{
	const struct report_source *source = content->source;
	const char *file =
		source->file && !strcmp(source->file, "-") ? "standard input" : source->file;
	const char *name = file ? file : source->interface;
	const char *linktype = source->linktype ? source->linktype : "";
	size_t used = *linktype ? strnlen(linktype, LINKTYPE_WIDTH) + strlen(" ()") : 0;
	char pid[32] = "", more[48] = "";

	if (source->comm && *source->comm) {
		if (source->pid)
			snprintf(pid, sizeof(pid), " (pid %d)", source->pid);
		escape_text(out, source->comm, COMM_WIDTH);
		fprintf(out, "%s%s", pid, name && *name ? " on " : "");
		used += escape_columns(source->comm) + strlen(pid) + strlen(" on ");
	}
	if (source->file_count > 1)
		used += (size_t)snprintf(more, sizeof(more), " and %zu more file%s",
					 source->file_count - 1, source->file_count > 2 ? "s" : "");
	escape_text(out, name, used < REPORT_TEXT_WIDTH ? REPORT_TEXT_WIDTH - used : 0);
	fputs(more, out);
	if (*linktype) {
		fputs(" (", out);
		escape_text(out, linktype, LINKTYPE_WIDTH);
		fputc(')', out);
	}
	fputc('\n', out);
	if (content->filter && *content->filter) {
		fputs("filter: ", out);
		escape_text(out, content->filter, REPORT_TEXT_WIDTH - strlen("filter: "));
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
		escape_text(out, filter,
			    used + FILTER_LEAST < REPORT_TEXT_WIDTH ? REPORT_TEXT_WIDTH - used
								    : FILTER_LEAST);
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
	char packets[NUMBER_TEXT_MAX], bits[NUMBER_TEXT_MAX];

	if (seconds <= 0)
		return;
	report_number_short(packets, (double)content->totals.packets / seconds, "");
	report_number_rate(bits, (double)content->totals.bytes / seconds, &content->look.units);
	fprintf(out, ": %s packets/s, %s", packets, bits);
}

/* "10 packets, 1.2 kB" */
static void print_amount(FILE *out, uint64_t packets, uint64_t bytes,
			 const struct report_units *units)
{
	char packets_text[NUMBER_TEXT_MAX], bytes_text[NUMBER_TEXT_MAX];

	report_number_packets(packets_text, packets);
	report_number_bytes(bytes_text, bytes, units);
	fprintf(out, "%s, %s", packets_text, bytes_text);
}

/* What the socket's filter accepted; of a file, the bytes of each packet that are in it. */
static void print_accepted(FILE *out, const struct socktally_counts *totals,
			   const struct socktally_counts *accepted,
			   const struct report_units *units)
{
	char packets[NUMBER_TEXT_MAX], bytes[NUMBER_TEXT_MAX], share[NUMBER_TEXT_MAX];

	if (accepted->accepted_packets == totals->packets &&
	    accepted->accepted_bytes == totals->bytes)
		return;
	report_number_bytes(bytes, accepted->accepted_bytes, units);
	if (accepted->accepted_packets == totals->packets) {
		fprintf(out, "captured of each only the beginning: %s\n", bytes);
		return;
	}
	report_number_packets(packets, accepted->accepted_packets);
	report_number_share(share, accepted->accepted_packets, totals->packets);
	fprintf(out, "accepted by the filter: %s (%s %%), %s\n", packets, share, bytes);
}

/* Of what the filter accepts, hooks take some: the rest is what the cells have as accepted. */
static void print_delivery(FILE *out, const struct report_content *content)
{
	const struct socktally_hook taken = report_hooks_taken(content->hooks);
	struct socktally_counts accepted = content->totals;

	accepted.accepted_packets += taken.dropped_packets;
	accepted.accepted_bytes += taken.dropped_bytes + taken.cut_bytes;
	print_accepted(out, &content->totals, &accepted, &content->look.units);
	if (taken.dropped_packets) {
		fputs("dropped by hooks: ", out);
		print_amount(out, taken.dropped_packets, taken.dropped_bytes, &content->look.units);
		fputc('\n', out);
	}
	if (taken.cut_packets) {
		fputs("cut by hooks: ", out);
		print_amount(out, taken.cut_packets, taken.cut_bytes, &content->look.units);
		fputs(" cut off\n", out);
	}
	if (report_hooks_took(content->hooks)) {
		fputs("left for the tool: ", out);
		print_amount(out, content->totals.accepted_packets, content->totals.accepted_bytes,
			     &content->look.units);
		fputc('\n', out);
	}
}

static void print_totals(FILE *out, const struct report_content *content)
{
	const struct socktally_counts *totals = &content->totals;
	char packets[NUMBER_TEXT_MAX], bytes[NUMBER_TEXT_MAX];

	report_number_packets(packets, totals->packets);
	report_number_bytes(bytes, totals->bytes, &content->look.units);
	fprintf(out, "%s, %s", packets, bytes);
	print_rates(out, content);
	fputc('\n', out);
	if (totals->segments != totals->packets) {
		report_number_exact(packets, totals->segments);
		fprintf(out, "on the wire: %s segments (offload joins or splits them)\n", packets);
	}
	print_delivery(out, content);
	report_text_drops(out, &content->drops);
	if (content->source->lost)
		report_text_lost(out, content->source->lost);
	if (content->source->statistics)
		report_text_statistics(out, content->source->statistics);
	if (content->overflow_packets) {
		report_number_packets(packets, content->overflow_packets);
		fprintf(out, "table full: %s counted as overflow (see --paths)\n", packets);
	}
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

/* "22:13:20  1.000 s: ", with the date in the head; tenths where that is not enough. */
static void print_interval(FILE *out, const struct report_content *content)
{
	char start[16] = "";
	struct tm utc;

	if (gmtime_r(&content->start.tv_sec, &utc))
		strftime(start, sizeof(start), "%H:%M:%S", &utc);
	fputs(start, out);
	if (content->seconds < 1)
		fprintf(out, ".%03ld", content->start.tv_nsec / 1000000);
	fprintf(out, "  %.3f s: ", content->seconds > 0 ? content->seconds : 0);
}

/* Of intervals once, and again where it has changed: it has the day. */
static void print_head(FILE *out, const struct report_content *content)
{
	char *text = NULL, day[32] = "";
	size_t size;
	FILE *memory;
	struct tm utc;

	memory = open_memstream(&text, &size);
	if (!memory)
		return;
	print_source(memory, content);
	print_sockets(memory, content);
	if (gmtime_r(&content->start.tv_sec, &utc) &&
	    strftime(day, sizeof(day), "%Y-%m-%d UTC", &utc))
		fprintf(memory, "%s\n", day);
	if (fclose(memory)) {
		free(text);
		return;
	}
	if (!content->head->source || strcmp(content->head->source, text) != 0)
		fprintf(out, "%s\n", text);
	free(content->head->source);
	content->head->source = text;
}

int report_text(FILE *out, const struct report_content *content, bool later)
{
	if (later)
		fputc('\n', out);
	if (content->head) {
		print_head(out, content);
		print_interval(out, content);
	} else {
		print_source(out, content);
		print_sockets(out, content);
		print_duration(out, content);
	}
	print_totals(out, content);
	print_notes(out, content);
	if (content->rows->count && report_text_tree(out, content))
		return -ENOMEM;
	if (content->source->lost && !content->lost)
		report_text_lost_paths(out, content->source->lost);
	report_text_classes(out, content);
	report_text_groups(out, content);
	report_text_hooks(out, content);
	return 0;
}
