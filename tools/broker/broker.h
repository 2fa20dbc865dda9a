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
#include "tools/broker/watcher.h"
#include "tools/common/name_list.h"
#include <net/if.h>
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

/* Sockets of the tool that are not metered and are told of one by one. */
#define BROKER_MISSED 16
/* Sockets of which the shim has spoken: why one of them is not metered has been said. */
#define BROKER_ASKED 64
/* broker_say()'s causes of this kind; others are errno values. */
#define BROKER_CAUSE_MISSED 0x10000u

struct broker_missed {
	uint64_t cookie;
	enum watch_kind kind;
	pid_t pid;
	int fd;
	char comm[16], interface[IF_NAMESIZE];
	int64_t since, until; /* CLOCK_MONOTONIC in milliseconds */
	struct timespec time;
	bool certain, said; /* two looks have found it; the library in the tool has told the user */
	char text[256];
};

struct broker_watch {
	int fd; /* to the watcher; -1: there is none */
	pid_t pid;
	bool waiting; /* for an answer */
	int period;
	/* CLOCK_MONOTONIC in milliseconds: */
	int64_t next, asked_at, looked;
	struct broker_missed missed[BROKER_MISSED];
	unsigned int missed_count;
	uint64_t asked[BROKER_ASKED];
	unsigned int next_asked;
};

struct broker {
	const struct report_options *options;
	struct report_output *output; /* not owned */
	unsigned int keep;            /* COMMAND_KEEP_*: privileges */
	int signals; /* signalfd that ends the wait for a report's reader; -1: a time does */
	struct channel_address address;
	int channel; /* our end; -1: all processes of the tool have closed theirs */
	int listener;
	int connections[BROKER_CONNECTIONS];
	unsigned int next_connection;
	int scratch;       /* a socket of our own, on which the kernel checks filters */
	int64_t rate_used; /* CLOCK_MONOTONIC in microseconds: BROKER_RATE is used up to that time */
	uint64_t given_back; /* cookie of a socket whose filter the kernel is to judge; 0: none */

	pid_t tool; /* the process that was started */
	pid_t pid;  /* which has opened the first socket, and its name: of the report */
	char comm[32];
	int comm_fd; /* /proc/PID/comm of the tool, opened before privileges are dropped; -1: none */
	int finish_reply;  /* where to reply to CHANNEL_FINISH; -1: it has not come */
	bool contacted;    /* some request has come */
	bool seccomp_said; /* a process that sets a seccomp filter has been told to say so */
	bool attached;     /* some socket has been metered */

	int unprepared; /* exit status: a hook or a class was refused, and the user has been told */
	struct socktally *meter;
	struct report *report;
	int open_error;   /* why there is no meter */
	int report_error; /* of the first report that could not be written; no other is tried */
	char log[512];    /* the library's last message */
	struct name_list interfaces, linktypes; /* of sockets that the meter has forgotten */

	struct broker_watch watch;

	struct report_drops drops; /* what the tool has been told */

	/* of the last report: see run --lost */
	const struct report_lost *lost;
	const struct report_note *lost_notes;
	size_t lost_note_count;

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
/* A socket of that process is metered now: from here on there is something to report. */
void broker_first_socket(struct broker *broker, pid_t pid);
/* Whether the socket is on the meter, or there is room for it. */
bool broker_has_room(struct broker *broker, uint64_t cookie);

/* Writes a report of the time since the last one; false after a message. */
bool broker_report(struct broker *broker, bool final);
/* Keeps the names of a socket's interface and link type for the report; then the meter may forget it. */
void broker_keep_names(struct broker *broker, uint64_t cookie);

/* --- missed.c: sockets of the tool that are not metered, or no longer */

/* CLOCK_MONOTONIC in milliseconds. */
int64_t broker_milliseconds(void);
/* To be called before privileges are dropped. */
void broker_watch_start(struct broker *broker);
void broker_watch_end(struct broker *broker);
/* The shim has asked for something with this socket. */
void broker_watch_asked(struct broker *broker, uint64_t cookie);
/* The timeout, or less: until something is to be done. */
int broker_watch_timeout(const struct broker *broker, int timeout);
/* Takes an answer and asks again when it is time. Does not wait. */
void broker_watch_step(struct broker *broker);
/* One more look, while the tool may still have its sockets. Waits half a second at most. */
void broker_watch_now(struct broker *broker);
/* At most BROKER_MISSED notes for the report; their texts are the broker's. Returns how many. */
size_t broker_watch_notes(struct broker *broker, struct report_note *notes);

/* The name of a process: at least "?". */
void broker_comm(const struct broker *broker, pid_t pid, char comm[32]);
/*
 * Says "socktally: tcpdump (pid 812): " and the text, on standard error. A second text with the same
 * cause, a number of the caller's choice, is not said.
 */
void broker_say(struct broker *broker, pid_t pid, uint32_t cause, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
/* The same of a process whose name is known. */
void broker_say_of(struct broker *broker, const char *comm, pid_t pid, uint32_t cause,
		   const char *format, ...) __attribute__((format(printf, 5, 6)));

#endif
