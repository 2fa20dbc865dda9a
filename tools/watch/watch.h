/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* The capture socket that socktally watch meters, and the interface that it is on. */
#ifndef SOCKTALLY_TOOLS_WATCH_WATCH_H
#define SOCKTALLY_TOOLS_WATCH_WATCH_H

#include "tools/options/options.h"

struct watch_capture {
	const char *interface; /* or "any" */
	const char *filter;    /* in pcap-filter's language; NULL: none */
	bool promiscuous;
	bool follow; /* wait for the interface, also when it is gone */
};

struct watch_socket;

/* A socket with the settings and filter of a tcpdump. NULL after a message, with the exit status. */
struct watch_socket *watch_socket_open(const struct watch_capture *capture, int *status);
void watch_socket_close(struct watch_socket *socket);
int watch_socket_fd(const struct watch_socket *socket);
/* Whether the filter is one, before there is an interface: 0, or an exit status after a message. */
int watch_filter_check(const struct watch_capture *capture);

/* The interface of a watch, and its socket on the meter. */
struct watch_interface {
	const struct watch_capture *capture;
	struct socktally *meter;
	struct watch_socket *socket; /* NULL: there is none now */
	int ifindex;                 /* of the socket; 0: any */
	char linktype[32];           /* of the last socket */
	bool down;                   /* the user has been told */
	int links;                   /* readable when an interface has changed; -1: nobody asks */
	struct notes notes;          /* of the time since the last report */
	struct report_health health;
};

/* Whether a socket can be opened on it. */
bool watch_interface_is_up(const struct watch_capture *capture);
/* Meters the socket, if there is one, and takes it. 0, or an exit status after a message. */
int watch_interface_begin(struct watch_interface *interface, struct watch_socket *socket);
/*
 * The socket has an error pending, or `links` is readable. An interface that is down may come up again,
 * and counting goes on then. One that is deleted ends the command, but with --follow. 0 to go on.
 */
int watch_interface_look(struct watch_interface *interface);
void watch_interface_end(struct watch_interface *interface);

#endif
