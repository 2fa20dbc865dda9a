// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* socket(): a packet socket with a protocol receives at once, so it is metered before it does. */
#undef _GNU_SOURCE /* plain types in the C library's declaration */
#include "preload/preload.h"
#include "preload/syscall.h"
#include <linux/if_packet.h>

PRELOAD_EXPORT int socket(int domain, int type, int protocol);

/*
 * Made with protocol 0 the socket receives nothing. Bound afterwards, to the protocol and no interface, it is
 * as socket() with that protocol makes it.
 */
static int metered_socket(int type, int protocol)
{
	struct sockaddr_ll address = {.sll_family = AF_PACKET,
				      .sll_protocol = (unsigned short)protocol};
	int fd, saved = errno;

	if (!preload_has_channel())
		return next_socket(AF_PACKET, type, protocol);
	fd = next_socket(AF_PACKET, type, 0);
	if (fd < 0)
		return fd;
	filter_cache_keep(filter_cache_take(fd), fd, 0);
	attach_socket(fd, 0, BROKER_BEFORE_BIND);
	if (!raw_syscall(SYS_bind, fd, &address, sizeof(address)))
		return fd;
	raw_close(fd);
	errno = saved;
	return next_socket(AF_PACKET, type, protocol);
}

/* Can't be metered; the broker says so. */
static int obsolete_socket(int domain, int type, int protocol)
{
	int fd = next_socket(domain, type, protocol);

	if (fd >= 0 && preload_enter()) {
		if (preload_has_channel())
			attach_socket(fd, 0, 0);
		preload_leave();
	}
	return fd;
}

static int preload_socket(int domain, int type, int protocol)
{
	int fd;

	/* the kernel takes one of AF_INET for a packet socket, too */
	if ((domain == AF_PACKET || domain == AF_INET) && (type & 15) == SOCK_PACKET)
		return obsolete_socket(domain, type, protocol);
	if (domain != AF_PACKET)
		return next_socket(domain, type, protocol);
	if (!(unsigned short)protocol || !preload_enter()) {
		fd = next_socket(domain, type, protocol);
		if (fd >= 0)
			packet_socket_note(fd, true);
		if (fd >= 0 && (unsigned short)protocol)
			preload_passed_on();
		return fd;
	}
	fd = metered_socket(type, protocol);
	preload_leave();
	return fd;
}

PRELOAD_EXPORT int socket(int domain, int type, int protocol)
{
	return preload_socket(domain, type, protocol);
}
