// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * The interface of socktally watch, which may go and come. With --follow its name decides: a socket is
 * opened on the interface that has the name. While none has it, the one that had it goes on, as it may
 * have been renamed.
 */
#include "tools/watch/watch.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

bool watch_interface_is_up(const struct watch_capture *capture)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq request = {0};
	bool up;

	if (!strcmp(capture->interface, "any"))
		up = true;
	else if (fd < 0 || strlen(capture->interface) >= sizeof(request.ifr_name))
		up = false;
	else {
		strcpy(request.ifr_name, capture->interface);
		up = !ioctl(fd, SIOCGIFFLAGS, &request) && request.ifr_flags & IFF_UP;
	}
	if (fd >= 0)
		close(fd);
	return up;
}

/* A netlink socket that hears of each change of an interface, or -1. */
static int links_open(void)
{
	struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);

	if (fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address))) {
		close(fd);
		return -1;
	}
	return fd;
}

/* What has changed is asked for by name, so the messages themselves don't matter, nor that some are lost. */
static void links_read(int fd)
{
	char message[64];

	while (recv(fd, message, sizeof(message), MSG_TRUNC) >= 0 || errno == ENOBUFS ||
	       errno == EINTR)
		continue;
}

static int note_socket(void *ctx, const struct socktally_socket *socket)
{
	struct watch_interface *interface = ctx;

	snprintf(interface->linktype, sizeof(interface->linktype), "%s", socket->linktype);
	interface->ifindex = socket->ifindex;
	return 0;
}

static int meter_socket(struct watch_interface *interface, struct watch_socket *socket)
{
	interface->socket = socket;
	interface->health.metered = 1;
	interface->down = false;
	if (socktally_attach(interface->meter, watch_socket_fd(socket), NULL))
		return command_fail("%s: %s", interface->capture->interface,
				    socktally_error(interface->meter));
	socktally_sockets(interface->meter, note_socket, interface);
	return 0;
}

static void drop_socket(struct watch_interface *interface)
{
	if (!interface->socket)
		return;
	socktally_detach(interface->meter, watch_socket_fd(interface->socket));
	watch_socket_close(interface->socket);
	interface->socket = NULL;
	interface->health.metered = 0;
}

static const char *name_of(const struct watch_interface *interface, char *name)
{
	if (!interface->ifindex)
		return interface->capture->interface;
	return if_indextoname((unsigned int)interface->ifindex, name);
}

/* The interface with the name is there and up: 0, also where it is gone again by now. */
static int reopen(struct watch_interface *interface)
{
	const char *name = interface->capture->interface;
	struct watch_socket *socket;
	int status;

	socket = watch_socket_open(interface->capture, &status);
	if (!socket)
		return watch_interface_is_up(interface->capture) ? status : 0;
	drop_socket(interface);
	status = meter_socket(interface, socket);
	if (status)
		return status;
	command_note("%s: is there, and is counted from now on", name);
	notes_add(&interface->notes, "there", "%s is there, and is counted from now on", name);
	return 0;
}

static void say_down(struct watch_interface *interface, const char *name)
{
	if (!interface->down)
		command_note("%s: is down; counting goes on when it is up again", name);
	interface->down = true;
}

static int gone(struct watch_interface *interface)
{
	const char *name = interface->capture->interface;

	if (!interface->capture->follow)
		return command_fail("%s: the interface is gone: the report ends there", name);
	drop_socket(interface);
	interface->health.gaps++;
	command_note("%s: the interface is gone; counting goes on when it is there again", name);
	notes_add(&interface->notes, "gone",
		  "%s is gone: nothing is counted until it is there again", name);
	return 0;
}

/* Whether another interface has the name than the one that is metered. */
static bool replaced(const struct watch_interface *interface)
{
	unsigned int index = if_nametoindex(interface->capture->interface);

	return index && (!interface->socket || (int)index != interface->ifindex);
}

int watch_interface_look(struct watch_interface *interface)
{
	socklen_t size = sizeof(int);
	char name[IF_NAMESIZE];
	int error = 0, status = 0;

	if (interface->links >= 0)
		links_read(interface->links);
	if (interface->socket)
		getsockopt(watch_socket_fd(interface->socket), SOL_SOCKET, SO_ERROR, &error, &size);
	if (error && error != ENETDOWN)
		return command_fail("%s: %s", interface->capture->interface, strerror(error));
	if (interface->socket && !name_of(interface, name))
		status = gone(interface);
	else if (error && interface->ifindex)
		say_down(interface, name_of(interface, name));
	if (!status && interface->capture->follow && replaced(interface) &&
	    watch_interface_is_up(interface->capture))
		status = reopen(interface);
	return status;
}

int watch_interface_begin(struct watch_interface *interface, struct watch_socket *socket)
{
	const struct watch_capture *capture = interface->capture;
	bool follow = capture->follow && strcmp(capture->interface, "any") != 0;

	interface->links = follow ? links_open() : -1;
	if (follow && interface->links < 0) {
		watch_socket_close(socket);
		return command_fail("can't hear of interfaces: %s", strerror(errno));
	}
	if (socket)
		return meter_socket(interface, socket);
	command_note("%s: no such interface, or it is down: counting begins when it is up",
		     capture->interface);
	/* it may have come since it was looked for */
	return watch_interface_look(interface);
}

void watch_interface_end(struct watch_interface *interface)
{
	watch_socket_close(interface->socket);
	if (interface->links >= 0)
		close(interface->links);
	notes_clear(&interface->notes);
}
