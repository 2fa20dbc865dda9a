// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* The report as JSON, schema socktally/1: one object on one line. */
#include "tools/common/escape.h"
#include "tools/content/time.h"
#include "tools/formats/lost.h"
#include "tools/formats/statistics.h"
#include "tools/formats/writers.h"

#include <inttypes.h>
#include <string.h>

static void print_counts(FILE *out, const struct socktally_counts *counts)
{
	fprintf(out,
		"\"packets\":%" PRIu64 ",\"segments\":%" PRIu64 ",\"bytes\":%" PRIu64
		",\"accepted_packets\":%" PRIu64 ",\"accepted_bytes\":%" PRIu64,
		counts->packets, counts->segments, counts->bytes, counts->accepted_packets,
		counts->accepted_bytes);
}

static void print_time(FILE *out, const struct timespec *time)
{
	fputc('"', out);
	report_time(out, time);
	fputc('"', out);
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
	for (size_t i = 0; i < source->file_count && source->file_count > 1; i++) {
		fputs(i ? "," : ",\"files\":[", out);
		escape_json(out, source->files[i]);
	}
	if (source->file_count > 1)
		fputc(']', out);
	if (source->statistics)
		report_json_statistics(out, source->statistics);
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
			print_counts(out, &content->totals);
		}
		fputc('}', out);
	}
	if (source->socket_count)
		fputc(']', out);
}

static void print_classes(FILE *out, const struct report_classes *classes)
{
	for (size_t i = 0; i < classes->count; i++) {
		const struct report_class *class = &classes->class[i];

		fputs(i ? ",{\"name\":" : ",\"classes\":[{\"name\":", out);
		escape_json(out, class->name);
		fputs(",\"expression\":", out);
		escape_json(out, class->expression);
		fputc(',', out);
		print_counts(out, &class->counts);
		fputc('}', out);
	}
	if (classes->count)
		fputc(']', out);
}

static void print_member(FILE *out, const char *name, const struct socktally_counts *counts)
{
	fprintf(out, ",\"%s\":{", name);
	print_counts(out, counts);
	fputc('}', out);
}

static void print_group_row(FILE *out, const struct report_group *group,
			    const struct report_group_row *row)
{
	fputs("{\"key\":[", out);
	for (size_t i = 0; i < group->field_count; i++) {
		if (i)
			fputc(',', out);
		if (row->key[i].is_number)
			fputs(row->key[i].text, out);
		else
			escape_json(out, row->key[i].text);
	}
	fprintf(out, "],\"direction\":\"%s\",", row->direction == SOCKTALLY_OUT ? "out" : "in");
	print_counts(out, &row->counts);
	if (row->missing_bytes)
		fprintf(out, ",\"missing_bytes\":%" PRIu64, row->missing_bytes);
	fputc('}', out);
}

static void print_groups(FILE *out, const struct report_groups *groups)
{
	for (size_t i = 0; i < groups->count; i++) {
		const struct report_group *group = &groups->group[i];

		fputs(i ? ",{\"name\":" : ",\"groups\":[{\"name\":", out);
		escape_json(out, group->name);
		fputs(",\"fields\":[", out);
		for (size_t j = 0; j < group->field_count; j++) {
			if (j)
				fputc(',', out);
			escape_json(out, group->fields[j]);
		}
		fputs("],\"rows\":[", out);
		for (size_t j = 0; j < group->shown; j++) {
			if (j)
				fputc(',', out);
			print_group_row(out, group, &group->row[j]);
		}
		fputc(']', out);
		print_member(out, "other", &group->other);
		print_member(out, "none", &group->none);
		fputc('}', out);
	}
	if (groups->count)
		fputc(']', out);
}

