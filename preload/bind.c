// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* bind(): with a protocol a packet socket begins to receive, so it is metered just before. */
#undef _GNU_SOURCE /* plain types in the C library's declaration */
#include "preload/preload.h"
#include "preload/syscall.h"
#include <linux/if_packet.h>

PRELOAD_EXPORT int bind(int fd, const struct sockaddr *address, socklen_t length);

/* The protocol that the socket receives now; 0: nothing yet. */
static unsigned short current_protocol(int fd)
{
	struct sockaddr_ll address = {0};
	socklen_t length = sizeof(address);

	if (raw_syscall(SYS_getsockname, fd, &address, &length))
		return 0;
	return address.sll_protocol;
}

/* Returns whether the socket was receiving already and is metered for another interface now. */
static bool attach(int fd, const struct sockaddr *tools)
{
	struct sockaddr_ll address;
	unsigned short now;
	int saved = errno;
	bool copied = rpc_copy(&address, tools, sizeof(address));

	now = current_protocol(fd);
	errno = saved;
	if (!copied || address.sll_family != AF_PACKET)
		return false;
	/* protocol 0 keeps the one before; the kernel says that there is no interface with such a number */
	if ((!now && !address.sll_protocol) || address.sll_ifindex < 0)
		return false;
	return attach_socket(fd, address.sll_ifindex, now ? 0 : BROKER_BEFORE_BIND) && now;
}

static int metered_bind(int fd, const struct sockaddr *address, socklen_t length)
{
	int result, error;
	bool rebound;

	if (!packet_socket_can_ask(fd))
		return next_bind(fd, address, length);
	rebound = attach(fd, address);
	result = next_bind(fd, address, length);
	if (result && rebound) {
		error = errno;
		attach_socket(fd, 0, 0); /* as it still is */
		errno = error;
	}
	return result;
}

static int preload_bind(int fd, const struct sockaddr *address, socklen_t length)
{
	int result;

	if (length < sizeof(struct sockaddr_ll))
		return next_bind(fd, address, length);
	if (!preload_enter()) {
		result = next_bind(fd, address, length);
		/* the kernel has just read it */
		if (!result && address->sa_family == AF_PACKET)
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
