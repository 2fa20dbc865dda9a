// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * Nobody tells the broker that a socket is closed. So that a tool that opens and closes many does
 * not fill the memory, the kernel is asked once in a while which ones there still are.
 */
#include "tools/broker/broker.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/packet_diag.h>
#include <linux/sock_diag.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct cookies {
	uint64_t *cookie;
	size_t count, room;
};

static bool cookies_add(struct cookies *cookies, uint64_t cookie)
{
	if (cookies->count == cookies->room) {
		size_t room = cookies->room ? 2 * cookies->room : 256;
		uint64_t *grown = reallocarray(cookies->cookie, room, sizeof(*grown));

		if (!grown)
			return false;
		cookies->cookie = grown;
		cookies->room = room;
	}
	cookies->cookie[cookies->count++] = cookie;
	return true;
}

static bool cookies_have(const struct cookies *cookies, uint64_t cookie)
{
	for (size_t i = 0; i < cookies->count; i++)
		if (cookies->cookie[i] == cookie)
			return true;
	return false;
}

static int add_metered(void *ctx, const struct socktally_socket *socket)
{
	return cookies_add(ctx, socket->cookie) ? 0 : -ENOMEM;
}

/* One datagram of the dump: 1 at its end, 0 if more come, -1. */
static int take_dump(const char *data, size_t size, struct cookies *open)
{
	const struct nlmsghdr *header = (const struct nlmsghdr *)data;
	int left = (int)size;

	for (; NLMSG_OK(header, (unsigned int)left); header = NLMSG_NEXT(header, left)) {
		const struct packet_diag_msg *entry = NLMSG_DATA(header);

		if (header->nlmsg_type == NLMSG_DONE)
			return 1;
		if (header->nlmsg_type == NLMSG_ERROR ||
		    header->nlmsg_len < NLMSG_LENGTH(sizeof(*entry)))
			return -1;
		if (!cookies_add(open,
				 entry->pdiag_cookie[0] | (uint64_t)entry->pdiag_cookie[1] << 32))
			return -1;
	}
	return 0;
}

/* The packet sockets of this network namespace. */
static bool list_open(struct cookies *open)
{
	struct {
		struct nlmsghdr header;
		struct packet_diag_req request;
	} ask = {.header = {.nlmsg_len = sizeof(ask),
			    .nlmsg_type = SOCK_DIAG_BY_FAMILY,
			    .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
		 .request = {.sdiag_family = AF_PACKET}};
	_Alignas(struct nlmsghdr) char data[32768];
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG), state = 0;
	ssize_t size;

	if (fd < 0)
		return false;
	if (send(fd, &ask, sizeof(ask), 0) != sizeof(ask))
		state = -1;
	while (!state) {
		size = recv(fd, data, sizeof(data), 0);
		state = size > 0 ? take_dump(data, (size_t)size, open) : -1;
	}
	close(fd);
	return state > 0;
}

/*
 * The tool may have sockets in another network namespace, which look closed from here: they are
 * forgotten only when the room is needed, and even then go on being counted.
 */
static void forget_closed(struct broker *broker, const struct cookies *metered)
{
	struct cookies open = {0};

	if (list_open(&open)) {
		for (size_t i = 0; i < metered->count; i++) {
			if (cookies_have(&open, metered->cookie[i]))
				continue;
			broker_retire(broker, metered->cookie[i]);
			socktally_forget(broker->meter, metered->cookie[i]);
		}
	}
	free(open.cookie);
}

bool broker_has_room(struct broker *broker, uint64_t cookie)
{
	struct cookies metered = {0};
	bool room = !socktally_sockets(broker->meter, add_metered, &metered);

	if (room && metered.count >= BROKER_SOCKETS && !cookies_have(&metered, cookie)) {
		forget_closed(broker, &metered);
		metered.count = 0;
		room = !socktally_sockets(broker->meter, add_metered, &metered) &&
		       metered.count < BROKER_SOCKETS;
	}
	free(metered.cookie);
	return room;
}
