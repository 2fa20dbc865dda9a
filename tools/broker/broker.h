/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The broker has the meter of a tool with the shim in it, and its reports. A child, the worker, serves the
 * shim; another one, the watcher, looks for sockets that went past it.
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
	unsigned int ping;  /* of the worker, which may be behind: for its answer to this one */
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
	/* questions to the worker whether it has told all, and its answers */
	unsigned int pings, answered;
};

struct broker {
	const struct report_options *options;
	struct report_output *output; /* not owned */
	unsigned int keep;            /* COMMAND_KEEP_*: privileges */
	int signals; /* signalfd that ends the wait for a report's reader; -1: a time does */
	struct channel_address address;
	int channel; /* our end; -1: all processes of the tool have closed theirs */
	int client;  /* the tool's end, which the worker has not; -1: we haven't either */
	int listener;
	int worker; /* to the worker; -1: there is none (any more) */
	pid_t worker_pid;

	pid_t tool; /* the process that was started */
	pid_t pid;  /* which has opened the first socket, and its name: of the report */
	char comm[32];
	int comm_fd; /* /proc/PID/comm of the tool, opened before privileges are dropped; -1: none */
	bool finishing; /* the tool exits, and waits for the report */
	bool contacted; /* some request has come */
	bool attached;  /* some socket has been metered */

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

/*
 * Opens the meter and adds the hooks and classes. false, after a message: one of those can't be added.
 * That the meter itself can't be opened is kept in open_error, and said when it is needed.
 */
bool broker_load_meter(struct broker *broker);
/* Starts the worker, which serves from now on; to be called before privileges are dropped. */
void broker_start_worker(struct broker *broker);
/* Drops privileges; broker->tool is known by now. */
void broker_begin(struct broker *broker);
/* Asks the worker for a sign of life. */
void broker_ping_worker(struct broker *broker);
/* Says that the report is written, or that another process of the tool goes on. */
void broker_let_finish(struct broker *broker);
/* A socket of that process is metered now: from here on there is something to report. */
void broker_first_socket(struct broker *broker, pid_t pid);
/* Writes a report of the time since the last one; false after a message. */
bool broker_report(struct broker *broker, bool final);
/* Keeps the names of a socket's interface and link type for the report; then the meter may forget it. */
void broker_keep_names(struct broker *broker, uint64_t cookie);

/* --- notes.c */

/* What the worker says. */
void broker_hear_worker(struct broker *broker);

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
