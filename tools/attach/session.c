// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* The schedule of a session: what is done when. */
#include "tools/attach/attach.h"

#include <stdlib.h>
#include <string.h>

/* The interval between two checks of the sockets: as a rule, and right after a change. */
#define LOOK (20 * MILLISECOND)
#define BUSY_LOOK MILLISECOND
/* How long a tool that was just started may take to open its sockets. */
#define STARTING (10000 * MILLISECOND)
/* A scan of processes or sockets may take one part in so many of the time. */
#define SHARE 20

int attach_session_open(struct attach_session *session, struct attach_options *options,
			struct report_output *output)
{
	session->options = options;
	session->output = output;
	if (!attach_meter_of(session))
		return session->unprepared ? session->unprepared : EXIT_FAILED;
	if (listener_begin(session->listener, &options->report.style))
		return command_fail("out of memory");
	return 0;
}

/* At most the interval of the reports, so that each is up to date. */
static int64_t look_period(const struct attach_session *session, int64_t now)
{
	int64_t interval = session->options->report.interval * MILLISECOND;

	if (now < session->busy_until)
		return BUSY_LOOK;
	return interval && interval < LOOK ? interval : LOOK;
}

static void scan(struct attach_session *session)
{
	session->scan++;
	for (size_t i = 0; i < session->targets.count; i++)
		attach_sockets(session, &session->targets.target[i]);
	attach_forget_refused(session);
}

/* When the next report is due, at `now` of monotonic_now(). One that came late is not made up for. */
static int64_t report_due(const struct attach_session *session, int64_t now)
{
	int64_t interval = session->options->report.interval * MILLISECOND;
	struct timespec wall;

	if (!interval)
		return 0;
	if (session->options->report.align) {
		clock_gettime(CLOCK_REALTIME, &wall);
		return monotonic_now() + interval -
		       (wall.tv_sec * SECOND + wall.tv_nsec) % interval;
	}
	if (!session->next_report)
		return now + interval;
	return session->next_report + ((now - session->next_report) / interval + 1) * interval;
}

void attach_session_begin(struct attach_session *session)
{
	int64_t now = monotonic_now();

	if (session->options->family) {
		session->started = true;
		session->busy_until = now + STARTING;
	}
	scan(session);
	session->started = true;
	session->processes_read_at = now;
	session->next_report = report_due(session, now);
}

int attach_session_wait_ms(const struct attach_session *session)
{
	int64_t next = session->next_look, now = monotonic_now();

	if (session->options->report.interval && session->next_report < next)
		next = session->next_report;
	return next > now ? (int)((next - now + MILLISECOND - 1) / MILLISECOND) : 0;
}

/* When to repeat what took from `began` until now: see SHARE. */
static int64_t due_again(int64_t began)
{
	return began + SHARE * (monotonic_now() - began);
}

static void follow(struct attach_session *session)
{
	const struct attach_options *options = session->options;
	int64_t now = monotonic_now();

	if (now >= session->next_process_scan) {
		if (options->family)
			targets_add_children(&session->targets, session->processes_read_at);
		else
			targets_add_named(&session->targets, &options->choice,
					  session->processes_read_at);
		session->processes_read_at = now;
		session->next_process_scan = due_again(now);
		now = monotonic_now();
	}
	if (now >= session->next_socket_scan) {
		scan(session);
		session->next_socket_scan = due_again(now);
	}
}

void attach_session_step(struct attach_session *session)
{
	unsigned int interval = session->options->report.interval;
	int64_t now = monotonic_now();

	if (now >= session->next_look) {
		attach_look(session);
		if (session->options->follow)
			follow(session);
		targets_forget_ended(&session->targets);
		now = monotonic_now();
		session->next_look = now + look_period(session, now);
	}
	if (interval && now >= session->next_report && !session->status) {
		attach_report(session, ATTACH_INTERVAL);
		session->next_report = report_due(session, now);
	}
}

bool attach_session_ended(const struct attach_session *session)
{
	const struct attach_options *options = session->options;

	if (session->status)
		return true;
	if (options->follow)
		return !session->targets.count && !targets_may_come(&options->choice);
	return !session->targets.count || !session->socket_count;
}

bool attach_session_metered(const struct attach_session *session)
{
	for (size_t i = 0; i < session->meter_count; i++)
		if (session->meters[i]->used)
			return true;
	return false;
}

int attach_session_close(struct attach_session *session)
{
	attach_give_back(session);
	if (!session->status) /* after a report that could not be written there is no other */
		attach_report(session, ATTACH_LAST);
	if (session->status)
		return session->status;
	return session->failed && session->options->choice.name_count ? EXIT_FAILED : 0;
}

void attach_session_free(struct attach_session *session)
{
	for (size_t i = 0; i < session->meter_count; i++)
		attach_meter_free(session->meters[i]);
	free(session->meters);
	free(session->sockets);
	free(session->refused);
	targets_free(&session->targets);
}
