// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* bind(): with a protocol and an interface a packet socket starts to receive. */
#undef _GNU_SOURCE /* plain types in the C library's declaration */
#include "preload/preload.h"
#include "preload/syscall.h"
#include <linux/if_packet.h>

PRELOAD_EXPORT int bind(int fd, const struct sockaddr *address, socklen_t length);

/* The protocol that the socket receives now; 0: nothing yet. */
static unsigned short protocol_now(int fd)
{
	struct sockaddr_ll address = {0};
	socklen_t length = sizeof(address);

	if (syscall(SYS_getsockname, fd, &address, &length))
		return 0;
	return address.sll_protocol;
}

/* Returns whether the socket was receiving already and is metered for another interface now. */
static bool attach(int fd, const struct sockaddr *tools)
{
	struct sockaddr_ll address;
	struct channel_reply reply;
	struct exchange exchange;
	unsigned short now;
	bool rebound = false;

	if (!exchange_begin(&exchange))
		return false;
	if (exchange_copy(&exchange, &address, tools, sizeof(address)) &&
	    address.sll_family == AF_PACKET) {
		now = protocol_now(fd);
		if (now || address.sll_protocol) { /* protocol 0 keeps the one before */
			preload_memory_ask_kernel(fd);
			rebound = exchange_ask(&exchange, fd, CHANNEL_ATTACH, address.sll_ifindex,
					       now ? 0 : CHANNEL_BEFORE_BIND, NULL, &reply) &&
				  now && reply.answer == CHANNEL_DONE;
		}
	}
	exchange_end(&exchange);
	return rebound;
}

static int metered_bind(int fd, const struct sockaddr *address, socklen_t length)
{
	int result, error, ignored;
	bool rebound;

	if (!preload_meters(fd))
		return real_bind(fd, address, length);
	rebound = attach(fd, address);
	result = real_bind(fd, address, length);
	if (result && rebound) {
		error = errno;
		preload_ask(fd, CHANNEL_ATTACH, 0, 0, &ignored); /* as it still is */
		errno = error;
	}
	return result;
}

static int preload_bind(int fd, const struct sockaddr *address, socklen_t length)
{
	int result;

	if (length < sizeof(struct sockaddr_ll))
		return real_bind(fd, address, length);
	if (!preload_enter()) {
		result = real_bind(fd, address, length);
		/* the kernel has just read it */
		if (!result && address->sa_family == AF_PACKET && preload_noted(fd) != NOTE_METERED)
			preload_passed_on();
		return result;
	}
	result = metered_bind(fd, address, length);
	preload_leave();
	return result;
}

PRELOAD_EXPORT int bind(int fd, const struct sockaddr *address, socklen_t length)
{
	return preload_bind(fd, address, length);
}
