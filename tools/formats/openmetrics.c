// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * The report as metrics: in OpenMetrics 1.0, or in the text format 0.0.4 of Prometheus, which differ in how
 * a counter's family is named, in the time of its creation, and in the last line.
 */
#include "tools/common/escape.h"
#include "tools/formats/series.h"
#include "tools/formats/writers.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define OTHER "other" /* the path of the rows that have no metrics of their own */

struct writer {
	FILE *out;
	const struct report_content *content;
	bool openmetrics;
	const bool *own; /* of each row */
	struct socktally_counts others[2];
	bool has_others[2];
};

/* The five counters that a row, a class and a group's row have. */
static const struct counter {
	const char *name, *help;
	size_t at; /* in struct socktally_counts */
} counters[] = {
	{"packets", "Packets that reached the socket.", offsetof(struct socktally_counts, packets)},
	{"segments", "Packets as on the wire, before they were merged or after they are cut.",
	 offsetof(struct socktally_counts, segments)},
	{"bytes", "Bytes that reached the socket, by the length at the tap.",
	 offsetof(struct socktally_counts, bytes)},
	{"accepted_packets", "Packets that the filter of the tool accepted.",
	 offsetof(struct socktally_counts, accepted_packets)},
	{"accepted_bytes", "Bytes that the filter of the tool accepted.",
	 offsetof(struct socktally_counts, accepted_bytes)},
};
#define COUNTERS (sizeof(counters) / sizeof(*counters))

size_t report_metrics_rows(size_t series)
{
	return series / COUNTERS;
}

static uint64_t value_of(const struct socktally_counts *counts, const struct counter *counter)
{
	uint64_t value;

	memcpy(&value, (const char *)counts + counter->at, sizeof(value));
	return value;
}

/* prefix: "" or "class_". */
static void begin_counter(const struct writer *writer, const char *prefix,
			  const struct counter *counter)
{
	const char *total = writer->openmetrics ? "" : "_total";

	fprintf(writer->out, "# HELP socktally_%s%s%s %s\n# TYPE socktally_%s%s%s counter\n",
		prefix, counter->name, total, counter->help, prefix, counter->name, total);
}

static void begin_gauge(const struct writer *writer, const char *name, const char *help)
{
	fprintf(writer->out, "# HELP socktally_%s %s\n# TYPE socktally_%s gauge\n", name, help,
		name);
}

static void label(const struct writer *writer, const char *before, const char *name,
		  const char *value)
{
	fprintf(writer->out, "%s%s=\"", before, name);
	escape_label(writer->out, value);
	fputc('"', writer->out);
}

/* The application that a path ends with, or NULL. */
static const char *application_of(const char *path)
{
	static const struct {
		const char *name, *layer;
	} protocols[] = {
#define SOCKTALLY_PROTOCOL(NUMBER, SYMBOL, NAME, LAYER, RECOGNISED, SOURCE) {NAME, #LAYER},
#include <socktally/protocols.def>
#undef SOCKTALLY_PROTOCOL
	};
	const char *last = strrchr(path, ':');

	for (size_t i = 0; last && i < sizeof(protocols) / sizeof(*protocols); i++)
		if (!strcmp(protocols[i].layer, "APPLICATION") &&
		    !strcmp(protocols[i].name, last + 1))
			return last + 1;
	return NULL;
}

static void print_row_labels(const struct writer *writer, enum socktally_direction direction,
			     const char *path)
{
	label(writer, "{", "interface", writer->content->source->interface);
	label(writer, ",", "direction", direction == SOCKTALLY_OUT ? "out" : "in");
	label(writer, ",", "path", path);
	if (application_of(path))
		label(writer, ",", "application", application_of(path));
	fputc('}', writer->out);
}

static void print_row(const struct writer *writer, const struct counter *counter,
		      const struct report_row *row)
{
	const struct timespec *start = &writer->content->start;

	fprintf(writer->out, "socktally_%s_total", counter->name);
	print_row_labels(writer, row->direction, row->path);
	fprintf(writer->out, " %" PRIu64 "\n", value_of(&row->counts, counter));
	/* all counters of a meter begin at one time: it stands with the first */
	if (!writer->openmetrics || counter != counters)
		return;
	fprintf(writer->out, "socktally_%s_created", counter->name);
	print_row_labels(writer, row->direction, row->path);
	fprintf(writer->out, " %lld.%06ld\n", (long long)start->tv_sec, start->tv_nsec / 1000);
}

