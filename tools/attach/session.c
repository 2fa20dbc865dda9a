// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* The course of an attachment: what is looked at when. */
#include "tools/attach/attach.h"

#include <stdlib.h>
#include <string.h>

/* How often sockets are looked at: as a rule, and when something has just happened. */
#define LOOK (20 * MILLISECOND)
#define BUSY_LOOK MILLISECOND
/* A tool that has just been started opens its sockets. */
#define STARTING (10000 * MILLISECOND)
/* What takes long is done less often: it may take one part in so many of the time. */
#define SHARE 20

int attaching_open(struct attaching *attaching, const struct attach_options *options, int report_fd)
{
	struct attach_meter *meter;

	attaching->options = options;
	attaching->report_fd = report_fd;
	meter = attach_meter_of(attaching);
	if (!meter)
		return EXIT_FAILED;
	clock_gettime(CLOCK_REALTIME, &meter->start);
	return 0;
}

/* The time between two looks is at most that of a report. */
static int64_t look_period(const struct attaching *attaching, int64_t now)
{
	int64_t interval = attaching->options->report.interval * MILLISECOND;

	if (now < attaching->busy_until)
		return BUSY_LOOK;
	return interval && interval < LOOK ? interval : LOOK;
}

static void scan(struct attaching *attaching)
{
	for (size_t i = 0; i < attaching->targets.count; i++)
		attach_sockets(attaching, &attaching->targets.target[i]);
}

void attaching_begin(struct attaching *attaching)
{
	int64_t now = monotonic_now();

	if (attaching->options->family) {
		attaching->begun = true;
		attaching->busy_until = now + STARTING;
	}
	scan(attaching);
	attaching->begun = true;
	attaching->walked = now;
	attaching->next_report = now + attaching->options->report.interval * MILLISECOND;
}

int attaching_patience(const struct attaching *attaching)
{
	int64_t next = attaching->next_look, now = monotonic_now();

	if (attaching->options->report.interval && attaching->next_report < next)
		next = attaching->next_report;
	return next > now ? (int)((next - now + MILLISECOND - 1) / MILLISECOND) : 0;
}

/* When something that took from `began` until now is due again. */
static int64_t due_again(int64_t began)
{
	return began + SHARE * (monotonic_now() - began);
}

static void follow(struct attaching *attaching)
{
	const struct attach_options *options = attaching->options;
	int64_t now = monotonic_now();

	if (now >= attaching->next_walk) {
		if (options->family)
			targets_add_children(&attaching->targets, attaching->walked);
		else
			targets_add_named(&attaching->targets, &options->choice, attaching->walked);
		attaching->walked = now;
		attaching->next_walk = due_again(now);
		now = monotonic_now();
	}
	if (now >= attaching->next_scan) {
		scan(attaching);
		attaching->next_scan = due_again(now);
	}
}

void attaching_step(struct attaching *attaching)
{
	unsigned int interval = attaching->options->report.interval;
	int64_t now = monotonic_now();

	if (now >= attaching->next_look) {
		attach_look(attaching);
		if (attaching->options->follow)
			follow(attaching);
		targets_forget_ended(&attaching->targets);
		now = monotonic_now();
		attaching->next_look = now + look_period(attaching, now);
	}
	if (interval && now >= attaching->next_report && !attaching->status) {
		attach_report(attaching);
		/* what could not be written in time is not made up for */
		while (attaching->next_report <= now)
			attaching->next_report += interval * MILLISECOND;
	}
}

bool attaching_over(const struct attaching *attaching)
{
	const struct attach_options *options = attaching->options;

	if (attaching->status)
		return true;
	if (options->follow) /* all there will ever be don't end */
		return !attaching->targets.count && options->choice.name_count;
	return !attaching->targets.count || !attaching->socket_count;
}

bool attaching_used(const struct attaching *attaching)
{
	for (size_t i = 0; i < attaching->meter_count; i++)
		if (attaching->meters[i]->used)
			return true;
	return false;
}

int attaching_close(struct attaching *attaching)
{
	attach_give_back(attaching);
	if (!attaching->status) /* after a report that could not be written there is no other */
		attach_report(attaching);
	if (attaching->status)
		return attaching->status;
	return attaching->failed && attaching->options->choice.name_count ? EXIT_FAILED : 0;
}

void attaching_free(struct attaching *attaching)
{
	for (size_t i = 0; i < attaching->meter_count; i++)
		attach_meter_free(attaching->meters[i]);
	free(attaching->meters);
	free(attaching->sockets);
	free(attaching->refused);
	targets_free(&attaching->targets);
}
