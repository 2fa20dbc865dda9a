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
static struct preload_slot *remember(struct exchange *exchange, int fd,
				     const struct sock_fprog *program)
{
	struct preload_slot *slot = preload_memory_take(fd);

	if (slot && exchange_copy(exchange, preload_memory_insns(slot), program->filter,
				  program->len * sizeof(*program->filter)))
		return slot;
	preload_memory_drop(slot);
	return NULL;
}

/* CHANNEL_DONE: the broker has set the filter, or knows with which error the kernel wouldn't. */
static enum channel_answer attach_filter(int fd, const void *value, int *error)
{
	enum channel_answer answer = CHANNEL_PASS;
	struct channel_reply reply;
	struct exchange_body body = {0};
	struct exchange exchange;
	struct sock_fprog program;
	struct preload_slot *slot;

	if (!exchange_begin(&exchange))
		return CHANNEL_PASS;
	if (exchange_copy(&exchange, &program, value, sizeof(program)) && program.len &&
	    program.len <= CHANNEL_MAX_INSNS && program.filter) {
		slot = remember(&exchange, fd, &program);
		body.send = program.filter;
		body.send_size = program.len * sizeof(struct sock_filter);
		if (exchange_ask(&exchange, fd, CHANNEL_SET_FILTER, 0, 0, &body, &reply)) {
			answer = reply.answer;
			*error = reply.error;
		}
		if (answer == CHANNEL_DONE && !*error)
			preload_memory_keep(slot, fd, program.len);
		else
			preload_memory_drop(slot);
	}
	exchange_end(&exchange);
	return answer;
}

static int preload_attach_filter(int fd, const void *value, socklen_t length)
{
	int error = 0, result;

	if (length == sizeof(struct sock_fprog) &&
	    attach_filter(fd, value, &error) == CHANNEL_DONE) {
		if (error)
			errno = error;
		return error ? -1 : 0;
	}
	result = real_setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, value, length);
	if (!result)
		preload_ask(fd, CHANNEL_FORGET, 0, 0, &error);
	return result;
}

static int preload_attach_bpf(int fd, const void *value, socklen_t length)
{
	int error, result = real_setsockopt(fd, SOL_SOCKET, SO_ATTACH_BPF, value, length);

	if (result)
		return result;
	preload_memory_forget(fd);
	preload_ask(fd, CHANNEL_FORGET, 0, CHANNEL_EBPF, &error);
	return result;
}

/* The kernel wants to read an int, whatever it is. */
static bool detach_filter(int fd, const void *value, enum channel_answer *answer, int *error)
{
	struct channel_reply reply;
	struct exchange exchange;
	bool answered;
	int unused;

	if (!exchange_begin(&exchange))
		return false;
	answered = exchange_copy(&exchange, &unused, value, sizeof(unused)) &&
		   exchange_ask(&exchange, fd, CHANNEL_DETACH_FILTER, 0, 0, NULL, &reply);
	exchange_end(&exchange);
	if (answered) {
		*answer = reply.answer;
		*error = reply.error;
	}
	return answered;
}

static int preload_detach_filter(int fd, const void *value, socklen_t length)
{
	enum channel_answer answer = CHANNEL_PASS;
	const struct sock_filter *unused;
	int result, error = 0;
	bool answered = length >= sizeof(int) && detach_filter(fd, value, &answer, &error), none;

	if (answered && answer == CHANNEL_DONE) {
		if (error)
			errno = error;
		else
			preload_memory_keep(preload_memory_take(fd), fd, 0);
		return error ? -1 : 0;
	}
	none = !answered && !preload_memory_count(fd, &unused);
	result = real_setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, value, length);
	if (!result && answered) /* an unmetered filter is gone, so it can be metered again */
		preload_ask(fd, CHANNEL_ATTACH, 0, 0, &error);
	if (!result && none) { /* it was ours that the kernel took away */
		errno = ENOENT;
		return -1;
	}
	return result;
}

static int metered_setsockopt(int fd, int name, const void *value, socklen_t length)
{
	/* of a packet socket the kernel might take away ours, also when there is no broker any more */
	if (!preload_meters(fd) && (name != SO_DETACH_FILTER || preload_noted(fd) == NOTE_OTHER))
		return real_setsockopt(fd, SOL_SOCKET, name, value, length);
	if (name == SO_ATTACH_FILTER)
		return preload_attach_filter(fd, value, length);
	if (name == SO_DETACH_FILTER)
		return preload_detach_filter(fd, value, length);
	return preload_attach_bpf(fd, value, length);
}

static int preload_setsockopt(int fd, int level, int name, const void *value, socklen_t length)
{
	int result;

	if (level != SOL_SOCKET ||
	    (name != SO_ATTACH_FILTER && name != SO_DETACH_FILTER && name != SO_ATTACH_BPF))
		return real_setsockopt(fd, level, name, value, length);
	if (!preload_enter()) {
		result = real_setsockopt(fd, level, name, value, length);
		if (!result && preload_noted(fd) != NOTE_OTHER)
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
