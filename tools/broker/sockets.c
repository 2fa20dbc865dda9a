// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * The sockets on the meter. Nobody tells the broker that a socket was closed. So when a tool has opened
 * many, the kernel is asked which of them still exist, and the others are forgotten.
 */
#include "tools/broker/broker.h"
#include "tools/proc/packet_diag.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

struct cookies {
	uint64_t *cookie;
	size_t count, room;
};

static int cookies_add(void *ctx, const struct socktally_socket *socket)
{
	struct cookies *cookies = ctx;

	if (cookies->count == cookies->room) {
		size_t room = cookies->room ? 2 * cookies->room : 256;
		uint64_t *grown = reallocarray(cookies->cookie, room, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		cookies->cookie = grown;
		cookies->room = room;
	}
	cookies->cookie[cookies->count++] = socket->cookie;
	return 0;
}

static bool cookies_have(const struct cookies *cookies, uint64_t cookie)
{
	for (size_t i = 0; i < cookies->count; i++)
		if (cookies->cookie[i] == cookie)
			return true;
	return false;
}

static bool is_open(const struct packet_diag_socket *open, size_t count, uint64_t cookie)
{
	for (size_t i = 0; i < count; i++)
		if (open[i].cookie == cookie)
			return true;
	return false;
}

/*
 * A socket in another network namespace than the broker's looks closed. It is forgotten only when its
 * place is needed, and even then its packets go on being counted.
 */
static void forget_closed(struct broker *broker, const struct cookies *metered)
{
	struct packet_diag_socket *open;
	size_t count;
	int netlink = packet_diag_open();

	if (netlink < 0)
		return;
	if (!packet_diag_read(netlink, false, &open, &count)) {
		for (size_t i = 0; i < metered->count; i++) {
			if (is_open(open, count, metered->cookie[i]))
				continue;
			broker_keep_names(broker, metered->cookie[i]);
			socktally_forget(broker->meter, metered->cookie[i]);
		}
		packet_diag_free(open, count);
	}
	close(netlink);
}

bool broker_has_room(struct broker *broker, uint64_t cookie)
{
	struct cookies metered = {0};
	bool room = !socktally_sockets(broker->meter, cookies_add, &metered);

	if (room && metered.count >= BROKER_SOCKETS && !cookies_have(&metered, cookie)) {
		forget_closed(broker, &metered);
		metered.count = 0;
		room = !socktally_sockets(broker->meter, cookies_add, &metered) &&
		       metered.count < BROKER_SOCKETS;
	}
	free(metered.cookie);
	return room;
}
