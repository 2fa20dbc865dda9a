// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* setsockopt(): a filter of the tool's own is set through the broker, which puts ours behind it. */
#include "preload/preload.h"
#include <errno.h>
#include <linux/filter.h>

#ifndef SO_ATTACH_BPF
#define SO_ATTACH_BPF 50
#endif

PRELOAD_EXPORT int setsockopt(int fd, int level, int name, const void *value, socklen_t length);

/* What comes of a call before the kernel is asked. */
enum outcome {
	DONE,     /* with an errno value, or 0 */
	PASS,     /* the call is the kernel's */
	PASS_NOW, /* the same, but our program must not be in its way, and it is to be put on again */
};

/* The filter, as it is now, goes into the shim's memory; it is kept once it is set. */
static struct cached_filter *remember(int fd, const struct sock_fprog *program)
{
	struct cached_filter *filter = filter_cache_take(fd);

	if (filter && rpc_copy(filter_cache_insns(filter), program->filter,
			       program->len * sizeof(*program->filter)))
		return filter;
	filter_cache_drop(filter);
	return NULL;
}

/* Asks for a program and puts it on the socket. */
static enum outcome attach_program(struct rpc *rpc, int fd, struct broker_request *request,
				   const struct rpc_body *body, int *error)
{
	struct broker_reply reply;
	int program;

	if (!rpc_ask(rpc, request, body, &reply, &program))
		return PASS;
	if (reply.answer == BROKER_PROGRAM) {
		*error = slot_put_program(fd, program);
		raw_close(program);
		rpc_tell_attached(rpc, fd, *error);
		return *error ? PASS : DONE;
	}
	*error = reply.error;
	return reply.answer == BROKER_DONE ? DONE : PASS;
}

static enum outcome set_filter(struct rpc *rpc, int fd, struct cached_filter *filter,
			       uint32_t count)
{
	struct broker_request request;
	struct rpc_body body = {.send = filter_cache_insns(filter),
				.send_size = count * sizeof(struct sock_filter)};
	enum outcome outcome;
	int error = slot_try_filter(fd, filter_cache_insns(filter), count);

	if (error == ENOMEM) {
		slot_give_back(fd);
		return PASS_NOW;
	}
	if (error == SLOT_CANT_TRY)
		warn("can't try a filter", errno);
	if (error) /* the kernel says so in its own words */
		return PASS;
	question_of_socket(&request, BROKER_SET_FILTER, fd, 0);
	request.count = count;
	outcome = attach_program(rpc, fd, &request, &body, &error);
	if (outcome == PASS)
		slot_give_back(fd);
	return outcome;
}

static enum outcome ask_attach(int fd, const void *value)
{
	enum outcome outcome = PASS;
	struct sock_fprog program;
	struct cached_filter *filter;
	struct rpc rpc;

	rpc_begin(&rpc);
	if (rpc_copy(&program, value, sizeof(program)) && program.len &&
	    program.len <= BROKER_MAX_INSNS && program.filter &&
	    !socket_option(fd, SO_LOCK_FILTER)) {
		filter = remember(fd, &program);
		if (filter)
			outcome = set_filter(&rpc, fd, filter, program.len);
		if (outcome == DONE)
			filter_cache_keep(filter, fd, program.len);
		else
			filter_cache_drop(filter);
	}
	rpc_end(&rpc);
	return outcome;
}

static int attach_filter(int fd, const void *value, socklen_t length)
{
	enum outcome outcome = length == sizeof(struct sock_fprog) ? ask_attach(fd, value) : PASS;
	int result;

	if (outcome == DONE)
		return 0;
	result = next_setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, value, length);
	if (outcome == PASS_NOW)
		attach_socket(fd, 0, 0);
	else if (!result)
		rpc_forget(fd, 0);
	return result;
}

static int attach_bpf(int fd, const void *value, socklen_t length)
{
	int result = next_setsockopt(fd, SOL_SOCKET, SO_ATTACH_BPF, value, length);

	if (result)
		return result;
	filter_cache_forget(fd);
	rpc_forget(fd, BROKER_EBPF);
	return result;
}

/* The kernel wants to read an int, whatever it is. */
static enum outcome ask_detach(int fd, const void *value, int *error)
{
	struct broker_request request;
	enum outcome outcome = PASS;
	struct rpc rpc;
	int unused;

	rpc_begin(&rpc);
	if (rpc_copy(&unused, value, sizeof(unused)) && !socket_option(fd, SO_LOCK_FILTER) &&
	    slot_look(fd) == SLOT_HIDDEN) {
		question_of_socket(&request, BROKER_DETACH_FILTER, fd, 0);
		outcome = attach_program(&rpc, fd, &request, NULL, error);
	}
	rpc_end(&rpc);
	return outcome;
}

static int detach_filter(int fd, const void *value, socklen_t length, bool can_ask)
{
	struct filter_view view;
	int result, error = 0;
	bool none;

	if (can_ask && length >= (socklen_t)sizeof(int) && ask_detach(fd, value, &error) == DONE) {
		if (error)
			errno = error;
		else
			filter_cache_keep(filter_cache_take(fd), fd, 0);
		return error ? -1 : 0;
	}
	none = filter_cache_get(fd, &view) && !view.count;
	result = next_setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, value, length);
	if (!result && can_ask) /* an unmetered filter is gone, so it can be metered again */
		attach_socket(fd, 0, 0);
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
		return detach_filter(fd, value, length, can_ask);
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
