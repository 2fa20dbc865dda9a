/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Metrics over HTTP (--listen). Requests are taken by a child, the server, which has no privileges and
 * nothing of the meter: over a socket pair it asks for the metrics as text, and gets a descriptor to read
 * them from. So who can break into the server has what anybody gets who asks it.
 */
#ifndef SOCKTALLY_TOOLS_LISTEN_LISTEN_H
#define SOCKTALLY_TOOLS_LISTEN_LISTEN_H

#include "tools/report/report.h"

struct listen_options {
	const char *address;           /* NULL: nothing listens */
	const char *certificate, *key; /* files in PEM, for TLS; or both NULL */
};

struct listener;

/*
 * Opens the port and starts the server. *listener is NULL where the options ask for nothing. 0, or an exit
 * status after a message.
 */
int listener_open(struct listener **listener, const struct listen_options *options);

/* Readable when somebody asks, or the server has ended; -1: there is none (any more). */
int listener_fd(const struct listener *listener);

/* Counting begins now. */
int listener_begin(struct listener *listener, const struct report_style *style);

/* Gives what is asked for; says so if the server has ended. */
void listener_answer(struct listener *listener, struct socktally *meter,
		     const struct report_source *source);

/* Ends the server. NULL is none. */
void listener_close(struct listener *listener);

#endif
