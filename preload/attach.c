// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* Gives a socket a program that has its filter as it is: before it receives, or is bound elsewhere. */
#include "preload/preload.h"
#include <linux/filter.h>

/* How often to begin again where another thread or process sets the socket's filter meanwhile. */
enum { TRIES = 8 };

/* Whether the slot still holds what the program was made of. */
static bool slot_holds(int fd, int before, const struct filter_view *view)
{
	struct cached_filter *now;
	socklen_t count = BROKER_MAX_INSNS;
	bool same;

	if (slot_look(fd) != before)
		return false;
	if (before <= 0)
		return true;
	now = filter_cache_take(fd);
	if (!now)
		return false;
	same = !raw_getsockopt(fd, SO_GET_FILTER, filter_cache_insns(now), &count) &&
	       (int)count == before &&
	       !memcmp(filter_cache_insns(now), view->insns, count * sizeof(*view->insns)) &&
	       filter_cache_holds(view);
	filter_cache_drop(now);
	return same;
}

enum outcome { METERED, NOT_METERED, CHANGED };

static enum outcome attach_once(struct rpc *rpc, int fd, int ifindex, uint32_t flags)
{
	int slot = filter_cache_read_kernel(fd), program, error;
	struct filter_view view = {0};
	struct broker_request request;
	struct broker_reply reply;
	struct rpc_body body = {0};

	if (slot == SLOT_UNKNOWN || (slot > 0 && !filter_cache_view(fd, &view)))
		return CHANGED;
	question_of_socket(&request, BROKER_ATTACH, fd, ifindex);
	request.flags = flags | (slot == SLOT_HIDDEN ? BROKER_HIDDEN : 0);
	if (slot > 0) {
		request.count = (uint32_t)slot;
		body.send = view.insns;
		body.send_size = request.count * sizeof(*view.insns);
	}
	if (!rpc_ask(rpc, &request, &body, &reply, &program))
		return NOT_METERED;
	if (reply.answer != BROKER_PROGRAM)
		return reply.answer == BROKER_DONE && !reply.error ? METERED : NOT_METERED;
	error = slot_holds(fd, slot, &view) ? slot_put_program(fd, program) : EAGAIN;
	raw_close(program);
	rpc_tell_attached(rpc, fd, error);
	if (error == EAGAIN)
		return CHANGED;
	return error ? NOT_METERED : METERED;
}

bool attach_socket(int fd, int ifindex, uint32_t flags)
{
	enum outcome outcome = CHANGED;

	for (int i = 0; i < TRIES && outcome == CHANGED; i++) {
		struct rpc rpc;

		rpc_begin(&rpc);
		outcome = attach_once(&rpc, fd, ifindex, flags);
		rpc_end(&rpc);
	}
	if (outcome == CHANGED)
		warn("the filter of a socket keeps changing", 0);
	return outcome == METERED;
}
