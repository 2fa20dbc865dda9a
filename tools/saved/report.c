// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * JSON reports of schema socktally/1. Members that are not known are passed over; those that are known must be
 * what they are said to be, and rows must add up: a half of a report is no report.
 */
#include "tools/capture/input.h"
#include "tools/saved/reading.h"
#include "tools/content/content.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCHEMA "socktally/1"
#define NAME_MAX_LENGTH 1024 /* of a path, or of a group with its key */
#define RET_K 6              /* BPF_RET | BPF_K */
#define UNCUT 65535          /* bytes: no packet of a socket is longer */

/* The report that is being read. */
struct reading {
	struct saved_side *side;
	bool socket, file, has_totals, has_paths;
	struct socktally_counts totals, paths;
	/* of the row that is being read */
	struct socktally_counts counts;
	char name[NAME_MAX_LENGTH];
	char *expression;
	char *event, *text; /* of a note */
};

bool saved_failed(struct saved_json *json, int error)
{
	if (error == -E2BIG)
		return saved_json_fail(json, "has too many rows");
	return !error || saved_json_fail(json, "needs more memory than there is");
}

/* One of the counters: 1; 0: another member. -1: an error. */
static int counter(struct saved_json *json, const char *name, struct socktally_counts *counts)
{
	const struct {
		const char *name;
		uint64_t *number;
	} members[] = {
		{"packets", &counts->packets},
		{"segments", &counts->segments},
		{"bytes", &counts->bytes},
		{"accepted_packets", &counts->accepted_packets},
		{"accepted_bytes", &counts->accepted_bytes},
	};

	for (size_t i = 0; i < sizeof(members) / sizeof(*members); i++) {
		if (!strcmp(name, members[i].name))
			return saved_json_number(json, members[i].number) ? 1 : -1;
	}
	return 0;
}

bool saved_take_counter(struct saved_json *json, const char *name, struct socktally_counts *counts)
{
	int result = counter(json, name, counts);

	return result ? result > 0 : saved_json_skip(json);
}

bool saved_take_name(struct saved_json *json, char *name, size_t size)
{
	if (!saved_json_string(json))
		return false;
	if (json->text_size >= size)
		return saved_json_fail(json, "has a name that is too long");
	memcpy(name, json->text, json->text_size + 1);
	return true;
}

static bool take_text(struct saved_json *json, char **text)
{
	if (!saved_json_string(json))
		return false;
	free(*text);
	*text = strdup(json->text);
	return *text || saved_failed(json, -ENOMEM);
}

bool saved_program_cuts(const char *program)
{
	unsigned long code, value;

	while ((program = strchr(program, ','))) {
		program++;
		if (sscanf(program, "%lu %*u %*u %lu", &code, &value) == 2 && code == RET_K &&
		    value && value < UNCUT)
			return true;
	}
	return false;
}

static bool statistics_member(struct saved_json *json, const char *name, void *ctx)
{
	struct capture_statistics *sum = ctx, one = {0};

	for (int i = 0; i < CAPTURE_STATISTICS; i++) {
		if (strcmp(name, capture_statistic_names[i]) != 0)
			continue;
		one.known[i] = saved_json_number(json, &one.packets[i]);
		capture_statistics_add(sum, &one);
		return one.known[i];
	}
	return saved_json_skip(json);
}

static bool source_member(struct saved_json *json, const char *name, void *ctx)
{
	struct reading *reading = ctx;

	if (!strcmp(name, "kind")) {
		if (!saved_json_string(json))
			return false;
		reading->socket = !strcmp(json->text, "socket");
		reading->file = !strcmp(json->text, "file");
		return reading->socket || reading->file ||
		       saved_json_fail(json, "is of a source that is not known");
	}
	if (!strcmp(name, "program")) {
		if (!saved_json_string(json))
			return false;
		reading->side->cut |= saved_program_cuts(json->text);
		return true;
	}
	if (!strcmp(name, "statistics"))
		return saved_json_object(json, statistics_member, &reading->side->statistics);
	return saved_json_skip(json);
}

static bool totals_member(struct saved_json *json, const char *name, void *ctx)
{
	struct reading *reading = ctx;
	uint64_t overflow;

	if (!strcmp(name, "overflow_packets")) {
		if (!saved_json_number(json, &overflow))
			return false;
		reading->side->overflow_packets += overflow;
		return true;
	}
	return saved_take_counter(json, name, &reading->totals);
}

static void begin_row(struct reading *reading)
{
	reading->counts = (struct socktally_counts){0};
	reading->name[0] = 0;
	free(reading->expression);
	reading->expression = NULL;
}

