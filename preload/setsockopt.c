// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* setsockopt(): a filter of the tool's own is set through the broker, which puts ours behind it. */
#include "preload/preload.h"
#include <errno.h>
#include <linux/filter.h>

#ifndef SO_ATTACH_BPF
#define SO_ATTACH_BPF 50
#endif

PRELOAD_EXPORT int setsockopt(int fd, int level, int name, const void *value, socklen_t length);

/* The filter, as it is now, goes into the shim's memory; it is kept once it is set. */
static struct cached_filter *remember(struct rpc *rpc, int fd, const struct sock_fprog *program)
{
	struct cached_filter *filter = filter_cache_take(fd);

	if (filter && rpc_copy(rpc, filter_cache_insns(filter), program->filter,
			       program->len * sizeof(*program->filter)))
		return filter;
	filter_cache_drop(filter);
	return NULL;
}

/* CHANNEL_DONE: the broker has set the filter, or knows with which error the kernel wouldn't. */
static enum channel_answer ask_attach(int fd, const void *value, int *error)
{
	enum channel_answer answer = CHANNEL_PASS;
	struct channel_reply reply;
	struct rpc_body body = {0};
	struct rpc rpc;
	struct sock_fprog program;
	struct cached_filter *filter;

	if (!rpc_begin(&rpc))
		return CHANNEL_PASS;
	if (rpc_copy(&rpc, &program, value, sizeof(program)) && program.len &&
	    program.len <= CHANNEL_MAX_INSNS && program.filter) {
		filter = remember(&rpc, fd, &program);
		body.send = program.filter;
		body.send_size = program.len * sizeof(struct sock_filter);
		if (rpc_ask(&rpc, fd, CHANNEL_SET_FILTER, 0, 0, &body, &reply)) {
			answer = reply.answer;
			*error = reply.error;
		}
		if (answer == CHANNEL_DONE && !*error)
			filter_cache_keep(filter, fd, program.len);
		else
			filter_cache_drop(filter);
	}
	rpc_end(&rpc);
	return answer;
}

static int attach_filter(int fd, const void *value, socklen_t length)
{
	int error = 0, result;

	if (length == sizeof(struct sock_fprog) && ask_attach(fd, value, &error) == CHANNEL_DONE) {
		if (error)
			errno = error;
		return error ? -1 : 0;
	}
	result = next_setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, value, length);
	if (!result) {
		rpc_call(fd, CHANNEL_FORGET, 0, 0, &error);
	} else if (errno == ENOMEM) { /* the broker has given the socket back for this call */
		rpc_call(fd, CHANNEL_ATTACH, 0, 0, &error);
		errno = ENOMEM;
	}
	return result;
}

static int attach_bpf(int fd, const void *value, socklen_t length)
{
	int error, result = next_setsockopt(fd, SOL_SOCKET, SO_ATTACH_BPF, value, length);

	if (result)
		return result;
	filter_cache_forget(fd);
	rpc_call(fd, CHANNEL_FORGET, 0, CHANNEL_EBPF, &error);
	return result;
}

/* The kernel wants to read an int, whatever it is. */
static bool ask_detach(int fd, const void *value, enum channel_answer *answer, int *error)
{
	struct channel_reply reply;
	struct rpc rpc;
	bool answered;
	int unused;

	if (!rpc_begin(&rpc))
		return false;
	answered = rpc_copy(&rpc, &unused, value, sizeof(unused)) &&
		   rpc_ask(&rpc, fd, CHANNEL_DETACH_FILTER, 0, 0, NULL, &reply);
	rpc_end(&rpc);
	if (answered) {
		*answer = reply.answer;
		*error = reply.error;
	}
	return answered;
}

static int detach_filter(int fd, const void *value, socklen_t length)
{
	enum channel_answer answer = CHANNEL_PASS;
	struct filter_view view;
	int result, error = 0;
	bool answered = length >= sizeof(int) && ask_detach(fd, value, &answer, &error), none;

	if (answered && answer == CHANNEL_DONE) {
		if (error)
			errno = error;
		else
			filter_cache_keep(filter_cache_take(fd), fd, 0);
		return error ? -1 : 0;
	}
	none = !answered && filter_cache_get(fd, &view) && !view.count;
	result = next_setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, value, length);
	if (!result && answered) /* an unmetered filter is gone, so it can be metered again */
		rpc_call(fd, CHANNEL_ATTACH, 0, 0, &error);
	if (!result && none) { /* it was ours that the kernel took away */
		errno = ENOENT;
		return -1;
	}
	return result;
}

static int metered_setsockopt(int fd, int name, const void *value, socklen_t length)
{
	bool can_ask = packet_socket_can_ask(fd);
	int result;

	/* the kernel might take ours away, also when there is no broker any more */
	if (name == SO_DETACH_FILTER && packet_socket_noted(fd))
		return detach_filter(fd, value, length);
	if (can_ask && name == SO_ATTACH_FILTER)
		return attach_filter(fd, value, length);
	if (can_ask)
		return attach_bpf(fd, value, length);
	result = next_setsockopt(fd, SOL_SOCKET, name, value, length);
	if (!result && packet_socket_noted(fd))
		filter_cache_forget(fd);
	return result;
}

static int preload_setsockopt(int fd, int level, int name, const void *value, socklen_t length)
{
	int result;

	if (level != SOL_SOCKET ||
	    (name != SO_ATTACH_FILTER && name != SO_DETACH_FILTER && name != SO_ATTACH_BPF))
		return next_setsockopt(fd, level, name, value, length);
	if (!preload_enter()) {
		result = next_setsockopt(fd, level, name, value, length);
		if (!result && packet_socket_noted(fd))
			preload_passed_on();
		return result;
	}
	result = metered_setsockopt(fd, name, value, length);
	preload_leave();
	return result;
}

PRELOAD_EXPORT int setsockopt(int fd, int level, int name, const void *value, socklen_t length)
{
	return preload_setsockopt(fd, level, name, value, length);
}
