// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * report_rows FORMAT [KIND [INTERFACE [LINKTYPE [PID [COMM [FILTER [FILE]]]]]]]: writes reports
 * of the rows on standard input, so that a test chooses the numbers. A row is "PATH in|out PACKETS
 * SEGMENTS BYTES ACCEPTED_PACKETS ACCEPTED_BYTES"; a line "report START END" (seconds) writes what
 * has changed since the one before, as with an interval. "clock WALL ELAPSED" sets the clocks, "begin",
 * "now" and "so far" call report_begin(), report_write() and report_write_so_far().
 */
#include "tools/report/report.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_MAX 70000

struct row {
	char path[SOCKTALLY_PATH_TEXT_MAX];
	struct socktally_cell cell;
};

static struct row rows[ROWS_MAX];
static size_t row_count;

/* In the place of the library's: the table that the test has written. */
int socktally_snapshot(const struct socktally *meter, socktally_cell_fn fn, void *ctx,
		       struct socktally_totals *totals)
{
	int result = 0;

	(void)meter;
	if (totals)
		memset(totals, 0, sizeof(*totals));
	for (size_t i = 0; i < row_count && !result; i++) {
		rows[i].cell.path = rows[i].path;
		result = fn(ctx, &rows[i].cell);
	}
	return result;
}

/* And no hooks. */
int socktally_hooks(struct socktally *meter, socktally_hook_fn fn, void *ctx)
{
	(void)meter, (void)fn, (void)ctx;
	return 0;
}

int socktally_hook_rows(struct socktally *meter, const char *hook, const char *map,
			socktally_row_fn fn, void *ctx)
{
	(void)meter, (void)hook, (void)map, (void)fn, (void)ctx;
	return 0;
}

/* Nor classes. */
int socktally_classes(const struct socktally *meter, socktally_class_fn fn, void *ctx)
{
	(void)meter, (void)fn, (void)ctx;
	return 0;
}

/* Nor groups. */
int socktally_groups(struct socktally *meter, socktally_group_fn fn, void *ctx)
{
	(void)meter, (void)fn, (void)ctx;
	return 0;
}

int socktally_group_rows(struct socktally *meter, const char *name, uint32_t most,
			 socktally_group_row_fn fn, void *ctx)
{
	(void)meter, (void)name, (void)most, (void)fn, (void)ctx;
	return 0;
}

/* Nor sockets. */
int socktally_sockets(struct socktally *meter, socktally_socket_fn fn, void *ctx)
{
	(void)meter, (void)fn, (void)ctx;
	return 0;
}

/* A row that is there already is replaced: counts go on from report to report. */
static void set_row(const struct row *row)
{
	size_t i;

	for (i = 0; i < row_count; i++) {
		if (!strcmp(rows[i].path, row->path) &&
		    rows[i].cell.direction == row->cell.direction)
			break;
	}
	if (i == ROWS_MAX)
		exit(3);
	if (i == row_count)
		row_count++;
	rows[i] = *row;
}

static bool parse_row(const char *line, struct row *row)
{
	struct socktally_counts *counts = &row->cell.counts;
	char direction[4];

	memset(row, 0, sizeof(*row));
	if (sscanf(line, "%255s %3s %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64,
		   row->path, direction, &counts->packets, &counts->segments, &counts->bytes,
		   &counts->accepted_packets, &counts->accepted_bytes) != 7)
		return false;
	row->cell.direction = strcmp(direction, "out") ? SOCKTALLY_IN : SOCKTALLY_OUT;
	return true;
}

/* In the place of the C library's: what the test says, by "clock WALL ELAPSED". */
static struct timespec wall, elapsed;

int clock_gettime(clockid_t clock, struct timespec *time)
{
	*time = clock == CLOCK_REALTIME ? wall : elapsed;
	return 0;
}

static struct timespec timespec_of(double seconds)
{
	struct timespec time = {.tv_sec = (time_t)seconds};

	time.tv_nsec = (long)((seconds - (double)time.tv_sec) * 1e9);
	return time;
}

int main(int argc, char **argv)
{
	const char *argument[9] = {0};
	struct report_style style = {0};
	struct report_source source;
	struct report_output output;
	struct report *report;
	char line[1024];

	for (int i = 1; i < argc && i < 9; i++)
		argument[i] = *argv[i] ? argv[i] : NULL;
	if (argc < 2)
		return 2;
	source = (struct report_source){
		.kind = argument[2] ? argument[2] : "socket",
		.interface = argument[3],
		.linktype = argument[4],
		.pid = argument[5] ? atoi(argument[5]) : 0,
		.comm = argument[6],
		.filter = argument[7],
		.file = argument[8],
	};
	report_output_stream(&output, 1);
	if (!report_format_find(argv[1], &style.format) || report_open(&report, &output, &style))
		return 1;
	while (fgets(line, sizeof(line), stdin)) {
		double from, to;
		struct row row;

		if (sscanf(line, "clock %lf %lf", &from, &to) == 2) {
			wall = timespec_of(from);
			elapsed = timespec_of(to);
		} else if (!strcmp(line, "begin\n")) {
			report_begin(report);
		} else if (!strcmp(line, "now\n")) {
			report_write(report, NULL, &source);
		} else if (!strcmp(line, "so far\n")) {
			report_write_so_far(report, NULL, &source);
		} else if (sscanf(line, "report %lf %lf", &from, &to) == 2) {
			struct timespec start = timespec_of(from), end = timespec_of(to);
			int error = report_write_span(report, NULL, &source, &start, &end);

			if (error) {
				fprintf(stderr, "%s\n", strerror(-error));
				return 1;
			}
		} else if (parse_row(line, &row)) {
			set_row(&row);
		} else {
			return 2;
		}
	}
	report_close(report);
	return 0;
}
