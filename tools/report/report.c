// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* Reports: takes a snapshot, subtracts the last one, and writes the difference. */
#include "tools/formats/series.h"
#include "tools/report/devices.h"
#include "tools/report/filter.h"
#include "tools/report/groups.h"
#include "tools/report/classes.h"
#include "tools/report/history.h"
#include "tools/report/hooks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The time of day, and that of the clock which durations are taken from. */
struct moment {
	struct timespec wall, elapsed;
};

struct report {
	struct report_output *output;
	struct report_style style;
	struct report_series series[2]; /* of metrics: of paths, and of groups */
	struct moment start;            /* of the next report */
	bool devices_noted;
	struct report_history history; /* of a page */
	struct timespec span_start;    /* where report_write_span() began; 0: not yet */
	struct report_rows last;
	struct report_hooks last_hooks;
	struct report_classes last_classes;
	struct report_drops last_drops;
	struct report_groups last_groups;
	char *program, *filter; /* of the last report: finding an expression takes time */
};

static int add_cell(void *ctx, const struct socktally_cell *cell)
{
	return report_rows_add(ctx, cell->path, cell->direction, &cell->counts);
}

static int write_content(struct report *report, const struct report_content *content)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	int error = 0;

	if (!out)
		return -ENOMEM;
	error = report_format_write(report->style.format, out, content, report->output->written);
	if (ferror(out))
		error = -ENOMEM;
	if (fclose(out))
		error = -ENOMEM;
	if (error) {
		free(text);
		return error;
	}
	error = report_output_write(report->output, text, size);
	if (error)
		report_output_forget(report->output);
	return error;
}

static bool wants_color(const struct report_style *style, int fd)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

	if (style->color != REPORT_COLOR_AUTO)
		return style->color == REPORT_COLOR_ALWAYS;
	return isatty(fd) && !(no_color && *no_color) && term && *term && strcmp(term, "dumb");
}

static void read_clocks(struct moment *now)
{
	clock_gettime(CLOCK_REALTIME, &now->wall);
	clock_gettime(CLOCK_BOOTTIME, &now->elapsed);
}

int report_open(struct report **report, struct report_output *output,
		const struct report_style *style)
{
	struct report *made = calloc(1, sizeof(*made));

	if (!made)
		return -ENOMEM;
	made->output = output;
	made->series[0].max = report_metrics_rows(style->series ? style->series : REPORT_SERIES);
	made->series[1].max = made->series[0].max;
	made->style = *style;
	made->style.look.color = wants_color(style, output->fd);
	report_begin(made);
	*report = made;
	return 0;
}

void report_begin(struct report *report)
{
	if (report)
		read_clocks(&report->start);
}

void report_close(struct report *report)
{
	if (!report)
		return;
	report_rows_free(&report->last);
	report_hooks_free(&report->last_hooks);
	report_classes_free(&report->last_classes);
	report_series_free(&report->series[0]);
	report_series_free(&report->series[1]);
	report_history_free(&report->history);
	report_groups_free(&report->last_groups);
	free(report->program);
	free(report->filter);
	free(report);
}

/* What one report is made of: counts since the meter was opened, and since the last report. */
struct sample {
	struct report_rows now, since;
	struct report_hooks hooks, hooks_now;
	struct report_classes classes_now, classes;
	struct report_groups groups_now, groups;
};

/* How often paths are read again where groups have counted packets that paths have not. */
#define PATIENCE 1000

/*
 * Groups first: a packet is counted there before it is in its path, so that a group never has more than
 * all paths. A packet between the two is waited for.
 */
static int read_paths(struct sample *sample, struct socktally *meter)
{
	struct socktally_totals totals;
	int error = report_groups_read(&sample->groups_now, meter);

	for (int tries = 0; tries < PATIENCE && !error; tries++) {
		report_rows_free(&sample->now);
		error = socktally_snapshot(meter, add_cell, &sample->now, &totals);
		if (report_groups_within(&sample->groups_now, &totals.counts))
			break;
	}
	return error;
}

static int read_meter(struct sample *sample, const struct report *report, struct socktally *meter,
		      double seconds)
{
	int error = read_paths(sample, meter);

	if (error)
		return error;
	report_rows_sort(&sample->now);
	error = report_rows_since(&sample->now, &report->last, &sample->since);
	if (!error)
		error = report_groups_since(&sample->groups_now, &report->last_groups,
					    &sample->groups);
	if (!error)
		error = report_hooks_read(&sample->hooks, meter);
	if (!error)
		error = report_hooks_copy(&sample->hooks_now, &sample->hooks);
	if (!error)
		error = report_classes_read(&sample->classes_now, meter);
	if (!error)
		error = report_classes_since(&sample->classes_now, &report->last_classes,
					     &sample->classes);
	if (!error)
		error = report_hooks_since(&sample->hooks, &report->last_hooks, seconds);
	return error;
}

