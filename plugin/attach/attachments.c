// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* The list of a meter's sockets, and what is told of them. */
#include "plugin/attach/attach.h"
#include "plugin/attach/linktype.h"
#include "plugin/meter/meter.h"
#include "plugin/meter/visit.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#ifndef SO_COOKIE
#define SO_COOKIE 57
#endif

struct st_attachment *st_attachment_find(const struct socktally *meter, uint64_t cookie)
{
	for (size_t i = 0; i < meter->attachment_count; i++)
		if (meter->attachments[i]->cookie == cookie)
			return meter->attachments[i];
	return NULL;
}

static void attachment_free(struct st_attachment *attachment)
{
	if (!attachment)
		return;
	free(attachment->insns);
	free(attachment);
}

void st_attachments_free(struct socktally *meter)
{
	for (size_t i = 0; i < meter->attachment_count; i++)
		attachment_free(meter->attachments[i]);
	free(meter->attachments);
	meter->attachments = NULL;
	meter->attachment_count = meter->attachment_room = 0;
}

int st_attachments_reserve(struct socktally *meter)
{
	size_t room = meter->attachment_room ? 2 * meter->attachment_room : 8;
	struct st_attachment **grown;

	if (meter->attachment_count < meter->attachment_room)
		return 0;
	grown = realloc(meter->attachments, room * sizeof(struct st_attachment *));
	if (!grown)
		return st_fail(meter, -ENOMEM, "no memory for one more socket");
	meter->attachments = grown;
	meter->attachment_room = room;
	return 0;
}

void st_attachment_remove(struct socktally *meter, uint64_t cookie)
{
	for (size_t i = 0; i < meter->attachment_count; i++) {
		if (meter->attachments[i]->cookie != cookie)
			continue;
		attachment_free(meter->attachments[i]);
		meter->attachments[i] = meter->attachments[--meter->attachment_count];
		return;
	}
}

void st_attachment_keep(struct socktally *meter, struct st_attachment *attachment)
{
	st_attachment_remove(meter, attachment->cookie);
	meter->attachments[meter->attachment_count++] = attachment;
}

bool st_socket_is(int fd, uint64_t cookie)
{
	socklen_t size = sizeof(uint64_t);
	uint64_t now;

	return fd >= 0 && !getsockopt(fd, SOL_SOCKET, SO_COOKIE, &now, &size) && now == cookie;
}

void st_attachments_give_back(const struct socktally *meter)
{
	for (size_t i = 0; i < meter->attachment_count; i++) {
		const struct st_attachment *attachment = meter->attachments[i];
		int fd = attachment->fd;

		if (st_socket_is(fd, attachment->cookie) && st_attachment_is_on(attachment, fd))
			st_filter_write(fd, attachment->insns, attachment->count);
	}
}

int socktally_forget(struct socktally *meter, uint64_t cookie)
{
	int result;

	if (!st_registry_has(meter))
		return -EINVAL;
	result = st_visit_refuse(meter, ST_LIST_SOCKETS);
	if (result)
		return result;
	if (!st_attachment_find(meter, cookie))
		return st_fail(meter, -ENOENT, "no such socket is on this meter");
	st_attachment_remove(meter, cookie);
	return 0;
}

static int report(const struct st_attachment *attachment, socktally_socket_fn fn, void *ctx)
{
	struct socktally_socket socket;
	char linktype[32];

	st_link_text(attachment->socket_link.link, linktype, sizeof(linktype));
	socket.cookie = attachment->cookie;
	socket.program = attachment->program;
	socket.ifindex = attachment->socket_link.ifindex;
	socket.interface = attachment->socket_link.interface;
	socket.linktype = linktype;
	socket.insns = attachment->count ? attachment->insns : NULL;
	socket.insn_count = attachment->count;
	return fn(ctx, &socket);
}

int socktally_sockets(struct socktally *meter, socktally_socket_fn fn, void *ctx)
{
	int result = 0;

	if (!st_registry_has(meter))
		return -EINVAL;
	if (!fn)
		return st_fail(meter, -EINVAL, "sockets: no callback");
	st_visit_begin(meter, ST_LIST_SOCKETS);
	for (size_t i = 0; i < meter->attachment_count && !result; i++)
		result = st_visit_result(meter, report(meter->attachments[i], fn, ctx));
	st_visit_end(meter, ST_LIST_SOCKETS);
	return result;
}
