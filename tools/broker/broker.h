/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The broker holds the privileges and the meter, and serves the requests of the shim in the tool.
 *
 * It trusts no request: a tool that reads hostile packets may be taken over by one. The most that a
 * request can do is to put a socket filter that we have made on a packet socket that came with it.
 */
#ifndef SOCKTALLY_TOOLS_BROKER_BROKER_H
#define SOCKTALLY_TOOLS_BROKER_BROKER_H

#include "proto/channel_address.h"
#include "tools/options/options.h"
#include "tools/common/name_list.h"
#include <poll.h>
#include <stdbool.h>
#include <sys/types.h>
#include <time.h>

/* Connections to the abstract address at a time; a new one takes the place of the oldest. */
#define BROKER_CONNECTIONS 16
/* Sockets on the meter at a time. */
#define BROKER_SOCKETS 1024
/*
 * Limit of requests that load a program: so many a second, and at most so many at once. A tool that
 * changes its filter all the time waits; one that was taken over can't keep a CPU busy.
 */
#define BROKER_RATE 1000
#define BROKER_BURST 10000
/* Different causes of messages; each is said once. */
#define BROKER_CAUSES 32

struct broker {
	const struct report_options *options;
	unsigned int keep;            /* COMMAND_KEEP_*: privileges */
	struct report_output *output; /* not owned */
	int signals; /* signalfd that ends the wait for a report's reader; -1: a time does */
	struct channel_address address;
	int channel; /* our end; -1: all processes of the tool have closed theirs */
	int listener;
	int connections[BROKER_CONNECTIONS];
	unsigned int next_connection;
	int64_t rate_used; /* CLOCK_MONOTONIC in microseconds: BROKER_RATE is used up to that time */
	int scratch;       /* a socket of our own, on which the kernel checks filters */

	pid_t tool;
	int comm_fd; /* /proc/PID/comm, opened before privileges are dropped; -1: none */
	char comm[32];
	bool contacted;   /* some request has come */
	int finish_reply; /* where to reply to CHANNEL_FINISH; -1: it has not come */

	struct socktally *meter;
	int unprepared; /* exit status: a hook or a class was refused, and the user has been told */
	int open_error; /* why there is none */
	bool attached;  /* some socket has been metered */
	char log[512];  /* the library's last message */
	struct name_list interfaces, linktypes; /* of sockets that the meter has forgotten */
	struct report *report;
	int report_error; /* of the first report that could not be written; no other is tried */

	uint32_t said[BROKER_CAUSES];
	unsigned int said_count;
};

/* Descriptors that a broker needs: poll() fails with more of them than RLIMIT_NOFILE. */
#define BROKER_DESCRIPTORS 64
bool broker_has_descriptors(void);

/* channel and listener become the broker's. */
void broker_init(struct broker *broker, const struct report_options *options,
		 struct report_output *output, const struct channel_address *address, int channel,
		 int listener);
void broker_close(struct broker *broker);

/*
 * Waits at most timeout milliseconds (-1: no limit) for requests, interval reports, or `other` to be
 * readable; serves what has come. Returns whether `other` is readable.
 */
bool broker_serve(struct broker *broker, int other, int timeout);

/* Receives one request from fd and serves it. false: fd is at its end or broken. */
bool broker_request(struct broker *broker, int fd);

/*
 * Opens the meter and adds the hooks and classes. false, after a message: one of those can't be added.
 * That the meter itself can't be opened is kept in open_error, and said when it is needed.
 */
bool broker_load_meter(struct broker *broker);
/*
 * Opens the meter unless it is open, which takes some milliseconds, and drops privileges. Else the first
 * request does both.
 */
bool broker_open_meter(struct broker *broker);
/* Whether there is a meter for the request of pid; false after a message. */
bool broker_has_meter(struct broker *broker, pid_t pid);
/* A socket is metered now: from here on there is something to report. */
void broker_first_socket(struct broker *broker);
/* Whether the socket is on the meter, or there is room for it. */
bool broker_has_room(struct broker *broker, uint64_t cookie);

/* Writes a report of the time since the last one; false after a message. */
bool broker_report(struct broker *broker, bool final);
/* Keeps the names of a socket's interface and link type for the report; then the meter may forget it. */
void broker_keep_names(struct broker *broker, uint64_t cookie);

/* The name of a process: at least "?". */
void broker_comm(const struct broker *broker, pid_t pid, char comm[32]);
/*
 * Says "socktally: tcpdump (pid 812): " and the text, on standard error. A second text with the same
 * cause, a number of the caller's choice, is not said.
 */
void broker_say(struct broker *broker, pid_t pid, uint32_t cause, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

#endif
