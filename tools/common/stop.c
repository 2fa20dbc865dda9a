// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
#include "tools/common/stop.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

int stop_signals(unsigned int more)
{
	static const int ends[] = {SIGTERM, SIGHUP, SIGQUIT};
	struct sigaction action;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++) {
		if (!sigaction(ends[i], NULL, &action) && action.sa_handler != SIG_IGN)
			sigaddset(&set, ends[i]);
	}
	if (more & STOP_TAKES_REPORT)
		sigaddset(&set, SIGUSR1);
	if (more & STOP_TAKES_REOPEN)
		sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	/* A shell script ignores it in what it starts with "&"; who sends it all the same means it. */
	signal(SIGINT, SIG_DFL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

enum stop_event stop_read(int signals, unsigned int more)
{
	struct signalfd_siginfo info;

	if (read(signals, &info, sizeof(info)) != sizeof(info))
		return STOP_NOTHING;
	if (info.ssi_signo == SIGUSR1 && more & STOP_TAKES_REPORT)
		return STOP_REPORT;
	if (info.ssi_signo == SIGHUP && more & STOP_TAKES_REOPEN)
		return STOP_REOPEN;
	return STOP_END;
}

void stop_forget(int signals)
{
	struct signalfd_siginfo info;
	sigset_t set;

	while (read(signals, &info, sizeof(info)) == sizeof(info))
		;
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGQUIT);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}

int stop_timer(unsigned int milliseconds)
{
	struct itimerspec when = {.it_value = {.tv_sec = milliseconds / 1000,
					       .tv_nsec = (long)(milliseconds % 1000) * 1000000}};
	int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);

	if (timer >= 0 && timerfd_settime(timer, 0, &when, NULL)) {
		close(timer);
		return -1;
	}
	return timer;
}

static int set_clock(int fd, unsigned int milliseconds)
{
	const int64_t period = milliseconds * INT64_C(1000000);
	struct itimerspec when = {
		.it_interval = {.tv_sec = period / 1000000000, .tv_nsec = period % 1000000000}};
	struct timespec now;
	int64_t next;

	clock_gettime(CLOCK_REALTIME, &now);
	next = (now.tv_sec * INT64_C(1000000000) + now.tv_nsec) / period * period + period;
	when.it_value.tv_sec = next / 1000000000;
	when.it_value.tv_nsec = next % 1000000000;
	return timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &when, NULL);
}

int stop_clock(unsigned int milliseconds)
{
	int fd = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);

	if (fd >= 0 && set_clock(fd, milliseconds)) {
		close(fd);
		return -1;
	}
	return fd;
}

bool stop_clock_read(int clock, unsigned int milliseconds)
{
	uint64_t times;

	if (read(clock, &times, sizeof(times)) == sizeof(times))
		return true;
	if (errno == ECANCELED)
		set_clock(clock, milliseconds);
	return false;
}
