// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* For a program without the privileges for BPF: a broker loads the meter's kernel part. */
#include "plugin/remote/remote.h"
#include "proto/broker.h"
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define TIMEOUT_SECONDS 5
/* Room for the largest request, whatever net.core.wmem_default is. */
#define BUFFER (256 * 1024)

static int set_up(int fd)
{
	const struct timeval timeout = {.tv_sec = TIMEOUT_SECONDS};
	const int size = BUFFER;

	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)))
		return -errno;
	return 0;
}

/* Its programs go onto our sockets, so it must belong to root or to this user. */
static bool is_trusted(int fd)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);

	return !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) &&
	       (peer.uid == 0 || peer.uid == geteuid());
}

static int broker_connect(struct socktally *meter, const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int result;

	if (!*path)
		return st_fail(meter, -EINVAL, "the path of the broker's socket is empty");
	if (strlen(path) >= sizeof(address.sun_path))
		return st_fail(meter, -ENAMETOOLONG, "%.100s...: too long for a socket's path",
			       path);
	memcpy(address.sun_path, path, strlen(path));
	meter->remote = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (meter->remote < 0)
		return st_fail(meter, -errno, "can't make a socket: %s", strerror(errno));
	result = set_up(meter->remote);
	if (!result && connect(meter->remote, (struct sockaddr *)&address, sizeof(address)))
		result = -errno;
	if (result == -EACCES)
		return st_fail(meter, result,
			       "%s: not permitted to use this broker: it serves the group that "
			       "the file belongs to",
			       path);
	if (result)
		return st_fail(meter, result,
			       "%s: no broker answers there (%s): start one with socktally broker "
			       "--socket",
			       path, strerror(-result));
	if (!is_trusted(meter->remote))
		return st_fail(meter, -EPERM,
			       "%s: belongs neither to root nor to this user: not trusted", path);
	return 0;
}

/* The descriptor that came with the reply, or -1. */
static int descriptor_of(struct msghdr *header)
{
	int fd = -1;

	for (struct cmsghdr *part = CMSG_FIRSTHDR(header); part; part = CMSG_NXTHDR(header, part))
		if (part->cmsg_level == SOL_SOCKET && part->cmsg_type == SCM_RIGHTS &&
		    part->cmsg_len == CMSG_LEN(sizeof(int)))
			memcpy(&fd, CMSG_DATA(part), sizeof(fd));
	return fd;
}

/* The next reply, of whichever request. */
static int take_reply(const struct socktally *meter, struct broker_reply *reply, int *fd)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec part = {.iov_base = reply, .iov_len = sizeof(*reply)};
	struct msghdr header = {.msg_iov = &part,
				.msg_iovlen = 1,
				.msg_control = control.bytes,
				.msg_controllen = sizeof(control.bytes)};
	ssize_t size;

	do
		size = recvmsg(meter->remote, &header, MSG_CMSG_CLOEXEC);
	while (size < 0 && errno == EINTR);
	if (size < 0)
		return errno == EAGAIN ? -ETIMEDOUT : -errno;
	*fd = descriptor_of(&header);
	reply->text[sizeof(reply->text) - 1] = '\0';
	if (!size)
		return -ECONNRESET;
	if (size != sizeof(*reply) || reply->magic != BROKER_MAGIC ||
	    reply->version != BROKER_VERSION || reply->error > 0)
		return -EPROTO;
	if ((*fd >= 0) != (reply->answer == BROKER_PROGRAM) || (*fd < 0 && !reply->error))
		return -EPROTO;
	return 0;
}

/* The reply to this request: one that has come late, to an earlier one, is thrown away. */
static int take_own_reply(const struct socktally *meter, const struct broker_request *request,
			  struct broker_reply *reply, int *fd)
{
	int result;

	while (!(result = take_reply(meter, reply, fd)) && reply->serial != request->serial) {
		if (*fd >= 0)
			close(*fd);
		*fd = -1;
	}
	return result;
}

