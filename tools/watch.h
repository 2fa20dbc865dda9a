/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* The capture socket that socktally watch meters. */
#ifndef SOCKTALLY_TOOLS_WATCH_H
#define SOCKTALLY_TOOLS_WATCH_H

#include "tools/options/options.h"

struct watch_capture {
	const char *interface; /* or "any" */
	const char *filter;    /* in pcap-filter's language; NULL: none */
	bool promiscuous;
};

struct watch_socket;

/* A socket with the settings and filter of a tcpdump. NULL after a message, with the exit status. */
struct watch_socket *watch_socket_open(const struct watch_capture *capture, int *status);
void watch_socket_close(struct watch_socket *socket);
int watch_socket_fd(const struct watch_socket *socket);

#endif