static void print_rows(const struct writer *writer, const struct counter *counter)
{
	const struct report_rows *rows = writer->content->rows;

	begin_counter(writer, "", counter);
	for (size_t i = 0; i < rows->count; i++)
		if (writer->own[i])
			print_row(writer, counter, &rows->row[i]);
	for (int out = 0; out < 2; out++) {
		struct report_row row = {.path = (char[]){OTHER},
					 .direction = out ? SOCKTALLY_OUT : SOCKTALLY_IN,
					 .counts = writer->others[out]};

		if (writer->has_others[out])
			print_row(writer, counter, &row);
	}
}

static void print_classes(const struct writer *writer, const struct counter *counter)
{
	const struct report_classes *classes = writer->content->classes;

	begin_counter(writer, "class_", counter);
	for (size_t i = 0; i < classes->count; i++) {
		const struct report_class *class = &classes->class[i];

		fprintf(writer->out, "socktally_class_%s_total", counter->name);
		label(writer, "{", "interface", writer->content->source->interface);
		label(writer, ",", "class", class->name);
		fprintf(writer->out, "} %" PRIu64 "\n", value_of(&class->counts, counter));
	}
}

/* "source.port" is written "source_port": a label's name has letters, digits and '_' only. */
static void print_label_name(FILE *out, const char *name)
{
	for (; *name; name++)
		fputc(isalnum((unsigned char)*name) ? *name : '_', out);
}

/* All rows of all groups, by a name that has the group and the key. -ENOMEM. */
static int name_group_rows(const struct report_groups *groups, struct report_rows *rows)
{
	int error = 0;

	for (size_t i = 0; i < groups->count; i++) {
		const struct report_group *group = &groups->group[i];

		for (size_t j = 0; j < group->count && !error; j++) {
			char *name = NULL;
			size_t size;
			FILE *text = open_memstream(&name, &size);

			if (!text)
				return -ENOMEM;
			fputs(group->name, text);
			for (size_t k = 0; k < group->field_count; k++)
				fprintf(text, "\n%s", group->row[j].key[k].text);
			error = fclose(text) ? -ENOMEM
					     : report_rows_add(rows, name, group->row[j].direction,
							       &group->row[j].counts);
			free(name);
		}
	}
	return error;
}

static void print_group_row(const struct writer *writer, const struct report_group *group,
			    const struct report_group_row *row, const struct counter *counter)
{
	fprintf(writer->out, "socktally_group_%s_total", counter->name);
	label(writer, "{", "group", group->name);
	for (size_t i = 0; i < group->field_count; i++) {
		fputs(",key_", writer->out);
		print_label_name(writer->out, group->fields[i]);
		label(writer, "", "", row->key[i].text);
	}
	label(writer, ",", "direction", row->direction == SOCKTALLY_OUT ? "out" : "in");
	fprintf(writer->out, "} %" PRIu64 "\n", value_of(&row->counts, counter));
}

static void print_group_rest(const struct writer *writer, const struct report_group *group,
			     const char *rows, const struct socktally_counts *counts,
			     const struct counter *counter)
{
	fprintf(writer->out, "socktally_group_%s_total", counter->name);
	label(writer, "{", "group", group->name);
	label(writer, ",", "rows", rows);
	fprintf(writer->out, "} %" PRIu64 "\n", value_of(counts, counter));
}

/* own: of each row of all groups, one after the other. */
static void print_group_counter(const struct writer *writer, const struct counter *counter,
				const bool *own)
{
	const struct report_groups *groups = writer->content->groups;

	begin_counter(writer, "group_", counter);
	for (size_t i = 0; i < groups->count; i++) {
		const struct report_group *group = &groups->group[i];
		struct socktally_counts other = group->other;

		/* what is only not shown is in `other` as well */
		for (size_t j = group->shown; j < group->count; j++)
			report_counts_subtract(&other, &group->row[j].counts);
		for (size_t j = 0; j < group->count; j++) {
			if (*own++)
				print_group_row(writer, group, &group->row[j], counter);
			else
				report_counts_add(&other, &group->row[j].counts);
		}
		print_group_rest(writer, group, OTHER, &other, counter);
		print_group_rest(writer, group, "none", &group->none, counter);
	}
}

