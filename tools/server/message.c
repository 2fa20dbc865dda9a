// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* Receiving a request, with its form checked, and replying. */
#include "tools/server/server.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83 /* Linux 6.16 */
#endif

void server_take_no_descriptors(int fd)
{
	int off = 0;

	setsockopt(fd, SOL_SOCKET, SO_PASSRIGHTS, &off, sizeof(off));
}

bool server_send_descriptor(int to, struct iovec *parts, size_t count, int descriptor)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {.header = {.cmsg_len = CMSG_LEN(sizeof(int)),
				.cmsg_level = SOL_SOCKET,
				.cmsg_type = SCM_RIGHTS}};
	struct msghdr header = {.msg_iov = parts, .msg_iovlen = count};

	if (descriptor >= 0) {
		memcpy(CMSG_DATA(&control.header), &descriptor, sizeof(descriptor));
		header.msg_control = control.bytes;
		header.msg_controllen = sizeof(control.bytes);
	}
	return sendmsg(to, &header, MSG_DONTWAIT | MSG_NOSIGNAL) > 0;
}

ssize_t server_receive_descriptor(int from, void *data, size_t size, int *descriptor)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec part = {.iov_base = data, .iov_len = size};
	struct msghdr header = {.msg_iov = &part,
				.msg_iovlen = 1,
				.msg_control = control.bytes,
				.msg_controllen = sizeof(control.bytes)};
	ssize_t got = recvmsg(from, &header, MSG_CMSG_CLOEXEC);
	const struct cmsghdr *came = got >= 0 ? CMSG_FIRSTHDR(&header) : NULL;

	*descriptor = -1;
	if (came && came->cmsg_level == SOL_SOCKET && came->cmsg_type == SCM_RIGHTS)
		memcpy(descriptor, CMSG_DATA(came), sizeof(*descriptor));
	return got;
}

static pid_t sender_of(struct msghdr *header)
{
	struct ucred sender = {0};

	for (struct cmsghdr *part = CMSG_FIRSTHDR(header); part; part = CMSG_NXTHDR(header, part))
		if (part->cmsg_level == SOL_SOCKET && part->cmsg_type == SCM_CREDENTIALS &&
		    part->cmsg_len >= CMSG_LEN(sizeof(sender)))
			memcpy(&sender, CMSG_DATA(part), sizeof(sender));
	return sender.pid;
}

enum server_received server_receive(int fd, struct server_message *message, pid_t *sender)
{
	/*
	 * Room for the sender's credentials, and none for descriptors: they never get into our table, where
	 * to close one may wait for whoever serves its file (FUSE).
	 */
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(struct ucred))];
	} control;
	struct iovec part = {.iov_base = message, .iov_len = sizeof(*message)};
	struct msghdr header = {.msg_iov = &part,
				.msg_iovlen = 1,
				.msg_control = control.bytes,
				.msg_controllen = sizeof(control.bytes)};
	const struct broker_request *head = &message->head;
	ssize_t size = recvmsg(fd, &header, MSG_DONTWAIT);
	size_t follow;

	*sender = 0;
	if (size < 0)
		return errno == EAGAIN || errno == EINTR ? SERVER_NOTHING : SERVER_END;
	if (!size)
		return SERVER_END;
	*sender = sender_of(&header);
	if (header.msg_flags & (MSG_TRUNC | MSG_CTRUNC) || size < (ssize_t)sizeof(*head) ||
	    head->magic != BROKER_MAGIC)
		return SERVER_NONSENSE;
	if (head->version != BROKER_VERSION)
		return SERVER_OTHER_RELEASE;
	follow = head->op == BROKER_GET_FILTER ? 0 : head->count;
	if (head->count > BROKER_MAX_INSNS ||
	    (size_t)size != sizeof(*head) + follow * sizeof(*message->insns))
		return SERVER_NONSENSE;
	return SERVER_REQUEST;
}

bool server_reply(int fd, const struct broker_request *request, struct broker_reply *reply,
		  int descriptor)
{
	return server_reply_filter(fd, request, reply, descriptor, NULL);
}

bool server_reply_filter(int fd, const struct broker_request *request, struct broker_reply *reply,
			 int descriptor, const struct sock_filter *insns)
{
	struct iovec parts[2] = {
		{.iov_base = reply, .iov_len = sizeof(*reply)},
		{.iov_base = (void *)insns, .iov_len = reply->count * sizeof(*insns)},
	};

	if (!reply->answer)
		reply->answer = descriptor >= 0 ? BROKER_PROGRAM : BROKER_PASS;
	reply->magic = BROKER_MAGIC;
	reply->version = BROKER_VERSION;
	reply->serial = request->serial;
	return server_send_descriptor(fd, parts, insns ? 2 : 1, descriptor);
}

bool server_refuse(int fd, const struct broker_request *request, int error, const char *text)
{
	struct broker_reply reply = {.error = error};

	snprintf(reply.text, sizeof(reply.text), "%s", text);
	return server_reply(fd, request, &reply, -1);
}
