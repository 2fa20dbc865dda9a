// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * Filters that were set past the library: the program that owns the socket is free to, and so is
 * every other library in it. The last one that attaches has the slot, so the counting has ended.
 */
#include "plugin/remote/remote.h"
#include "plugin/attach/attach.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#ifndef SO_COOKIE
#define SO_COOKIE 57
#endif

#define SECOND 1000000000ull

/* A descriptor's number says nothing of whose it is: the program may have closed and reused it. */
static bool is_socket(int fd, uint64_t cookie)
{
	socklen_t size = sizeof(uint64_t);
	uint64_t now;

	return fd >= 0 && !getsockopt(fd, SOL_SOCKET, SO_COOKIE, &now, &size) && now == cookie;
}

static bool is_ours(const struct st_attachment *attachment)
{
	socklen_t length = 0;

	return getsockopt(attachment->fd, SOL_SOCKET, SO_GET_FILTER, NULL, &length) &&
	       errno == EACCES && st_may_be_on(attachment, attachment->fd);
}

static void tell(struct socktally *meter, const struct st_attachment *attachment, int result,
		 uint64_t since)
{
	struct socktally_gap gap = {.cookie = attachment->cookie,
				    .interface = attachment->tap.interface,
				    .ifindex = attachment->tap.ifindex,
				    .error = result,
				    .nanoseconds = st_now() - since};
	double seconds = (double)gap.nanoseconds / SECOND;

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
	if (meter->gap)
		meter->gap(meter->gap_ctx, &gap);
}

/*
 * The number is held by a duplicate meanwhile, so that another thread that closes it can't make us
 * attach to what gets it next.
 */
static int compose_again(struct socktally *meter, int number, uint64_t cookie)
{
	int fd = fcntl(number, F_DUPFD_CLOEXEC, 0), result = -EBADF;

	if (fd < 0)
		return -errno;
	meter->shown = number;
	if (is_socket(fd, cookie))
		result = socktally_attach(meter, fd, NULL);
	meter->shown = -1;
	close(fd);
	return result;
}

static struct st_attachment *find(const struct socktally *meter, uint64_t cookie)
{
	for (size_t i = 0; i < meter->attachment_count; i++)
		if (meter->attachments[i]->cookie == cookie)
			return meter->attachments[i];
	return NULL;
}

/* false: the attachments are in another order now. */
static bool look_at(struct socktally *meter, struct st_attachment *attachment)
{
	uint64_t cookie = attachment->cookie, since = attachment->seen;
	bool was_lost = attachment->lost;
	int fd = attachment->fd, result;

	if (!is_socket(fd, cookie)) {
		attachment->fd = -1;
		return true;
	}
	if (is_ours(attachment)) {
		attachment->seen = st_now();
		attachment->lost = false;
		return true;
	}
	meter->quiet = was_lost;
	result = compose_again(meter, fd, cookie);
	meter->quiet = false;
	attachment = find(meter, cookie);
	if (!attachment || result == -EAGAIN || result == -EBADF)
		return true;
	attachment->fd = fd; /* not the duplicate */
	attachment->seen = result ? since : st_now();
	attachment->lost = result != 0;
	if (!result || !was_lost)
		tell(meter, attachment, result, since);
	return result != 0;
}

/* The kernel has emptied the chain: each socket has its own filter, and that is all. */
static void broker_gone(struct socktally *meter)
{
	for (size_t i = 0; i < meter->attachment_count; i++) {
		struct st_attachment *attachment = meter->attachments[i];

		if (attachment->lost)
			continue;
		attachment->lost = true;
		tell(meter, attachment, -ECONNRESET, attachment->seen);
	}
}

void st_reattach(struct socktally *meter)
{
	bool retry = st_now() - meter->retried >= SECOND;

	if (meter->broker >= 0 && st_broker_is_gone(meter)) {
		broker_gone(meter);
		return;
	}
	if (retry)
		meter->retried = st_now();
	/* composing anew moves an attachment to the end: what comes to its place is next */
	for (size_t i = 0, looks = 2 * meter->attachment_count;
	     i < meter->attachment_count && looks; looks--) {
		struct st_attachment *attachment = meter->attachments[i];

		if ((attachment->lost && !retry) || look_at(meter, attachment))
			i++;
	}
}
