// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* Which descriptors are packet sockets. */
#include "preload/preload.h"
#include "preload/syscall.h"
#include <stdatomic.h>

enum { NOTED = 1024 };
static atomic_bool noted[NOTED];

bool packet_socket_noted(int fd)
{
	return fd >= 0 && fd < NOTED && noted[fd];
}

void packet_socket_note(int fd, bool packet)
{
	if (fd >= 0 && fd < NOTED)
		noted[fd] = packet;
}

bool packet_socket_can_ask(int fd)
{
	int saved = errno, domain;
	socklen_t size = sizeof(domain);
	bool packet = !raw_getsockopt(fd, SO_DOMAIN, &domain, &size) && domain == AF_PACKET;

	errno = saved;
	packet_socket_note(fd, packet);
	return packet && preload_has_channel();
}
