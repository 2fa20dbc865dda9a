/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Metering sockets of processes that are running already.
 *
 * Each socket is polled: taken from its process (pidfd_getfd), checked, and closed again within
 * microseconds. A descriptor that was kept would keep the capture alive after its owner has closed
 * it. If our program is still on the socket, nothing is done. If the owner has set another filter,
 * the socket is attached again with that filter.
 */
#ifndef SOCKTALLY_TOOLS_ATTACH_ATTACH_H
#define SOCKTALLY_TOOLS_ATTACH_ATTACH_H

#include "tools/options/options.h"
#include "tools/common/name_list.h"
#include "tools/attach/rows.h"
#include "tools/attach/targets.h"
#include "tools/proc/saved_filters.h"

#define MILLISECOND INT64_C(1000000) /* of monotonic_now() */
#define SECOND (1000 * MILLISECOND)

/* Sockets at a time. */
#define ATTACH_SOCKETS 1024
/* Lines about sockets on stderr: a process that opens one after the other can't fill a log. */
#define ATTACH_LINES 64

struct attach_options {
	struct report_options report;
	struct target_choice choice;
	bool each;             /* a meter and a report for each socket */
	bool follow;           /* sockets that the processes open later, too */
	bool family;           /* and those of processes that they start */
	unsigned int duration; /* milliseconds; 0: until the processes or we are ended */
};

/* A meter with its report. */
struct attach_meter {
	struct socktally *meter;
	struct report *report;
	/* of all sockets that were ever on it */
	struct name_list comms, interfaces, linktypes;
	pid_t pid;               /* the process, if it is always the same; else 0 */
	struct attach_rows rows; /* the sockets, each with its filter */
	struct notes notes;
	uint64_t gaps; /* since the beginning, and how long they were at most */
	double gap_seconds;
	bool used; /* some socket has been attached to it */
};

/* A socket that is metered, or soon will be. */
struct attach_socket {
	struct attach_meter *meter;
	uint64_t inode, cookie;
	pid_t pid; /* a process that holds it, and */
	int fd;    /* its descriptor there */
	char comm[16];
	char interface[16];
	char linktype[32];
	struct socket_reach reach;
	bool attached;    /* to its meter */
	uint32_t program; /* id of our program on it */
	/* times of monotonic_now(): */
	int64_t absent_at;       /* when the process did not have it yet */
	int64_t seen_at;         /* when our program was last seen on it */
	int64_t rejecting_since; /* its filter rejects everything since then; 0: it does not */
	int64_t retry_at;        /* after it was not found or was refused */
	bool refused;            /* it can no longer be metered, and the user has been told */
};

struct refused_socket {
	uint64_t inode;
	uint64_t scan; /* the last scan that found it */
};

struct attach_session {
	struct attach_options *options;
	struct report_output *output;
	struct listener *listener; /* NULL: none */
	struct targets targets;
	struct attach_meter **meters;
	size_t meter_count;
	struct attach_socket *sockets;
	size_t socket_count, socket_room;
	struct refused_socket *refused; /* can't be metered: the user is told once */
	size_t refused_count, refused_room;
	uint64_t scan;      /* number of the scan for sockets */
	unsigned int lines; /* about sockets, on stderr */
	size_t given_back;
	int unprepared; /* exit status: a hook or a class was refused, and the user has been told */
	bool started;   /* a socket that is found from now on was opened later */
	bool full;      /* some socket had no room, and the user has been told */
	bool failed;    /* some socket could not be metered, or not given back */
	struct name_list other_interfaces; /* of sockets that -i leaves out */
	/* times of monotonic_now(): */
	int64_t busy_until;        /* until then sockets are checked more often */
	int64_t processes_read_at; /* when new processes were last looked for */
	int64_t next_look, next_socket_scan, next_process_scan, next_report;
	int status; /* exit status of the reports */
};

/* Opens the first meter, so that session takes no time. 0, or an exit status after a message. */
int attach_session_open(struct attach_session *session, struct attach_options *options,
			struct report_output *output);
/* Attaches to the sockets that the targets have now. */
void attach_session_begin(struct attach_session *session);
/* Milliseconds until attach_session_step() has something to do. */
int attach_session_wait_ms(const struct attach_session *session);
/* Does what is due: checks the sockets, looks for new ones, writes reports. */
void attach_session_step(struct attach_session *session);
/* Whether the session is over: no socket, no process, or a report that could not be written. */
bool attach_session_ended(const struct attach_session *session);
/* Whether some socket has ever been metered. */
bool attach_session_metered(const struct attach_session *session);
/* Gives all sockets back and writes the last report. Returns an exit status. */
int attach_session_close(struct attach_session *session);
void attach_session_free(struct attach_session *session);

/* --- take.c: within this folder, as all that follows */

/*
 * A descriptor of the socket, if it is still number `number` of the process; notes both in *socket.
 * -EBADF, -ESRCH: it isn't there.
 */
int attach_take_from(struct attach_socket *socket, pid_t pid, int number);
/* The same, looked for in all processes: the socket may have been passed on, or have a new number. */
int attach_take_anywhere(struct attach_socket *socket);
/* command_fail() about a socket, for the first ATTACH_LINES of the session. */
void attach_say(struct attach_session *session, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Prints the library's error for this socket. fd: the descriptor that the library was given. */
void attach_say_refused(struct attach_session *session, const struct attach_socket *socket, int fd,
			int error);
void attach_give_back(struct attach_session *session);

/* --- sockets.c */

/* Attaches to the packet sockets of a process that aren't known yet. -errno */
int attach_sockets(struct attach_session *session, struct target *target);
/* Forgets the refused sockets that the last scan has not found any more. */
void attach_forget_refused(struct attach_session *session);
/* Checks every socket, and attaches anew where its owner has set another filter. */
void attach_look(struct attach_session *session);

/* --- report.c */

/* The meter for one more socket, or NULL after a message. */
struct attach_meter *attach_meter_of(struct attach_session *session);
void attach_meter_free(struct attach_meter *meter);
/* Copies the socket's place and reach to the report. */
void attach_meter_reach(struct attach_socket *socket);
/* Notes that the socket is on the meter now. */
void attach_meter_use(struct attach_meter *meter, const struct attach_socket *socket);
/*
 * Copies the socket's interface, link type and filter from the meter. Returns its program's id, or 0.
 * *moved: interface or link type have changed.
 */
uint32_t attach_meter_see(struct attach_socket *socket, bool *moved);
/* Somebody wants metrics. */
void attach_answer(struct attach_session *session);
/* Writes the reports of all meters. */
enum attach_occasion { ATTACH_INTERVAL, ATTACH_SO_FAR, ATTACH_LAST };
void attach_report(struct attach_session *session, enum attach_occasion occasion);

#endif