static bool path_member(struct saved_json *json, const char *name, void *ctx)
{
	struct reading *reading = ctx;

	if (!strcmp(name, "path"))
		return saved_take_name(json, reading->name, sizeof(reading->name));
	return saved_take_counter(json, name, &reading->counts);
}

static bool path_element(struct saved_json *json, void *ctx)
{
	struct reading *reading = ctx;

	begin_row(reading);
	if (!saved_json_object(json, path_member, reading))
		return false;
	report_counts_add(&reading->paths, &reading->counts);
	return saved_failed(json, saved_table_add(&reading->side->paths, reading->name,
						  &reading->counts));
}

static bool class_member(struct saved_json *json, const char *name, void *ctx)
{
	struct reading *reading = ctx;

	if (!strcmp(name, "name"))
		return saved_take_name(json, reading->name, sizeof(reading->name));
	if (!strcmp(name, "expression"))
		return take_text(json, &reading->expression);
	return saved_take_counter(json, name, &reading->counts);
}

static bool class_element(struct saved_json *json, void *ctx)
{
	struct reading *reading = ctx;

	begin_row(reading);
	return saved_json_object(json, class_member, reading) &&
	       saved_failed(json, saved_class_add(reading->side, reading->name, reading->expression,
						  &reading->counts));
}

static bool note_member(struct saved_json *json, const char *name, void *ctx)
{
	struct reading *reading = ctx;

	if (!strcmp(name, "event"))
		return take_text(json, &reading->event);
	if (!strcmp(name, "text"))
		return take_text(json, &reading->text);
	return saved_json_skip(json);
}

static bool note_element(struct saved_json *json, void *ctx)
{
	struct reading *reading = ctx;
	struct saved_side *side = reading->side;

	if (!saved_json_object(json, note_member, reading))
		return false;
	if (reading->event && reading->text && side->note_count < SAVED_NOTES_MAX) {
		side->notes[side->note_count++] =
			(struct saved_note){reading->event, reading->text};
		reading->event = reading->text = NULL;
	}
	return true;
}

static bool group_element(struct saved_json *json, void *ctx)
{
	struct reading *reading = ctx;

	return saved_group(json, reading->side);
}

static bool report_member(struct saved_json *json, const char *name, void *ctx)
{
	struct reading *reading = ctx;

	if (!strcmp(name, "schema")) {
		return saved_json_string(json) &&
		       (!strcmp(json->text, SCHEMA) ||
			saved_json_fail(json, "is no report of schema " SCHEMA));
	}
	if (!strcmp(name, "source"))
		return saved_json_object(json, source_member, reading);
	if (!strcmp(name, "totals")) {
		reading->has_totals = true;
		return saved_json_object(json, totals_member, reading);
	}
	if (!strcmp(name, "paths")) {
		reading->has_paths = true;
		return saved_json_array(json, path_element, reading);
	}
	if (!strcmp(name, "notes"))
		return saved_json_array(json, note_element, reading);
	if (!strcmp(name, "classes"))
		return saved_json_array(json, class_element, reading);
	if (!strcmp(name, "groups"))
		return saved_json_array(json, group_element, reading);
	return saved_json_skip(json);
}

static bool read_report(struct saved_json *json, struct saved_side *side)
{
	struct reading reading = {.side = side};
	bool good = saved_json_object(json, report_member, &reading);

	free(reading.expression);
	free(reading.event);
	free(reading.text);
	if (!good)
		return false;
	if (!(reading.socket || reading.file) || !reading.has_totals || !reading.has_paths)
		return saved_json_fail(json, "is no report of schema " SCHEMA);
	if (memcmp(&reading.totals, &reading.paths, sizeof(reading.totals)))
		return saved_json_fail(json, "has rows that do not add up to its totals");
	report_counts_add(&side->totals, &reading.totals);
	side->sockets |= reading.socket;
	side->files |= reading.file;
	side->reports++;
	return true;
}

int saved_reports_read(struct saved_side *side, struct capture_input *input, const char *name,
		       char message[CAPTURE_MESSAGE_MAX])
{
	struct saved_json json;
	int result = -1;

	if (!saved_json_open(&json, input)) {
		snprintf(message, CAPTURE_MESSAGE_MAX, "%.256s: out of memory", name);
	} else {
		while (!json.error && saved_json_next(&json) >= 0 && read_report(&json, side))
			;
		if (json.error || input->error)
			snprintf(message, CAPTURE_MESSAGE_MAX, "%.256s: line %llu %s", name,
				 (unsigned long long)json.line,
				 json.error ? json.error : input->error);
		else
			result = 0;
	}
	saved_json_close(&json);
	capture_input_close(input);
	return result;
}
