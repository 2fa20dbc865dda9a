// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * The sockets on the meter. Nobody tells the worker that a socket was closed. So when a tool has opened
 * many, the kernel is asked which of them still exist, and the others are forgotten.
 */
#include "tools/broker/worker.h"
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

void worker_forget(struct worker *worker, uint64_t cookie)
{
	const struct worker_note note = {.kind = WORKER_FORGOT, .cookie = cookie};

	st_attachment_remove(worker->meter, cookie);
	worker_tell(worker, &note, NULL);
}

static bool is_open(const struct packet_diag_socket *open, size_t count, uint64_t cookie)
{
	for (size_t i = 0; i < count; i++)
		if (open[i].cookie == cookie)
			return true;
	return false;
}

/*
 * A socket in another network namespace than the worker's looks closed. It is forgotten only when its
 * place is needed, and even then its packets go on being counted.
 */
static void forget_closed(struct worker *worker, const struct cookies *metered)
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
			worker_forget(worker, metered->cookie[i]);
		}
		packet_diag_free(open, count);
	}
	close(netlink);
}

bool worker_has_room(struct worker *worker, uint64_t cookie)
{
	struct cookies metered = {0};
	bool room = !socktally_sockets(worker->meter, cookies_add, &metered);

	if (room && metered.count >= WORKER_SOCKETS && !cookies_have(&metered, cookie)) {
		forget_closed(worker, &metered);
		metered.count = 0;
		room = !socktally_sockets(worker->meter, cookies_add, &metered) &&
		       metered.count < WORKER_SOCKETS;
	}
	free(metered.cookie);
	return room;
}
