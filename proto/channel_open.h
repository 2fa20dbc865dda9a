/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Makes a channel: the shim does when it starts a broker, and `socktally run` for its own.
 *
 * The channel is a socket that the tool's processes inherit. In it are connections to the broker, each a message
 * with a descriptor: who has a question takes one, and sends a byte, for which the broker puts in another. So
 * each question has a connection of its own, without a lock among threads and processes, from every network
 * namespace and root directory, and nobody but the tool has a way to the broker. Where the channel has been
 * closed, there is an abstract address; who connects to it says first who it is (struct broker_hello).
 */
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

/*
 * The descriptors that the shim starts a broker with, besides standard error: the broker's end of
 * the channel, the listening socket, the tool's pidfd, and its lifeline, a file that the tool has
 * mapped and locked. Mapping and lock go on in a forked child that closes all its descriptors; once
 * the lock is free, no such process is left.
 */
enum channel_descriptor {
	CHANNEL_SERVER = 3,
	CHANNEL_LISTENER = 4,
	CHANNEL_PIDFD = 5,
	CHANNEL_LIFELINE = 6,
};

struct channel_ends {
	int client; /* for the tool and its children */
	int server; /* for the broker */
	int listener;
};

/* Room on a connection for the largest request, whatever net.core.wmem_default is. */
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

/* Puts the client's end where it is to be, and notes that. */
static inline void channel_place(struct channel_ends *ends, struct channel_address *address,
				 int highest_fd)
{
	struct stat status;

	channel_move(&ends->client, highest_fd);
	address->fd = ends->client;
	if (ends->client >= 0 && !raw_fstat(ends->client, &status))
		address->inode = status.st_ino;
}

/*
 * All descriptors are close-on-exec; the client's end has to lose that before the tool is executed.
 * Returns 0 or -errno.
 */
static inline int channel_open(struct channel_ends *ends, struct channel_address *address)
{
	struct proc_status own;
	int pair[2], error;

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
	address->fd = -1;
	address->uid = (uint32_t)raw_syscall(SYS_geteuid);
	address->pid = (uint32_t)raw_syscall(SYS_getpid);
	if (proc_status_read(0, &own)) /* the calls above went well under these */
		address->filters = own.filters;
	return 0;
}

#endif
