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
	if (head->count > BROKER_MAX_INSNS ||
	    (size_t)size != sizeof(*head) + head->count * sizeof(*message->insns))
		return SERVER_NONSENSE;
	return SERVER_REQUEST;
}

bool server_reply(int fd, const struct broker_request *request, struct broker_reply *reply,
		  int descriptor)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {.header = {.cmsg_len = CMSG_LEN(sizeof(int)),
				.cmsg_level = SOL_SOCKET,
				.cmsg_type = SCM_RIGHTS}};
	struct iovec part = {.iov_base = reply, .iov_len = sizeof(*reply)};
	struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};

	reply->magic = BROKER_MAGIC;
	reply->version = BROKER_VERSION;
	reply->serial = request->serial;
	if (descriptor >= 0) {
		memcpy(CMSG_DATA(&control.header), &descriptor, sizeof(descriptor));
		header.msg_control = control.bytes;
		header.msg_controllen = sizeof(control.bytes);
	}
	return sendmsg(fd, &header, MSG_DONTWAIT | MSG_NOSIGNAL) > 0;
}

bool server_refuse(int fd, const struct broker_request *request, int error, const char *text)
{
	struct broker_reply reply = {.error = error};

	snprintf(reply.text, sizeof(reply.text), "%s", text);
	return server_reply(fd, request, &reply, -1);
}