static int print_groups(const struct writer *writer)
{
	const struct report_content *content = writer->content;
	struct report_rows rows = {0};
	int error = name_group_rows(content->groups, &rows);
	bool *own = error ? NULL : calloc(rows.count + 1, sizeof(*own));

	if (!own)
		error = -ENOMEM;
	for (size_t i = 0; own && i < rows.count; i++)
		own[i] = true;
	if (!error && content->series)
		error = report_series_choose(content->series + 1, &rows, own);
	for (size_t i = 0; i < COUNTERS && !error; i++)
		print_group_counter(writer, &counters[i], own);
	free(own);
	report_rows_free(&rows);
	return error;
}

static void print_taken(const struct writer *writer)
{
	static const struct counter taken[] = {
		{"dropped_packets", "Packets that a hook kept from the tool.",
		 offsetof(struct socktally_hook, dropped_packets)},
		{"dropped_bytes", "Bytes that a hook kept from the tool.",
		 offsetof(struct socktally_hook, dropped_bytes)},
		{"cut_packets", "Packets that a hook cut.",
		 offsetof(struct socktally_hook, cut_packets)},
		{"cut_bytes", "Bytes that a hook cut off.",
		 offsetof(struct socktally_hook, cut_bytes)},
	};
	const struct report_hooks *hooks = writer->content->hooks;

	for (size_t i = 0; i < sizeof(taken) / sizeof(*taken); i++) {
		begin_counter(writer, "hook_", &taken[i]);
		for (size_t j = 0; j < hooks->count; j++) {
			const struct report_hook *hook = &hooks->hook[j];
			uint64_t value;

			memcpy(&value, (const char *)&hook->info + taken[i].at, sizeof(value));
			fprintf(writer->out, "socktally_hook_%s_total", taken[i].name);
			label(writer, "{", "hook",
			      hook->argument ? hook->argument : hook->info.name);
			fprintf(writer->out, ",position=\"%zu\"} %" PRIu64 "\n", j, value);
		}
	}
}

static void print_hook_value(const struct writer *writer, size_t position,
			     const struct report_hook *hook, const struct report_hook_row *row,
			     const struct report_field *field)
{
	fputs("socktally_hook_value", writer->out);
	label(writer, "{", "hook", hook->argument ? hook->argument : hook->info.name);
	fprintf(writer->out, ",position=\"%zu\"", position);
	label(writer, ",", "map", row->map);
	for (size_t i = 0; i < row->key_count; i++) {
		fputs(",key_", writer->out);
		print_label_name(writer->out, row->fields[i].name);
		label(writer, "", "", row->fields[i].text);
	}
	label(writer, ",", "field", field->name);
	fprintf(writer->out, "} %s\n", field->text);
}

/* A sum of the rows that there is no room for, by field: one line for each, without a key. */
static size_t print_hook_others(const struct writer *writer, size_t position,
				const struct report_hook *hook, size_t first)
{
	const struct report_hook_row *rows = hook->rows;
	size_t end = first;

	while (end < hook->row_count && !strcmp(rows[end].map, rows[first].map))
		end++;
	for (size_t k = rows[first].key_count; k < rows[first].field_count; k++) {
		double sum = 0;

		if (!rows[first].fields[k].is_number)
			continue;
		for (size_t i = first; i < end; i++)
			sum += strtod(rows[i].fields[k].text, NULL);
		fputs("socktally_hook_value", writer->out);
		label(writer, "{", "hook", hook->argument ? hook->argument : hook->info.name);
		fprintf(writer->out, ",position=\"%zu\"", position);
		label(writer, ",", "map", rows[first].map);
		label(writer, ",", "rows", OTHER);
		label(writer, ",", "field", rows[first].fields[k].name);
		fprintf(writer->out, "} %.17g\n", sum);
	}
	return end;
}

