// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* Counts the packets of files, and writes the reports. */
#include "tools/read/read.h"

#include <string.h>

#define PATHS_DEFAULT 32768 /* a file of any kind fits; it costs a few megabytes */

static double seconds_between(const struct timespec *start, const struct timespec *end)
{
	return (double)(end->tv_sec - start->tv_sec) +
	       (double)(end->tv_nsec - start->tv_nsec) / 1e9;
}

/* Of files that need not come in the order of their times. */
static struct read_span join(const struct read_span *one, const struct read_span *other)
{
	struct read_span joined = *one;

	if (!other->timed)
		return *one;
	if (!one->timed)
		return *other;
	if (seconds_between(&one->start, &other->start) < 0)
		joined.start = other->start;
	if (seconds_between(&one->end, &other->end) > 0)
		joined.end = other->end;
	return joined;
}

static int report_now(struct read_session *session, bool last)
{
	const struct read_span span = join(&session->before, &session->span);
	struct report_source source;
	int error;

	if (session->file)
		read_source_add(session);
	read_progress_clear(session->progress);
	source = read_source_of(session, last);
	error = report_write_span(session->report, session->meter, &source, &span.start, &span.end);
	session->before.timed = session->span.timed = false;
	if (error)
		return command_report_failed(&session->options->report, error, session->meter);
	return 0;
}

static void note_time(struct read_session *session, const struct capture_time *time)
{
	struct timespec now;

	if (!capture_timespec(time, &now))
		return;
	if (!session->span.timed)
		session->span.start = now;
	session->span.end = now;
	session->span.timed = true;
}

/*
 * A packet at or past the interval's end is the first of the next one, and so is one of a file that begins
 * before it. Times in which there was no packet get no report: a wrong time in the file could make any
 * number of them.
 */
static int note_interval(struct read_session *session, const struct capture_time *time)
{
	const double interval = session->options->report.interval / 1e3;
	struct timespec now;
	int status = 0;

	if (!capture_timespec(time, &now))
		return 0;
	if (session->span.timed) {
		if (seconds_between(&session->span.start, &now) >= interval)
			status = report_now(session, false);
	} else if (session->before.timed) {
		double passed = seconds_between(&session->before.start, &now);

		if (passed < 0 || passed >= interval)
			status = report_now(session, false);
		else
			session->span = session->before;
		session->before.timed = false;
	}
	note_time(session, time);
	return status;
}

/* Notes the time of the first packet, if it is not known yet, and of the last one. */
static void note_times(struct read_session *session, const struct capture_packet *packets,
		       int count, struct capture_time *last)
{
	for (int i = 0; i < count && !session->span.timed; i++)
		note_time(session, &packets[i].time);
	while (count && !packets[count - 1].time.units)
		count--;
	if (count)
		*last = packets[count - 1].time;
}

static int count_batch(struct read_session *session, const struct capture_packet *packets,
		       int count)
{
	struct st_batch_packet batch[ST_BATCH];

	if (!read_batch(session, packets, (size_t)count, batch))
		return EXIT_USAGE;
	if (st_count_batch(session->meter, batch, (size_t)count))
		return command_fail("%s", socktally_error(session->meter));
	return 0;
}

/* A corrupt file is counted up to where it is so. Returns an exit status where counting can't go on. */
static int count_file(struct read_session *session)
{
	const bool intervals = session->options->report.interval;
	struct capture_packet packets[ST_BATCH];
	struct capture_time last = {0};
	int count, status = 0;

	/* With intervals, each packet may be the first one of the next. */
	while ((count = capture_file_batch(session->file, packets, intervals ? 1 : ST_BATCH)) > 0) {
		if (intervals)
			status = note_interval(session, &packets->time);
		note_times(session, packets, count, &last);
		if (!status)
			status = count_batch(session, packets, count);
		if (status)
			return status;
		read_progress_update(session->progress, capture_file_position(session->file),
				     (unsigned int)count);
	}
	note_time(session, &last);
	read_end_file(session, count);
	return 0;
}

static int start_counting(struct read_session *session)
{
	const struct report_options *options = &session->options->report;
	int error = read_open_meter(session, options->paths ? options->paths : PATHS_DEFAULT);

	if (!error)
		error = report_open(&session->report, &session->output, &options->style);
	if (error)
		return command_fail("can't start counting: %s", strerror(-error));
	error = class_options_add(&options->classes, session->meter);
	return error ? error : group_options_add(&options->groups, session->meter);
}

int read_count(struct read_session *session)
{
	int status = start_counting(session);
	bool more = true;

	while (!status && more) {
		status = count_file(session);
		session->before = join(&session->before, &session->span);
		session->span.timed = false;
		more = !status && read_goes_on(session);
		if (more)
			read_say_fault(session);
		more = more && read_next_file(session);
	}
	if (!status)
		status = report_now(session, true);
	report_close(session->report);
	session->report = NULL;
	return status;
}
