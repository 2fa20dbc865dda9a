// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* Devices on top of others, by rtnetlink(7). */
#include "tools/report/devices.h"

#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define RECEIVE_SIZE                                                                               \
	32768 /* the kernel's largest dump message, NLMSG_GOODSIZE on 64-bit machines */

struct link {
	int index, master, lower; /* 0: none */
	bool lower_elsewhere;     /* in another network namespace */
};

static int integer(const struct rtattr *attribute)
{
	int value = 0;

	if (RTA_PAYLOAD(attribute) >= sizeof(value))
		memcpy(&value, RTA_DATA(attribute), sizeof(value));
	return value;
}

static struct link read_link(const struct nlmsghdr *message)
{
	const struct ifinfomsg *info = NLMSG_DATA(message);
	struct link link = {.index = info->ifi_index};
	int left = (int)IFLA_PAYLOAD(message);

	for (const struct rtattr *at = IFLA_RTA(info); RTA_OK(at, left); at = RTA_NEXT(at, left)) {
		if (at->rta_type == IFLA_MASTER)
			link.master = integer(at);
		else if (at->rta_type == IFLA_LINK)
			link.lower = integer(at);
		else if (at->rta_type == IFLA_LINK_NETNSID)
			link.lower_elsewhere = true;
	}
	return link;
}

/* NULL: the device shares its packets with none. */
static char *describe(const struct link *link)
{
	char own[IF_NAMESIZE] = "", other[IF_NAMESIZE] = "", *text;
	bool is_port = link->master;
	int index = is_port ? link->master : link->lower;

	if (!index || index == link->index || (!is_port && link->lower_elsewhere))
		return NULL;
	if (!if_indextoname((unsigned int)link->index, own) ||
	    !if_indextoname((unsigned int)index, other))
		return NULL;
	if (asprintf(&text,
		     "a packet is counted on each device that it passes: %s %s %s; --by interface "
		     "counts them apart",
		     own, is_port ? "is a part of" : "is tied to", other) < 0)
		return NULL;
	return text;
}

static bool ask(int fd)
{
	struct {
		struct nlmsghdr header;
		struct ifinfomsg info;
	} request = {
		.header = {.nlmsg_len = sizeof(request),
			   .nlmsg_type = RTM_GETLINK,
			   .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
	};

	return send(fd, &request, sizeof(request), 0) == sizeof(request);
}

/* *text: of the first device that is stacked. False: there is no more to read. */
static bool read_some(int fd, void *buffer, char **text)
{
	ssize_t length = recv(fd, buffer, RECEIVE_SIZE, 0);
	unsigned int left = length > 0 ? (unsigned int)length : 0;

	for (const struct nlmsghdr *at = buffer; NLMSG_OK(at, left); at = NLMSG_NEXT(at, left)) {
		struct link link;

		if (at->nlmsg_type != RTM_NEWLINK)
			return false;
		link = read_link(at);
		if (!*text)
			*text = describe(&link);
	}
	return length > 0 && !*text;
}

char *report_stacked_devices(void)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	char *text = NULL, *buffer = malloc(RECEIVE_SIZE);

	if (fd >= 0 && buffer && ask(fd)) {
		while (read_some(fd, buffer, &text))
			;
	}
	if (fd >= 0)
		close(fd);
	free(buffer);
	return text;
}
