/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The broker: holds the privileges and the meter, and does what the shim in the tool asks for.
 *
 * It trusts nobody: a tool that reads hostile packets may be taken over. All that a request can
 * bring about is that a socket filter of our own making is put on a packet socket that came with it.
 */
#ifndef SOCKTALLY_TOOLS_BROKER_BROKER_H
#define SOCKTALLY_TOOLS_BROKER_BROKER_H

#include "proto/channel.h"
#include "tools/options/options.h"
#include "tools/common/name_list.h"
#include <poll.h>
#include <stdbool.h>
#include <sys/types.h>
#include <time.h>

/* Connections to the abstract address at a time; the oldest makes room for a new one. */
#define BROKER_CONNECTIONS 16
/* Sockets on the meter at a time. */
#define BROKER_SOCKETS 1024
/*
 * Requests that load a program: so many a second, and so many at once. More are served no faster: a tool
 * that changes its filter all the time waits, and one that was taken over can't keep a CPU busy.
 */
#define BROKER_RATE 1000
#define BROKER_BURST 10000
/* Processes that can't be asked any more, at a time (CHANNEL_SANDBOX). */
#define BROKER_SANDBOXES 16
/* Causes of which each is said once. */
#define BROKER_CAUSES 32

/* A process under a seccomp filter, and the page where it notes what it could not do. */
struct broker_sandbox {
	pid_t pid;
	int page; /* -1: none */
};

struct broker {
	const struct report_options *options;
	unsigned int keep; /* COMMAND_KEEP_*: privileges */
	int report_fd;     /* not owned */
	struct channel_address address;
	int channel; /* our end; -1 once all processes of the tool have closed theirs */
	int listener;
	int connections[BROKER_CONNECTIONS];
	unsigned int next_connection;
	struct broker_sandbox sandboxes[BROKER_SANDBOXES];
	unsigned int next_sandbox;
	int64_t spent; /* microseconds of the clock up to which BROKER_RATE is used up */
	int scratch;   /* a socket of our own, to have the kernel check filters */

	pid_t tool;
	int comm_fd; /* its file in /proc, from when privileges are dropped on; -1: none */
	char comm[32];
	bool contacted; /* some request has come */
	int finish;     /* where to reply to CHANNEL_FINISH; -1: it hasn't come */

	struct socktally *meter;
	int open_error;                         /* why there is none */
	bool attached;                          /* some socket has been metered */
	char log[512];                          /* the library's last message */
	struct name_list interfaces, linktypes; /* of sockets that are no longer metered */
	struct timespec start;
	struct report *report;
	int report_error; /* of the first report that couldn't be written; then no more are */

	uint32_t said[BROKER_CAUSES];
	unsigned int said_count;
};

/* Descriptors that a broker may need: poll() takes no more than the limit allows. */
#define BROKER_DESCRIPTORS 64
bool broker_has_descriptors(void);

/* channel and listener become the broker's. */
void broker_init(struct broker *broker, const struct report_options *options, int report_fd,
		 const struct channel_address *address, int channel, int listener);
void broker_close(struct broker *broker);

/*
 * Waits at most timeout milliseconds (-1: as long as it takes) for requests and interval reports and
 * serves them; or for `other` to be readable, and returns whether it is.
 */
bool broker_serve(struct broker *broker, int other, int timeout);

/* Takes one message from fd and does what it says. false: fd is at its end or broken. */
bool broker_request(struct broker *broker, int fd);

/*
 * Opens the meter and puts the hooks on it, if it is opened: false if one of them could not be, after
 * a message.
 */
bool broker_load_meter(struct broker *broker);
/*
 * Opens the meter if it isn't, which takes some time, and drops privileges; without it the first request does.
 */
bool broker_open_meter(struct broker *broker);
/* Whether there is a meter for the request of pid; false after a message. */
bool broker_has_meter(struct broker *broker, pid_t pid);
/* A socket is metered: from here on there is something to report. */
void broker_first_socket(struct broker *broker);
/* Whether there is room for one more socket on the meter; else false. */
bool broker_has_room(struct broker *broker, uint64_t cookie);

/* Writes the report since the last one; false after a message. */
bool broker_report(struct broker *broker, bool final);
/* Keeps the name of a socket's interface for the report, before the meter forgets it. */
void broker_retire(struct broker *broker, uint64_t cookie);

/* page becomes the broker's if it is such a page; false: it isn't. */
bool broker_keep_sandbox(struct broker *broker, pid_t pid, int page);
/* Says of which sandboxed process something is not metered. */
void broker_look_at_sandboxes(struct broker *broker);

/* The name of a process: at least "?". */
void broker_comm(const struct broker *broker, pid_t pid, char comm[32]);
/*
 * "socktally: tcpdump (pid 812): " and the text. Each cause, any number of the caller's choice, is
 * said once.
 */
void broker_say(struct broker *broker, pid_t pid, uint32_t cause, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

#endif
