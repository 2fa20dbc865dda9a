/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The worker: a child of the broker that serves the tool (proto/broker.h, proto/channel_open.h). The broker has
 * the meter and its reports, the worker the program of each socket. So no report makes the tool wait, and
 * whatever the tool does to the worker, the broker goes on.
 *
 * It trusts no request: a tool that reads hostile packets may be taken over by one. The most that a request
 * can get is a program made of a classic filter.
 */
#ifndef SOCKTALLY_TOOLS_BROKER_WORKER_H
#define SOCKTALLY_TOOLS_BROKER_WORKER_H

#include "plugin/meter/attachment.h"
#include "proto/channel_address.h"
#include "tools/server/server.h"
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Connections at a time, and those that are in the channel at first; a new one takes the place of the oldest. */
#define WORKER_CONNECTIONS 32
#define WORKER_WAITING 4
/* Processes that accept who comes by the abstract address, and milliseconds that each has for it. */
#define WORKER_DOORS 4
#define WORKER_DOOR_TIME 1000
/* Sockets on the meter at a time. */
#define WORKER_SOCKETS 1024
/* Seconds of processor time a minute that the tool's filters may take. */
#define WORKER_PROCESSOR_SECONDS 30

/* --- what worker and broker say to each other */

enum worker_note_kind {
	WORKER_ASKED,      /* the shim asks something of the socket */
	WORKER_ATTACHED,   /* a socket is on the meter: its instructions follow */
	WORKER_STATISTICS, /* what the tool was told of a socket */
	WORKER_FORGOT,     /* it isn't any more */
	WORKER_SAYS,       /* a text, once for each cause */
	WORKER_FINISH,     /* the tool exits, and waits for the report */
	WORKER_ALIVE,      /* the answer to a WORKER_PING: what came before is told */
	WORKER_CLASSES,    /* is to serve this link; which the broker answers */
};

struct worker_note {
	uint32_t kind;
	uint32_t cause;
	uint64_t cookie;
	pid_t pid;
	int32_t fd;
	uint32_t program, option_memory;
	uint32_t statistics[3]; /* as in struct broker_request */
	struct st_socket_link link;
	uint32_t count;
	char text[400];
};

struct worker_message {
	struct worker_note note;
	struct sock_filter insns[BROKER_MAX_INSNS];
};

/* What the broker says: that classes serve a link, 0 or -errno; or, for link 0, one of these. */
struct worker_answer {
	uint32_t link;
	int32_t result;
};

enum {
	WORKER_FINISHED, /* the report is written */
	WORKER_PING,
};

/* Milliseconds that the worker waits for a broker that is behind, and for classes. */
#define WORKER_TELL_PATIENCE 100
#define WORKER_CLASSES_PATIENCE 500

/* --- worker.c */

struct worker_connection {
	int fd; /* -1: there is none */
	bool finishes;
	uint64_t number;             /* a later one has a higher number */
	struct st_attachment *given; /* a program was sent, and is not on its socket yet; or NULL */
	uint32_t count;              /* of the filter that it was made of, for messages */
};

struct worker_door {
	pid_t pid;
	int fd; /* -1: there is none */
	bool accepted;
	int64_t since;
};

#define WORKER_LINKS 16

struct worker {
	struct socktally *meter; /* a copy of the broker's, for loading; NULL: see why */
	int error;
	const char *why;
	bool classes;                 /* links have to be served by the broker first */
	uint32_t links[WORKER_LINKS]; /* that they serve */
	unsigned int link_count;
	struct channel_address address;
	int broker, channel, listener;
	bool broker_hangs;
	bool seccomp_said;
	struct server_budget budget;
	struct worker_connection connections[WORKER_CONNECTIONS];
	uint64_t next_number;
	struct worker_door doors[WORKER_DOORS];
};

/* In the child: serves until the broker ends, without its privileges. */
void worker_serve(struct worker *worker);
/* Says that once to the broker, which has its own list of what was said. */
void worker_say(struct worker *worker, pid_t pid, uint32_t cause, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
/* Waits for a broker that is behind, but not for long, and not again while it hangs. */
void worker_tell(struct worker *worker, const struct worker_note *note,
		 const struct sock_filter *insns);
/* Has the broker make classes for a kind of link: 0, or -errno. */
int worker_serve_classes(struct worker *worker, const struct st_socket_link *link);
/* A connection of a process of the tool. */
void worker_add(struct worker *worker, int fd);

/* --- request.c */

/* Serves the next request on a connection; false: it ends. */
bool worker_request(struct worker *worker, struct worker_connection *connection);
/* The connection has ended. */
void worker_drop_given(struct worker_connection *connection);

/* --- sockets.c */

/* Whether the socket is on the meter, or there is room for it. */
bool worker_has_room(struct worker *worker, uint64_t cookie);
void worker_forget(struct worker *worker, uint64_t cookie);

/* --- door.c */

void worker_open_door(struct worker *worker);
void worker_hear_door(struct worker *worker, struct worker_door *door);
/* Ends doors that take too long. Returns whether there are any. */
bool worker_check_doors(struct worker *worker);
/* Whether there is one that nobody has come through, or no more can be had. */
bool worker_has_door(const struct worker *worker);

#endif
