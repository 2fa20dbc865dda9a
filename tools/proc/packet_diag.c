// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
#include "tools/proc/packet_diag.h"

#include <errno.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* The kernel sends messages as large as the last buffer that was received into, up to 32 KiB. */
#define BUFFER_SIZE 65536
/* How often to ask again when sockets came and went during the dump. */
#define TRIES 8

struct dump {
	struct packet_diag_socket *sockets;
	size_t count, room;
	bool filters_only; /* adds filters to sockets that are there already */
};

int packet_diag_open(void)
{
	struct timeval patience = {.tv_sec = 5};
	int netlink = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);

	if (netlink < 0)
		return -errno;
	setsockopt(netlink, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	return netlink;
}

static int request_dump(int netlink, uint32_t show)
{
	struct {
		struct nlmsghdr header;
		struct packet_diag_req request;
	} message = {
		.header = {.nlmsg_len = sizeof(message),
			   .nlmsg_type = SOCK_DIAG_BY_FAMILY,
			   .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
		.request = {.sdiag_family = AF_PACKET, .pdiag_show = show},
	};

	if (send(netlink, &message, sizeof(message), 0) == (ssize_t)sizeof(message))
		return 0;
	return errno ? -errno : -EIO;
}

/* Copies the attribute; members that an older kernel does not send become zero. */
static void take(void *to, size_t size, const struct rtattr *attribute)
{
	size_t there = RTA_PAYLOAD(attribute);

	memset(to, 0, size);
	memcpy(to, RTA_DATA(attribute), there < size ? there : size);
}

static void take_memberships(struct packet_diag_socket *socket, const struct rtattr *attribute)
{
	const struct packet_diag_mclist *entry = RTA_DATA(attribute);

	for (size_t left = RTA_PAYLOAD(attribute); left >= sizeof(*entry);
	     left -= sizeof(*entry), entry++)
		socket->promiscuous |= entry->pdmc_type == PACKET_MR_PROMISC;
}

static int take_filter(struct packet_diag_socket *socket, const struct rtattr *attribute)
{
	size_t size = RTA_PAYLOAD(attribute);

	if (!size) {
		socket->filter = PACKET_DIAG_FILTER_HIDDEN;
		return 0;
	}
	if (socket->insns)
		return 0;
	socket->insns = malloc(size);
	if (!socket->insns)
		return -ENOMEM;
	memcpy(socket->insns, RTA_DATA(attribute), size);
	socket->insn_count = size / sizeof(struct sock_filter);
	socket->filter = PACKET_DIAG_FILTER_CLASSIC;
	return 0;
}

static int take_attribute(struct packet_diag_socket *socket, const struct rtattr *attribute)
{
	struct packet_diag_info info;
	uint32_t memory[SK_MEMINFO_VARS];

	switch (attribute->rta_type) {
	case PACKET_DIAG_INFO:
		take(&info, sizeof(info), attribute);
		socket->ifindex = (int)info.pdi_index;
		socket->version = info.pdi_version;
		socket->running = info.pdi_flags & PDI_RUNNING;
		break;
	case PACKET_DIAG_MCLIST:
		take_memberships(socket, attribute);
		break;
	case PACKET_DIAG_RX_RING:
		take(&socket->ring, sizeof(socket->ring), attribute);
		break;
	case PACKET_DIAG_FANOUT:
		take(&socket->fanout, sizeof(socket->fanout), attribute);
		socket->has_fanout = true;
		break;
	case PACKET_DIAG_UID:
		take(&socket->uid, sizeof(socket->uid), attribute);
		socket->has_uid = true;
		break;
	case PACKET_DIAG_MEMINFO:
		take(memory, sizeof(memory), attribute);
		socket->drops = memory[SK_MEMINFO_DROPS];
		socket->has_drops = RTA_PAYLOAD(attribute) > SK_MEMINFO_DROPS * sizeof(*memory);
		break;
	case PACKET_DIAG_FILTER:
		return take_filter(socket, attribute);
	}
	return 0;
}

static struct packet_diag_socket *find(const struct dump *dump, uint64_t cookie)
{
	for (size_t i = 0; i < dump->count; i++)
		if (dump->sockets[i].cookie == cookie)
			return &dump->sockets[i];
	return NULL;
}

static struct packet_diag_socket *add(struct dump *dump, uint64_t cookie)
{
	struct packet_diag_socket *added;

	if (dump->count == dump->room) {
		size_t room = dump->room ? 2 * dump->room : 16;

		added = reallocarray(dump->sockets, room, sizeof(*added));
		if (!added)
			return NULL;
		dump->sockets = added;
		dump->room = room;
	}
	added = &dump->sockets[dump->count++];
	memset(added, 0, sizeof(*added));
	added->cookie = cookie;
	return added;
}

static int take_socket(struct dump *dump, const struct nlmsghdr *header)
{
	const struct packet_diag_msg *message = NLMSG_DATA(header);
	struct packet_diag_socket *socket;
	const struct rtattr *attribute;
	uint64_t cookie;
	int left, result = 0;

	if (header->nlmsg_len < NLMSG_LENGTH(sizeof(*message)))
		return 0;
	cookie = (uint64_t)message->pdiag_cookie[1] << 32 | message->pdiag_cookie[0];
	socket = find(dump, cookie);
	if (!socket && dump->filters_only)
		return 0; /* younger than the list */
	if (!socket)
		socket = add(dump, cookie);
	if (!socket)
		return -ENOMEM;
	socket->inode = message->pdiag_ino;
	socket->type = message->pdiag_type;
	socket->protocol = message->pdiag_num;
	if (dump->filters_only)
		socket->filter = PACKET_DIAG_FILTER_ABSENT;
	attribute = (const struct rtattr *)((const char *)message + NLMSG_ALIGN(sizeof(*message)));
	left = (int)(header->nlmsg_len - NLMSG_SPACE(sizeof(*message)));
	for (; RTA_OK(attribute, left) && !result; attribute = RTA_NEXT(attribute, left))
		result = take_attribute(socket, attribute);
	return result;
}

/* 1: that was all; 2: all, but sockets came and went. */
static int take_messages(struct dump *dump, const char *buffer, size_t size)
{
	const struct nlmsghdr *header = (const struct nlmsghdr *)buffer;
	int left = (int)size, result;

	/* NLMSG_OK() compares signed with unsigned */
	for (; left >= (int)sizeof(*header) && header->nlmsg_len >= sizeof(*header) &&
	       header->nlmsg_len <= (unsigned int)left;
	     header = NLMSG_NEXT(header, left)) {
		if (header->nlmsg_type == NLMSG_DONE)
			return header->nlmsg_flags & NLM_F_DUMP_INTR ? 2 : 1;
		if (header->nlmsg_type == NLMSG_ERROR) {
			const struct nlmsgerr *error = NLMSG_DATA(header);

			return error->error ? error->error : -EIO;
		}
		result = take_socket(dump, header);
		if (result)
			return result;
	}
	return 0;
}

static int dump_once(int netlink, uint32_t show, struct dump *dump, char *buffer)
{
	int result = request_dump(netlink, show);

	while (!result) {
		ssize_t size = recv(netlink, buffer, BUFFER_SIZE, MSG_TRUNC);

		if (size < 0 && errno == EINTR)
			continue;
		if (size < 0)
			return -errno;
		if (!size || size > BUFFER_SIZE)
			return -EIO;
		result = take_messages(dump, buffer, (size_t)size);
	}
	return result;
}

static int dump_sockets(int netlink, uint32_t show, struct dump *dump, char *buffer)
{
	int result = 2;

	for (int i = 0; i < TRIES && result == 2; i++)
		result = dump_once(netlink, show, dump, buffer);
	return result < 0 ? result : 0;
}

/*
 * Filters are asked for in a second dump: a filter that is too long for a message ends the kernel's
 * dump early, without an error. The list itself stays complete.
 */
int packet_diag_read(int netlink, bool filters, struct packet_diag_socket **sockets, size_t *count)
{
	const uint32_t show = PACKET_SHOW_INFO | PACKET_SHOW_MCLIST | PACKET_SHOW_RING_CFG |
			      PACKET_SHOW_FANOUT | PACKET_SHOW_MEMINFO;
	struct dump dump = {0};
	char *buffer = malloc(BUFFER_SIZE);
	int result = -ENOMEM;

	if (buffer)
		result = dump_sockets(netlink, show, &dump, buffer);
	if (!result && filters) {
		dump.filters_only = true;
		dump_sockets(netlink, PACKET_SHOW_FILTER, &dump, buffer);
	}
	free(buffer);
	if (result) {
		packet_diag_free(dump.sockets, dump.count);
		dump = (struct dump){0};
	}
	*sockets = dump.sockets;
	*count = dump.count;
	return result;
}

uint64_t packet_diag_cookie(int fd)
{
	uint64_t cookie = 0;
	socklen_t size = sizeof(cookie);

	return getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &size) ? 0 : cookie;
}

void packet_diag_free(struct packet_diag_socket *sockets, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(sockets[i].insns);
	free(sockets);
}