/* The next report counts from this sample. The sample gets the one before, to be freed. */
static void keep_sample(struct report *report, struct sample *sample)
{
	const struct sample before = {.now = report->last,
				      .hooks_now = report->last_hooks,
				      .classes_now = report->last_classes,
				      .groups_now = report->last_groups};

	report->last = sample->now;
	report->last_hooks = sample->hooks_now;
	report->last_classes = sample->classes_now;
	report->last_groups = sample->groups_now;
	sample->now = before.now;
	sample->hooks_now = before.hooks_now;
	sample->classes_now = before.classes_now;
	sample->groups_now = before.groups_now;
}

static void sample_free(struct sample *sample)
{
	free(sample->since.row);
	report_rows_free(&sample->now);
	report_hooks_free(&sample->hooks);
	report_hooks_free(&sample->hooks_now);
	report_classes_free(&sample->classes);
	report_classes_free(&sample->classes_now);
	report_groups_free(&sample->groups);
	report_groups_free(&sample->groups_now);
}

/* Sums of the rows, not the meter's totals: traffic goes on while a snapshot is taken. */
static void add_up(struct report_content *content)
{
	for (size_t i = 0; i < content->rows->count; i++) {
		const struct report_row *row = &content->rows->row[i];

		report_counts_add(&content->totals, &row->counts);
		if (!strcmp(row->path, REPORT_OVERFLOW))
			content->overflow_packets += row->counts.packets;
	}
}

/* What the tool has been told in the report's time. */
static struct report_drops drops_since(const struct report_drops *now,
				       const struct report_drops *last)
{
	struct report_drops since = *now;

	since.reads = report_less(now->reads, last->reads);
	since.packets = report_less(now->packets, last->packets);
	since.drops = report_less(now->drops, last->drops);
	since.freezes = report_less(now->freezes, last->freezes);
	return since;
}

/*
 * The rows of the first report are of all the time, as what is lost is. Packets that a file has only the
 * beginning of may be counted at a path that has no row: it gets one.
 */
static int add_lost(const struct report *report, struct report_content *content,
		    struct report_rows *rows)
{
	const struct report_lost *lost = content->source->lost;
	size_t at = 0, count = rows->count;
	struct report_row *row;

	if (!lost || report->last.count)
		return 0;
	row = reallocarray(rows->row, count + lost->path_count + 1, sizeof(*row));
	if (!row)
		return -ENOMEM;
	rows->row = row;
	for (size_t i = 0; i < lost->path_count; i++) {
		while (at < count && strcmp(row[at].path, lost->paths[i].name) < 0)
			at++;
		if (at < count && !strcmp(row[at].path, lost->paths[i].name))
			row[at].lost = lost->paths[i].lost;
		else if (lost->paths[i].lost.packets)
			row[rows->count++] = (struct report_row){.path = lost->paths[i].name,
								 .lost = lost->paths[i].lost};
	}
	report_rows_sort(rows);
	content->lost = lost;
	return 0;
}

static double seconds_between(const struct timespec *start, const struct timespec *end)
{
	return (double)(end->tv_sec - start->tv_sec) +
	       (double)(end->tv_nsec - start->tv_nsec) / 1e9;
}

/*
 * The filters of the meter's sockets: their programs, and the expressions for these, which are looked for
 * once for each change.
 */
static void find_filter(struct report *report, struct socktally *meter,
			struct report_content *content)
{
	const struct report_source *source = content->source;
	char *program = source->program ? strdup(source->program) : report_filter_programs(meter);

	if (!source->filter && (!program || !report->program || strcmp(program, report->program))) {
		free(report->filter);
		report->filter = program ? report_filter_names(meter, report->style.format) : NULL;
	}
	free(report->program);
	report->program = program;
	content->program = program;
	content->filter = source->filter ? source->filter : report->filter;
	if (!content->filter)
		content->filter = program;
}

static bool is_on_any(const struct report_source *source)
{
	const char *at = source->interface;

	while (at && *at) {
		size_t length = strcspn(at, ",");

		if (length == strlen("any") && !strncmp(at, "any", length))
			return true;
		at += length + (at[length] == ',');
	}
	return false;
}

/*
 * The source's notes, and before them, in the first report of sockets on all interfaces, that packets count
 * more than once. The devices are those of our network namespace.
 */
