/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Makes a channel: the shim does when it starts a broker, and `socktally run` for its own. */
#ifndef SOCKTALLY_PROTO_CHANNEL_OPEN_H
#define SOCKTALLY_PROTO_CHANNEL_OPEN_H

#include "proto/channel_address.h"
#include "proto/proc_status.h"
#include "proto/raw_syscall.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

struct channel_ends {
	int client; /* for the tool and its children */
	int server; /* for the broker */
	int listener;
};

/* Room for the largest request and a few more, whatever net.core.wmem_default is. */
#define CHANNEL_BUFFER (256 * 1024)

/* Below this number a tool with few descriptors needs each of them itself. */
#define CHANNEL_LOWEST_FD 48
#define CHANNEL_HIGHEST_FD 1023 /* what select() can take: tools of all ages live with it */

static inline socklen_t channel_sockaddr(struct sockaddr_un *to,
					 const struct channel_address *address)
{
	memset(to, 0, sizeof(*to));
	to->sun_family = AF_UNIX;
	channel_name(to->sun_path + 1, address);
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + CHANNEL_NAME_LENGTH);
}

static inline int channel_random(struct channel_address *address)
{
	uint8_t bytes[sizeof(address->name) + sizeof(address->token)];
	size_t have = 0;

	while (have < sizeof(bytes)) {
		long got = raw_syscall(SYS_getrandom, bytes + have, sizeof(bytes) - have, 0);

		if (got < 0 && errno != EINTR)
			return -errno;
		if (got > 0)
			have += (size_t)got;
	}
	memcpy(address->name, bytes, sizeof(address->name));
	memcpy(address->token, bytes + sizeof(address->name), sizeof(address->token));
	return 0;
}

static inline int channel_listen(const struct channel_address *address)
{
	struct sockaddr_un name;
	socklen_t length = channel_sockaddr(&name, address);
	int fd = (int)raw_syscall(SYS_socket, AF_UNIX,
				  SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	if (raw_syscall(SYS_bind, fd, &name, length) || raw_syscall(SYS_listen, fd, 128)) {
		int error = -errno;

		raw_syscall(SYS_close, fd);
		return error;
	}
	return fd;
}

/*
 * Moves the client's end out of the tool's way, to the highest free number up to `highest`. Where
 * there is none the client has the abstract address alone.
 */
static inline void channel_move(int *client, int highest)
{
	for (int fd = highest; fd >= CHANNEL_LOWEST_FD; fd--) {
		if (fd == *client)
			return;
		if (raw_syscall(SYS_fcntl, fd, F_GETFD) >= 0)
			continue;
		if (raw_syscall(SYS_dup3, *client, fd, O_CLOEXEC) < 0)
			continue; /* above the limit of descriptors */
		raw_syscall(SYS_close, *client);
		*client = fd;
		return;
	}
	raw_syscall(SYS_close, *client);
	*client = -1;
}

/*
 * All descriptors are close-on-exec; the client's end has to lose that before the tool is executed.
 * Returns 0 or -errno.
 */
static inline int channel_open(struct channel_ends *ends, struct channel_address *address,
			       int highest_fd)
{
	int pair[2], size = CHANNEL_BUFFER, on = 1, error;
	struct proc_status own;
	struct stat status;

	memset(address, 0, sizeof(*address));
	error = channel_random(address);
	if (error)
		return error;
	ends->listener = channel_listen(address);
	if (ends->listener < 0)
		return ends->listener;
	if (raw_syscall(SYS_socketpair, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair)) {
		error = -errno;
		raw_syscall(SYS_close, ends->listener);
		return error;
	}
	ends->server = pair[0];
	ends->client = pair[1];
	raw_syscall(SYS_setsockopt, ends->client, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	/* who sent a message: from now on, as requests may come before the broker is there */
	raw_syscall(SYS_setsockopt, ends->server, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on));
	raw_syscall(SYS_setsockopt, ends->listener, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on));
	channel_move(&ends->client, highest_fd);
	address->fd = ends->client;
	if (ends->client >= 0 && !raw_fstat(ends->client, &status))
		address->inode = status.st_ino;
	address->uid = (uint32_t)raw_syscall(SYS_geteuid);
	address->pid = (uint32_t)raw_syscall(SYS_getpid);
	if (proc_status_read(0, &own)) /* the calls above went well under these */
		address->filters = own.filters;
	return 0;
}

#endif
