/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* What the server and the process that has the meter say to each other. */
#ifndef SOCKTALLY_TOOLS_LISTEN_SERVER_H
#define SOCKTALLY_TOOLS_LISTEN_SERVER_H

#include <stdbool.h>
#include <stdint.h>

/* A request: one byte. */
enum metrics_kind { METRICS_PROMETHEUS, METRICS_OPENMETRICS, METRICS_KINDS };
#define METRICS_READY METRICS_KINDS /* once, from the server: it serves */

/* The answer, with the descriptor of the text, which never changes. size 0: there is none, no descriptor. */
struct metrics_answer {
	uint64_t
		number; /* of the text: the same as in the last answer of that kind is the same text */
	uint64_t size;
};

struct server_options {
	int port;                      /* the listening socket */
	int metrics;                   /* whom to ask */
	const char *certificate, *key; /* PEM, or NULL */
};

/* Whether this command was built with it. */
bool server_is_built(void);
/* Serves until `metrics` is closed at the other end. Returns the exit status of the process, after a message. */
int server_run(const struct server_options *options);

#endif
