// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* getsockopt(): the tool's filter, which the kernel can't tell of a metered socket. */
#include "preload/preload.h"
#include <errno.h>
#include <linux/filter.h>

PRELOAD_EXPORT int getsockopt(int fd, int level, int name, void *value, socklen_t *length);

/* CHANNEL_PASS, or CHANNEL_DONE with *error, or with 0 and *count to be put into *length. */
static enum channel_answer ask_broker(int fd, void *value, const socklen_t *length, int *error,
				      int *count)
{
	enum channel_answer answer = CHANNEL_PASS;
	struct rpc_body body = {.receive = value};
	struct channel_reply reply;
	struct rpc rpc;
	int room;

	if (rpc_try(&rpc)) /* no descriptors are left: the cache may know */
		return CHANNEL_PASS;
	if (rpc_copy(&rpc, &room, length, sizeof(room)) && room >= 0) {
		if (room > CHANNEL_MAX_INSNS)
			room = CHANNEL_MAX_INSNS;
		body.receive_size = (size_t)room * sizeof(struct sock_filter);
		errno = 0;
		if (rpc_ask(&rpc, fd, CHANNEL_GET_FILTER, 0, (uint32_t)room, &body, &reply)) {
			answer = reply.answer;
			*error = reply.error;
			*count = (int)reply.count;
		} else if (errno == EFAULT) {
			answer = CHANNEL_DONE;
			*error = EFAULT;
		}
	}
	rpc_end(&rpc);
	return answer;
}

/* As sk_get_filter() in net/core/filter.c answers. */
static enum channel_answer show(const struct filter_view *view, void *value,
				const socklen_t *length, int *error)
{
	enum channel_answer answer = CHANNEL_DONE;
	struct rpc rpc;
	int room;

	rpc_begin_copies(&rpc);
	*error = 0;
	if (!rpc_copy(&rpc, &room, length, sizeof(room)) || room < 0)
		answer = CHANNEL_PASS; /* the kernel says so itself */
	else if (room && (uint32_t)room < view->count)
		*error = EINVAL;
	else if (room && view->count &&
		 !rpc_copy(&rpc, value, view->insns, view->count * sizeof(*view->insns)))
		*error = EFAULT;
	rpc_end(&rpc);
	return answer;
}

/* The same from the cache. */
static enum channel_answer ask_cache(int fd, void *value, const socklen_t *length, int *error,
				     int *count)
{
	enum channel_answer answer;
	struct filter_view view;

	for (int tries = 0; tries < 3 && filter_cache_get(fd, &view); tries++) {
		answer = show(&view, value, length, error);
		*count = (int)view.count;
		if (filter_cache_holds(&view))
			return answer;
	}
	return CHANNEL_PASS;
}

static bool put_length(socklen_t *length, int count)
{
	struct rpc rpc;
	bool put;

	rpc_begin_copies(&rpc);
	put = rpc_copy(&rpc, length, &count, sizeof(count));
	rpc_end(&rpc);
	return put;
}

static int get_filter(int fd, void *value, socklen_t *length)
{
	int error = 0, count = 0;

	if (!(packet_socket_can_ask(fd) &&
	      ask_broker(fd, value, length, &error, &count) == CHANNEL_DONE) &&
	    !(packet_socket_noted(fd) &&
	      ask_cache(fd, value, length, &error, &count) == CHANNEL_DONE))
		return next_getsockopt(fd, SOL_SOCKET, SO_GET_FILTER, value, length);
	if (!error && put_length(length, count))
		return 0;
	errno = error ? error : EFAULT;
	return -1;
}

static int preload_getsockopt(int fd, int level, int name, void *value, socklen_t *length)
{
	int result;

	if (level != SOL_SOCKET || name != SO_GET_FILTER || !preload_enter())
		return next_getsockopt(fd, level, name, value, length);
	result = get_filter(fd, value, length);
	preload_leave();
	return result;
}

PRELOAD_EXPORT int getsockopt(int fd, int level, int name, void *value, socklen_t *length)
{
	return preload_getsockopt(fd, level, name, value, length);
}