static int add_notes(const struct report *report, struct report_content *content,
		     struct report_note **notes, char **devices)
{
	const struct report_source *source = content->source;
	size_t count = 0;

	if (!report->devices_noted && !strcmp(source->kind, "socket") && is_on_any(source))
		*devices = report_stacked_devices();
	*notes = calloc(source->note_count + 1, sizeof(**notes));
	if (!*notes)
		return -ENOMEM;
	if (*devices)
		(*notes)[count++] = (struct report_note){
			.time = content->start,
			.event = "devices",
			.text = *devices,
		};
	for (size_t i = 0; i < source->note_count; i++)
		(*notes)[count++] = source->notes[i];
	content->notes = *notes;
	content->note_count = count;
	return 0;
}

/* The interval that ends here, and all notes so far. */
static int add_history(struct report *report, struct report_content *content,
		       const struct timespec *since)
{
	const unsigned int interval = report->style.interval;
	struct report_history *history = &report->history;
	struct timespec start = content->start, end = content->end;
	int error;

	if (since &&
	    interval) { /* of packets' own times: the last is not the end of the interval */
		start = end = *since;
		end.tv_sec += interval / 1000;
		end.tv_nsec += (long)(interval % 1000) * 1000000;
		end.tv_sec += end.tv_nsec / 1000000000;
		end.tv_nsec %= 1000000000;
	} else if (history->count) {
		start = history->point[history->count - 1].end;
	}
	error = report_history_add(history, content, &start, &end, since ? interval / 1e3 : 0);
	content->history = history;
	return error ? error : report_history_notes(history, content);
}

/*
 * Fills in the rest of the content and writes it; keep: the next report counts from here. since: when the
 * interval began, of packets' own times; NULL: by the clock.
 */
static int write_counts(struct report *report, struct socktally *meter,
			struct report_content *content, const struct timespec *since, bool keep)
{
	struct sample sample = {0};
	struct report_note *notes = NULL;
	char *devices = NULL;
	int error = report_output_ready(report->output);

	content->rows = &sample.since;
	content->hooks = &sample.hooks;
	content->classes = &sample.classes;
	content->look = report->style.look;
	content->head = report->style.interval ? &report->output->head : NULL;
	content->groups = &sample.groups;
	content->series = report->series;
	if (!error)
		error = read_meter(&sample, report, meter, content->seconds);
	if (!error) {
		add_up(content);
		report_groups_show(&sample.groups, report->style.format, &content->totals);
		error = add_lost(report, content, &sample.since);
		if (content->source->drops)
			content->drops = drops_since(content->source->drops, &report->last_drops);
	}
	if (!error) {
		find_filter(report, meter, content);
		error = add_notes(report, content, &notes, &devices);
	}
	if (!error && report_format_is_page(report->style.format))
		error = add_history(report, content, since);
	if (!error)
		error = write_content(report, content);
	if (!error && keep) {
		keep_sample(report, &sample);
		if (content->source->drops)
			report->last_drops = *content->source->drops;
	}
	if (!error && (keep || report->history.count))
		report->devices_noted = true;
	free(notes);
	free(devices);
	sample_free(&sample);
	return error;
}

static int write_until_now(struct report *report, struct socktally *meter,
			   const struct report_source *source, bool keep)
{
	struct moment now;
	int error;

	read_clocks(&now);
	error = write_counts(report, meter,
			     &(struct report_content){
				     .source = source,
				     .start = report->start.wall,
				     .end = now.wall,
				     .seconds =
					     seconds_between(&report->start.elapsed, &now.elapsed),
			     },
			     NULL, keep);
	if (!error && keep)
		report->start = now;
	return error;
}

int report_write(struct report *report, struct socktally *meter, const struct report_source *source)
{
	return write_until_now(report, meter, source,
			       !report_format_is_total(report->style.format));
}

int report_write_so_far(struct report *report, struct socktally *meter,
			const struct report_source *source)
{
	return write_until_now(report, meter, source, false);
}

int report_write_span(struct report *report, struct socktally *meter,
		      const struct report_source *source, const struct timespec *start,
		      const struct timespec *end)
{
	bool total = report_format_is_total(report->style.format);

	if (!total || (!report->span_start.tv_sec && !report->span_start.tv_nsec))
		report->span_start = *start;
	return write_counts(report, meter,
			    &(struct report_content){
				    .source = source,
				    .start = report->span_start,
				    .end = *end,
				    .seconds = seconds_between(&report->span_start, end),
			    },
			    start, !total);
}
