// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * getsockopt(): the tool's filter, which the kernel can't tell of a metered socket. What the kernel tells of drops
 * is seen as it passes: it begins anew with each call, so nobody else may ask.
 */
#include "preload/preload.h"
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_packet.h>

PRELOAD_EXPORT int getsockopt(int fd, int level, int name, void *value, socklen_t *length);

/* PASS: the kernel says it. Else *error, or 0 and *count to be put into *length. */
enum outcome { PASS, DONE };

static enum outcome answer_with(int value, int *error)
{
	*error = value;
	return DONE;
}

/* As sk_get_filter() in net/core/filter.c answers. */
static enum outcome ask_broker(int fd, void *value, int room, int *error, int *count)
{
	struct broker_request request;
	struct broker_reply reply;
	struct rpc_body body = {.receive = value};
	enum outcome outcome = PASS;
	struct rpc rpc;

	if (room > BROKER_MAX_INSNS)
		room = BROKER_MAX_INSNS;
	body.receive_size = (size_t)room * sizeof(struct sock_filter);
	rpc_begin(&rpc);
	question_begin(&request, BROKER_GET_FILTER, fd);
	request.count = (uint32_t)room;
	errno = 0;
	if (rpc_ask(&rpc, &request, &body, &reply, NULL)) {
		*count = (int)reply.count;
		if (reply.answer == BROKER_DONE && reply.count <= BROKER_MAX_INSNS)
			outcome = answer_with(reply.error, error);
	} else if (errno == EFAULT) {
		outcome = answer_with(EFAULT, error);
	}
	rpc_end(&rpc);
	return outcome;
}

static enum outcome show(const struct filter_view *view, void *value, int room, int *error)
{
	int saved = errno;
	bool copied = true;

	if (room && (uint32_t)room < view->count)
		return answer_with(EINVAL, error);
	if (room && view->count)
		copied = rpc_copy(value, view->insns, view->count * sizeof(*view->insns));
	errno = saved;
	return answer_with(copied ? 0 : EFAULT, error);
}

/* The same from the cache. */
static enum outcome ask_cache(int fd, void *value, int room, int *error, int *count)
{
	enum outcome outcome;
	struct filter_view view;

	for (int tries = 0; tries < 3 && filter_cache_get(fd, &view); tries++) {
		outcome = show(&view, value, room, error);
		*count = (int)view.count;
		if (filter_cache_holds(&view))
			return outcome;
	}
	return PASS;
}

static enum outcome find_filter(int fd, void *value, const socklen_t *length, int *error,
				int *count)
{
	bool can_ask = packet_socket_can_ask(fd);
	int room, saved = errno;
	bool copied;

	if (!packet_socket_noted(fd) || slot_look(fd) != SLOT_HIDDEN) {
		errno = saved;
		return PASS;
	}
	copied = rpc_copy(&room, length, sizeof(room));
	errno = saved;
	if (!copied || room < 0)
		return PASS;
	if (can_ask && ask_broker(fd, value, room, error, count) == DONE)
		return DONE;
	return ask_cache(fd, value, room, error, count);
}

static int get_filter(int fd, void *value, socklen_t *length)
{
	int error = 0, count = 0, saved = errno;

	if (find_filter(fd, value, length, &error, &count) == PASS)
		return next_getsockopt(fd, SOL_SOCKET, SO_GET_FILTER, value, length);
	if (!error && rpc_copy(length, &count, sizeof(count))) {
		errno = saved;
		return 0;
	}
	errno = error ? error : EFAULT;
	return -1;
}

/* After the kernel's answer, which is in the tool's memory by now. */
static void see_statistics(int fd, const void *value, const socklen_t *length)
{
	int saved = errno;
	socklen_t size;

	if (packet_socket_can_ask(fd) && rpc_copy(&size, length, sizeof(size)) &&
	    size >= sizeof(struct tpacket_stats))
		rpc_tell_statistics(fd, value, size);
	errno = saved;
}

static int get_statistics(int fd, void *value, socklen_t *length)
{
	int result = next_getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, value, length);

	if (!result && preload_enter()) {
		see_statistics(fd, value, length);
		preload_leave();
	}
	return result;
}

static int preload_getsockopt(int fd, int level, int name, void *value, socklen_t *length)
{
	int result;

	if (level == SOL_PACKET && name == PACKET_STATISTICS)
		return get_statistics(fd, value, length);
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