static int ask_failed(struct socktally *meter, int error)
{
	if (error == -ETIMEDOUT) /* what is metered stays metered */
		return st_fail(meter, error, "the broker does not answer");
	shutdown(meter->remote, SHUT_RDWR);
	return st_fail(meter, error == -EPIPE ? -ECONNRESET : error,
		       "the broker %s: nothing is counted any more",
		       error == -EPROTO ? "is of another release" : "is gone");
}

/* Sends the request and returns the descriptor that came; -errno, with the meter's message. */
static int ask(struct socktally *meter, struct broker_request *request,
	       const struct sock_filter *insns, struct broker_reply *reply)
{
	struct iovec parts[2] = {
		{.iov_base = request, .iov_len = sizeof(*request)},
		{.iov_base = (void *)insns, .iov_len = request->count * sizeof(*insns)},
	};
	struct msghdr header = {.msg_iov = parts, .msg_iovlen = request->count ? 2 : 1};
	int fd = -1, result = 0;
	ssize_t sent;

	request->magic = BROKER_MAGIC;
	request->version = BROKER_VERSION;
	request->serial = ++meter->remote_serial;
	memset(reply, 0, sizeof(*reply));
	do
		sent = sendmsg(meter->remote, &header, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	if (sent < 0)
		result = errno == EAGAIN ? -ETIMEDOUT : -errno;
	else
		result = take_own_reply(meter, request, reply, &fd);
	if (!result && !reply->error)
		return fd;
	if (fd >= 0)
		close(fd);
	if (result)
		return ask_failed(meter, result);
	return st_fail(meter, reply->error, "%s",
		       *reply->text ? reply->text : "the broker refuses it");
}

int st_remote_open(struct socktally *meter, const struct socktally_open_opts *opts)
{
	const char *path = opts->broker;
	struct broker_request request = {
		.op = BROKER_OPEN,
		.paths = meter->sizes.paths,
		.flags = opts->flags & (SOCKTALLY_OPEN_RECORDS | SOCKTALLY_OPEN_NO_APPLICATIONS),
		.flows = opts->flows,
	};
	struct broker_reply reply;
	void *mapped;
	int fd, result;

	/* checked by socktally_open() */
	for (size_t i = 0; i < opts->port_count; i++) {
		request.ports[i].port = opts->ports[i].port;
		request.ports[i].protocol = opts->ports[i].protocol;
	}
	result = broker_connect(meter, path);
	if (result)
		return result;
	fd = ask(meter, &request, NULL, &reply);
	if (fd < 0)
		return fd;
	if (reply.region_size != meter->region_size || !reply.region_count ||
	    reply.region_count > 65536) {
		close(fd);
		return st_fail(meter, -EPROTO, "%s: the broker is of another release", path);
	}
	meter->region_count = reply.region_count;
	mapped = mmap(NULL, (size_t)meter->region_count * meter->region_size, PROT_READ, MAP_SHARED,
		      fd, 0);
	result = mapped == MAP_FAILED ? -errno : 0;
	close(fd);
	if (result)
		return st_fail(meter, result, "can't map the broker's table of cells: %s",
			       strerror(-result));
	meter->regions = mapped;
	return 0;
}

int st_remote_load(struct socktally *meter, uint64_t cookie,
		   const struct st_socket_link *socket_link, const struct sock_filter *insns,
		   size_t count, uint32_t *program)
{
	struct broker_request request = {
		.op = BROKER_SET_FILTER,
		.cookie = cookie,
		.ifindex = socket_link->ifindex,
		.link = socket_link->link,
		.count = (uint32_t)count,
	};
	struct broker_reply reply;
	int fd;

	memcpy(request.what, meter->socket_label, sizeof(request.what));
	fd = ask(meter, &request, insns, &reply);
	*program = reply.program;
	return fd;
}

/* What else comes is a reply that is late. */
bool st_remote_is_gone(const struct socktally *meter)
{
	char byte;
	ssize_t size;

	while ((size = recv(meter->remote, &byte, 1, MSG_DONTWAIT)) > 0)
		;
	return !size;
}
