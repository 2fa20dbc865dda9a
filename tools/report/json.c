// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* The report as JSON, schema socktally/1: one object on one line. */
#include "tools/report/rows.h"

#include <inttypes.h>
#include <string.h>

static void print_time(FILE *out, const struct timespec *time)
{
	/* the last year with four digits (ISO 8601); a corrupt file may claim any */
	const time_t last = 253402300799; /* 9999-12-31T23:59:59Z */
	time_t seconds = time->tv_sec < 0 ? 0 : time->tv_sec > last ? last : time->tv_sec;
	char text[32] = "1970-01-01T00:00:00";
	struct tm utc;

	if (gmtime_r(&seconds, &utc))
		strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &utc);
	fprintf(out, "\"%s.%06ldZ\"", text, time->tv_nsec / 1000);
}

void report_json_counts(FILE *out, const struct socktally_counts *counts)
{
	fprintf(out,
		"\"packets\":%" PRIu64 ",\"segments\":%" PRIu64 ",\"bytes\":%" PRIu64
		",\"accepted_packets\":%" PRIu64 ",\"accepted_bytes\":%" PRIu64,
		counts->packets, counts->segments, counts->bytes, counts->accepted_packets,
		counts->accepted_bytes);
}

static void print_source(FILE *out, const struct report_content *content)
{
	const struct report_source *source = content->source;

	fputs("{\"kind\":", out);
	escape_json(out, source->kind);
	fputs(",\"interface\":", out);
	escape_json(out, source->interface);
	fputs(",\"linktype\":", out);
	escape_json(out, source->linktype);
	fprintf(out, ",\"pid\":%d,\"comm\":", source->pid);
	escape_json(out, source->comm);
	fputs(",\"filter\":", out);
	escape_json(out, content->filter);
	fputs(source->file ? ",\"file\":" : ",\"program\":", out);
	escape_json(out, source->file ? source->file : content->program);
	fputc('}', out);
}

static void print_notes(FILE *out, const struct report_content *content)
{
	for (size_t i = 0; i < content->note_count; i++) {
		const struct report_note *note = &content->notes[i];

		fputs(i ? ",{\"time\":" : ",\"notes\":[{\"time\":", out);
		print_time(out, &note->time);
		fputs(",\"event\":", out);
		escape_json(out, note->event);
		fputs(",\"text\":", out);
		escape_json(out, note->text);
		fputc('}', out);
	}
	if (content->note_count)
		fputc(']', out);
}

/* Of a socket alone, what is counted is its own. */
static void print_sockets(FILE *out, const struct report_content *content)
{
	const struct report_source *source = content->source;

	for (size_t i = 0; i < source->socket_count; i++) {
		const struct report_socket *socket = &source->sockets[i];

		fprintf(out, "%s{\"pid\":%d,\"fd\":%d,\"comm\":", i ? "," : ",\"sockets\":[",
			socket->pid, socket->fd);
		escape_json(out, socket->comm);
		fputs(",\"interface\":", out);
		escape_json(out, socket->interface);
		fputs(",\"linktype\":", out);
		escape_json(out, socket->linktype);
		fputs(",\"filter\":", out);
		escape_json(out, socket->filter ? socket->filter : socket->program);
		fputs(",\"program\":", out);
		escape_json(out, socket->program);
		if (source->socket_count == 1) {
			fputc(',', out);
			report_json_counts(out, &content->totals);
		}
		fputc('}', out);
	}
	if (source->socket_count)
		fputc(']', out);
}

void report_json(FILE *out, const struct report_content *content)
{
	fputs("{\"schema\":\"socktally/1\",\"source\":", out);
	print_source(out, content);
	fputs(",\"start\":", out);
	print_time(out, &content->start);
	fputs(",\"end\":", out);
	print_time(out, &content->end);
	fprintf(out, ",\"seconds\":%.6f", content->seconds > 0 ? content->seconds : 0);
	print_notes(out, content);
	fputs(",\"totals\":{", out);
	report_json_counts(out, &content->totals);
	fprintf(out, ",\"overflow_packets\":%" PRIu64 "}", content->overflow_packets);
	print_sockets(out, content);
	fputs(",\"paths\":[", out);
	for (size_t i = 0; i < content->rows->count; i++) {
		const struct report_row *row = &content->rows->row[i];

		fputs(i ? ",{\"path\":" : "{\"path\":", out);
		escape_json(out, row->path);
		fprintf(out, ",\"direction\":\"%s\",",
			row->direction == SOCKTALLY_OUT ? "out" : "in");
		report_json_counts(out, &row->counts);
		fputc('}', out);
	}
	fputc(']', out);
	report_classes_json(out, content->classes);
	report_hooks_json(out, content->hooks);
	fputs("}\n", out);
}
