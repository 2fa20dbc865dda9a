// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * Filters that were set past the library. The program that owns the socket may do that, and so may
 * every other library in it. A new filter takes the place of our program, so the counting ends.
 */
#include "plugin/remote/remote.h"
#include "plugin/attach/attach.h"
#include "plugin/meter/visit.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000ull

static void report_gap(struct socktally *meter, const struct st_attachment *attachment, int result,
		       uint64_t since)
{
	struct socktally_gap gap = {.cookie = attachment->cookie,
				    .interface = attachment->socket_link.interface,
				    .ifindex = attachment->socket_link.ifindex,
				    .error = result,
				    .nanoseconds = st_now() - since};
	double seconds = (double)gap.nanoseconds / SECOND;

	if (meter->closed)
		return;
	if (result == -ECONNRESET)
		st_log(meter, SOCKTALLY_LOG_WARNING, "%s: the broker is gone: not counted any more",
		       gap.interface);
	else if (result)
		st_log(meter, SOCKTALLY_LOG_WARNING,
		       "%s: socket %d: its filter was set past socktally: not counted any more",
		       gap.interface, attachment->fd);
	else
		st_log(meter, SOCKTALLY_LOG_WARNING,
		       "%s: socket %d: its filter was set past socktally: counted again, but for up "
		       "to %.3f seconds it was not",
		       gap.interface, attachment->fd, seconds);
	if (!meter->gap || meter->closed)
		return;
	st_visit_begin(meter, ST_LIST_SOCKETS);
	meter->gap(meter->gap_ctx, &gap);
	st_visit_end(meter, ST_LIST_SOCKETS);
}

/*
 * Attaches by a duplicate of the descriptor. Another thread may close the number meanwhile and open
 * another socket, which gets the same number and must not be attached.
 */
static int attach_again(struct socktally *meter, int number, uint64_t cookie)
{
	int fd = fcntl(number, F_DUPFD_CLOEXEC, 0), result = -EBADF;

	if (fd < 0)
		return -errno;
	meter->label_fd = number;
	if (st_socket_is(fd, cookie))
		result = socktally_attach(meter, fd, NULL);
	meter->label_fd = -1;
	close(fd);
	return result;
}

/* Returns false if the list of attachments has changed its order. */
static bool check_socket(struct socktally *meter, struct st_attachment *attachment)
{
	uint64_t cookie = attachment->cookie, since = attachment->seen;
	bool was_lost = attachment->lost;
	int fd = attachment->fd, result;

	if (!st_socket_is(fd, cookie)) {
		attachment->fd = -1;
		return true;
	}
	if (st_attachment_is_on(attachment, attachment->fd)) {
		attachment->seen = st_now();
		attachment->lost = false;
		return true;
	}
	meter->quiet = was_lost;
	result = attach_again(meter, fd, cookie);
	meter->quiet = false;
	attachment = st_attachment_find(meter, cookie);
	if (!attachment || result == -EAGAIN || result == -EBADF)
		return true;
	attachment->fd = fd; /* not the duplicate */
	attachment->seen = result ? since : st_now();
	attachment->lost = result != 0;
	if (!result || !was_lost)
		report_gap(meter, attachment, result, since);
	return result != 0;
}

/* The kernel has emptied the chain: each socket has its own filter, and that is all. */
static void broker_gone(struct socktally *meter)
{
	if (meter->events >= 0) /* told once: else it would stay readable */
		epoll_ctl(meter->events, EPOLL_CTL_DEL, meter->remote, NULL);
	for (size_t i = 0; i < meter->attachment_count; i++) {
		struct st_attachment *attachment = meter->attachments[i];

		if (attachment->lost)
			continue;
		attachment->lost = true;
		report_gap(meter, attachment, -ECONNRESET, attachment->seen);
	}
}

void st_reattach(struct socktally *meter)
{
	bool retry = st_now() - meter->retried >= SECOND;

	if (meter->remote >= 0 && st_remote_is_gone(meter)) {
		broker_gone(meter);
		return;
	}
	if (retry)
		meter->retried = st_now();
	/* an attachment that is made anew goes to the end of the list: look at its place again */
	for (size_t i = 0, checks = 2 * meter->attachment_count;
	     i < meter->attachment_count && checks && !meter->closed; checks--) {
		struct st_attachment *attachment = meter->attachments[i];

		if ((attachment->lost && !retry) || check_socket(meter, attachment))
			i++;
	}
}