static void print_hook_row(FILE *out, const struct report_hook_row *row)
{
	fputs("{\"map\":", out);
	escape_json(out, row->map);
	for (size_t i = 0; i < row->field_count; i++) {
		const struct report_field *field = &row->fields[i];
		bool taken = !strcmp(field->name, "map");

		/* a JSON object must not have two members of one name */
		for (size_t j = 0; j < row->key_count && i >= row->key_count; j++)
			taken |= !strcmp(field->name, row->fields[j].name);
		fputc(',', out);
		if (taken) {
			fprintf(out, "\"%s_%s\":", i < row->key_count ? "key" : "value",
				field->name);
		} else {
			escape_json(out, field->name);
			fputc(':', out);
		}
		if (field->is_number)
			fputs(field->text, out);
		else
			escape_json(out, field->text);
	}
	fputc('}', out);
}

static void print_hooks(FILE *out, const struct report_hooks *hooks)
{
	if (!hooks->count)
		return;
	fputs(",\"hooks\":[", out);
	for (size_t i = 0; i < hooks->count; i++) {
		const struct report_hook *hook = &hooks->hook[i];

		fputs(i ? ",{\"name\":" : "{\"name\":", out);
		escape_json(out, hook->info.name);
		fputs(",\"kind\":", out);
		escape_json(out, hook->info.kind);
		if (hook->argument) {
			fputs(",\"argument\":", out);
			escape_json(out, hook->argument);
		}
		fprintf(out,
			",\"priority\":%" PRId32 ",\"dropped_packets\":%" PRIu64
			",\"dropped_bytes\":%" PRIu64 ",\"cut_packets\":%" PRIu64
			",\"cut_bytes\":%" PRIu64 ",\"rows\":[",
			hook->info.priority, hook->info.dropped_packets, hook->info.dropped_bytes,
			hook->info.cut_packets, hook->info.cut_bytes);
		for (size_t j = 0; j < hook->row_count; j++) {
			if (j)
				fputc(',', out);
			print_hook_row(out, &hook->rows[j]);
		}
		fputs("]}", out);
	}
	fputc(']', out);
}

static void print_lost(FILE *out, const struct report_amount *lost)
{
	fprintf(out, ",\"lost_packets\":%" PRIu64 ",\"lost_bytes\":%" PRIu64, lost->packets,
		lost->bytes);
}

static void print_row_lost(FILE *out, const struct report_rows *rows, size_t i)
{
	const struct report_amount *lost = report_row_lost(rows, i);

	if (lost)
		print_lost(out, lost);
	else
		fputs(",\"lost_packets\":null,\"lost_bytes\":null", out);
}

int report_json(FILE *out, const struct report_content *content, bool later)
{
	(void)later;
	fputs("{\"schema\":\"socktally/1\",\"source\":", out);
	print_source(out, content);
	fputs(",\"start\":", out);
	print_time(out, &content->start);
	fputs(",\"end\":", out);
	print_time(out, &content->end);
	fprintf(out, ",\"seconds\":%.6f", content->seconds > 0 ? content->seconds : 0);
	print_notes(out, content);
	report_json_drops(out, &content->drops);
	fputs(",\"totals\":{", out);
	print_counts(out, &content->totals);
	fprintf(out, ",\"overflow_packets\":%" PRIu64, content->overflow_packets);
	if (content->source->lost)
		print_lost(out, &content->source->lost->totals.lost);
	fputc('}', out);
	print_sockets(out, content);
	fputs(",\"paths\":[", out);
	for (size_t i = 0; i < content->rows->count; i++) {
		const struct report_row *row = &content->rows->row[i];

		fputs(i ? ",{\"path\":" : "{\"path\":", out);
		escape_json(out, row->path);
		fprintf(out, ",\"direction\":\"%s\",",
			row->direction == SOCKTALLY_OUT ? "out" : "in");
		print_counts(out, &row->counts);
		if (content->lost)
			print_row_lost(out, content->rows, i);
		fputc('}', out);
	}
	fputc(']', out);
	if (content->source->lost)
		report_json_lost(out, content->source->lost);
	print_classes(out, content->classes);
	print_groups(out, content->groups);
	print_hooks(out, content->hooks);
	fputs("}\n", out);
	return 0;
}