/* What a hook has counted is of the user's making: nobody knows whether it only grows, so it is a gauge. */
static void print_hook_values(const struct writer *writer)
{
	const struct report_content *content = writer->content;
	size_t room = content->series ? content->series->max * COUNTERS : SIZE_MAX;

	begin_gauge(writer, "hook_value", "A number in a row of a hook's map.");
	for (size_t i = 0; i < content->hooks->count; i++) {
		const struct report_hook *hook = &content->hooks->hook[i];
		size_t j = 0;

		while (j < hook->row_count) {
			const struct report_hook_row *row = &hook->rows[j];

			if (row->field_count - row->key_count > room) {
				j = print_hook_others(writer, i, hook, j);
				continue;
			}
			for (size_t k = row->key_count; k < row->field_count; k++)
				if (row->fields[k].is_number)
					print_hook_value(writer, i, hook, row, &row->fields[k]);
			room -= row->field_count - row->key_count;
			j++;
		}
	}
}

static void print_health(const struct writer *writer, const struct report_health *health)
{
	static const struct counter gaps = {"gaps",
					    "Times that packets of a socket went uncounted.", 0};
	static const struct counter seconds = {"gap_seconds",
					       "How long they went uncounted, at most.", 0};

	begin_gauge(writer, "up", "1 if any socket is counted.");
	fprintf(writer->out, "socktally_up %d\n", health->metered > 0);
	begin_gauge(writer, "sockets", "Capture sockets that are counted, and that can't be.");
	fprintf(writer->out,
		"socktally_sockets{state=\"metered\"} %zu\nsocktally_sockets{state=\"refused\"} %zu\n",
		health->metered, health->refused);
	begin_counter(writer, "", &gaps);
	fprintf(writer->out, "socktally_gaps_total %" PRIu64 "\n", health->gaps);
	begin_counter(writer, "", &seconds);
	fprintf(writer->out, "socktally_gap_seconds_total %.6f\n", health->gap_seconds);
}

static void print_meter(const struct writer *writer)
{
	const struct report_content *content = writer->content;

	begin_gauge(writer, "build_info", "The release, in a label.");
	fputs("socktally_build_info", writer->out);
	label(writer, "{", "version", SOCKTALLY_VERSION);
	fputs("} 1\n", writer->out);
	begin_gauge(writer, "start_time_seconds", "When counting began, in seconds since 1970.");
	fprintf(writer->out, "socktally_start_time_seconds %lld.%06ld\n",
		(long long)content->start.tv_sec, content->start.tv_nsec / 1000);
}

static int sum_others(struct writer *writer, bool *own)
{
	const struct report_content *content = writer->content;
	int error = 0;

	for (size_t i = 0; i < content->rows->count; i++)
		own[i] = true;
	if (content->series)
		error = report_series_choose(content->series, content->rows, own);
	for (size_t i = 0; i < content->rows->count; i++) {
		const struct report_row *row = &content->rows->row[i];
		int out = row->direction == SOCKTALLY_OUT;

		if (own[i])
			continue;
		report_counts_add(&writer->others[out], &row->counts);
		writer->has_others[out] = true;
	}
	writer->own = own;
	return error;
}

static int write_metrics(struct writer *writer)
{
	const struct report_content *content = writer->content;
	bool *own = calloc(content->rows->count + 1, sizeof(*own));
	int error = own ? sum_others(writer, own) : -ENOMEM;

	for (size_t i = 0; i < COUNTERS && !error; i++)
		print_rows(writer, &counters[i]);
	for (size_t i = 0; i < COUNTERS && !error && content->classes->count; i++)
		print_classes(writer, &counters[i]);
	if (!error && content->groups->count)
		error = print_groups(writer);
	if (!error && content->hooks->count) {
		print_taken(writer);
		print_hook_values(writer);
	}
	if (!error && content->source->health)
		print_health(writer, content->source->health);
	if (!error)
		print_meter(writer);
	free(own);
	return error;
}

int report_openmetrics(FILE *out, const struct report_content *content, bool later)
{
	struct writer writer = {.out = out, .content = content, .openmetrics = true};
	int error = write_metrics(&writer);

	(void)later;
	fputs("# EOF\n", out);
	return error;
}

int report_prometheus(FILE *out, const struct report_content *content, bool later)
{
	struct writer writer = {.out = out, .content = content};

	(void)later;
	return write_metrics(&writer);
}
