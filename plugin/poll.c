// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* Interval snapshots in somebody else's event loop: a timer descriptor, no thread and no signal. */
#include "plugin/meter/meter.h"
#include "plugin/meter/visit.h"
#include "plugin/threshold.h"
#include "plugin/attach/attach.h"
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

static int timer_make(struct socktally *meter)
{
	if (meter->timer >= 0)
		return 0;
	meter->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (meter->timer < 0)
		return st_fail(meter, -errno, "can't make a timer: %s", strerror(errno));
	return 0;
}

/* With a broker, the descriptor for the host's loop is readable at the broker's end as well. */
static int events_make(struct socktally *meter)
{
	struct epoll_event readable = {.events = EPOLLIN};
	int result = timer_make(meter);

	if (result || meter->remote < 0 || meter->events >= 0)
		return result;
	meter->events = epoll_create1(EPOLL_CLOEXEC);
	if (meter->events >= 0 &&
	    !epoll_ctl(meter->events, EPOLL_CTL_ADD, meter->timer, &readable) &&
	    !epoll_ctl(meter->events, EPOLL_CTL_ADD, meter->remote, &readable))
		return 0;
	result = -errno;
	if (meter->events >= 0)
		close(meter->events);
	meter->events = -1;
	return st_fail(meter, result, "can't wait for the broker: %s", strerror(-result));
}

/* What is readable when socktally_poll() is due. */
static int events_fd(const struct socktally *meter)
{
	return meter->events >= 0 ? meter->events : meter->timer;
}

int socktally_set_interval(struct socktally *meter, unsigned int milliseconds,
			   socktally_interval_fn fn, void *ctx)
{
	struct timespec period = {.tv_sec = milliseconds / 1000,
				  .tv_nsec = (long)(milliseconds % 1000) * 1000000};
	struct itimerspec interval = {.it_interval = period, .it_value = period};
	int saved = errno, result;

	if (!st_registry_has(meter))
		return -EINVAL;
	result = timer_make(meter);
	if (!result && timerfd_settime(meter->timer, 0, &interval, NULL))
		result = st_fail(meter, -errno, "can't set the timer: %s", strerror(errno));
	if (!result) {
		meter->thresholds_at = 0;
		meter->interval_fn = milliseconds ? fn : NULL;
		meter->interval_ctx = ctx;
	}
	errno = saved;
	return result;
}

int socktally_fd(struct socktally *meter)
{
	int saved = errno, result;

	if (!st_registry_has(meter))
		return -EINVAL;
	result = events_make(meter);
	errno = saved;
	return result ? result : events_fd(meter);
}

static int wait_and_call(struct socktally *meter, int timeout_ms)
{
	struct pollfd poll_fd = {.events = POLLIN};
	uint64_t expired;
	int result;

	result = events_make(meter);
	if (result)
		return result;
	st_reattach(meter);
	if (meter->closed)
		return -ECANCELED;
	poll_fd.fd = events_fd(meter);
	result = poll(&poll_fd, 1, timeout_ms);
	if (result < 0 && errno == EINTR) {
		meter->quiet = true; /* it is the host's signal: nothing has failed */
		st_fail(meter, -EINTR, "a signal has ended the waiting");
		meter->quiet = false;
		return -EINTR;
	}
	if (result < 0)
		return st_fail(meter, -errno, "can't wait for the timer: %s", strerror(errno));
	if (timeout_ms)
		st_reattach(meter);
	if (meter->closed)
		return -ECANCELED;
	if (!result || read(meter->timer, &expired, sizeof(expired)) != sizeof(expired))
		return 0;
	st_thresholds_look(meter);
	result = meter->interval_fn && !meter->closed
			 ? meter->interval_fn(meter->interval_ctx, meter)
			 : 0;
	result = st_visit_result(meter, result);
	return result ? result : 1;
}

int socktally_poll(struct socktally *meter, int timeout_ms)
{
	int saved = errno, result;

	if (!st_registry_has(meter))
		return -EINVAL;
	result = st_visit_refuse(meter, ST_LIST_ALL);
	if (result)
		return result;
	st_meter_hold(meter);
	result = wait_and_call(meter, timeout_ms);
	st_meter_release(meter);
	errno = saved;
	return result;
}
