/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Metering sockets of processes that are running already.
 *
 * A socket is taken from its process (pidfd_getfd), looked at, and given up within microseconds,
 * again and again: a descriptor that is kept would hold the capture open after its owner has closed
 * it. What is on the socket between two looks is seen at the next one: if our program is still
 * there nothing is done; if the owner has set another filter that one is composed with ours anew.
 */
#ifndef SOCKTALLY_TOOLS_ATTACH_ATTACH_H
#define SOCKTALLY_TOOLS_ATTACH_ATTACH_H

#include "tools/options/options.h"
#include "tools/common/name_list.h"
#include "tools/attach/targets.h"

#define MILLISECOND INT64_C(1000000) /* of monotonic_now() */
#define SECOND (1000 * MILLISECOND)

/* Sockets at a time. */
#define ATTACH_SOCKETS 1024
/* Notes of one report. */
#define ATTACH_NOTES 64

struct attach_options {
	struct report_options report;
	struct target_choice choice;
	const char *interface; /* only sockets on it; NULL: all */
	bool each;             /* a meter and a report for each socket */
	bool follow;           /* sockets that the processes open later, too */
	bool family;           /* and those of processes that they start */
	unsigned int duration; /* milliseconds; 0: until the processes or we are ended */
};

/* A meter with its report. */
struct attach_meter {
	struct socktally *meter;
	struct report *report;
	struct timespec start; /* of the next report */
	/* of all sockets that were ever on it */
	struct name_list comms, interfaces, linktypes;
	pid_t pid; /* the process, if it is always the same; else 0 */
	/* of the socket that was last seen, malloc'ed */
	struct sock_filter *insns;
	size_t insn_count;
	char linktype[32];
	char *filter_name; /* found for a report in text */
	bool filter_named; /* it has been looked for */
	struct report_note *notes;
	size_t note_count;
	bool notes_full; /* that there is more is among them */
	bool used;       /* some socket has been on it */
};

/* A socket that is metered, or about to be. */
struct attached {
	struct attach_meter *meter;
	uint64_t inode, cookie;
	pid_t pid; /* a process that holds it, and */
	int fd;    /* its descriptor there */
	char comm[16];
	char interface[16];
	bool on;          /* it is on its meter */
	uint32_t program; /* id of ours on it */
	/* in the time of monotonic_now(): */
	int64_t absent;    /* when it wasn't there yet */
	int64_t seen;      /* when our program was last seen on it */
	int64_t rejecting; /* since when a filter is on it that rejects everything; 0: none is */
	int64_t next_try;  /* after it was missed or refused */
	bool refused;      /* it can't be metered any more, which is said */
};

struct attaching {
	const struct attach_options *options;
	int report_fd;
	struct targets targets;
	struct attach_meter **meters;
	size_t meter_count;
	struct attached *sockets;
	size_t socket_count, socket_room;
	uint64_t *refused; /* inodes of sockets that can't be metered: said once */
	size_t refused_count, refused_room;
	size_t given_back;
	bool unprepared;         /* a hook or a class can't be put on a meter, which is said */
	bool begun;              /* what is found from now on has come later */
	bool failed;             /* some socket could not be metered, or not given back */
	struct name_list others; /* interfaces of sockets that are not asked for */
	int64_t busy_until;      /* until then it is looked more often */
	int64_t walked;          /* when processes were last looked for */
	int64_t next_look, next_scan, next_walk, next_report;
	int status; /* of the reports */
};

/* Opens the first meter, so that attaching takes no time. 0, or an exit status after a message. */
int attaching_open(struct attaching *attaching, const struct attach_options *options,
		   int report_fd);
/* Attaches to what the targets have now. */
void attaching_begin(struct attaching *attaching);
/* How long nothing is to be done, in milliseconds. */
int attaching_patience(const struct attaching *attaching);
/* Does what is due: looks at sockets, follows processes, writes reports. */
void attaching_step(struct attaching *attaching);
/* Whether there is nothing to wait for any more. */
bool attaching_over(const struct attaching *attaching);
/* Whether some socket has ever been metered. */
bool attaching_used(const struct attaching *attaching);
/* Gives all sockets back and writes the last report. Returns an exit status. */
int attaching_close(struct attaching *attaching);
void attaching_free(struct attaching *attaching);

/* --- within: attach_take.c */

/*
 * A descriptor of the socket itself, whatever has its number in the process by now; notes where it
 * was found. -EBADF, -ESRCH: it isn't there.
 */
int attach_take_from(struct attached *socket, pid_t pid, int number);
/* From any process that has it: its owner may have handed it on, or have another number for it. */
int attach_take_anywhere(struct attached *socket);
/* "tcpdump (pid 812): ..." fd: what the library was given. */
void attach_say_refused(const struct attached *socket, int fd, int error);
void attach_give_back(struct attaching *attaching);

/* --- attach_sockets.c */

/* Attaches to the packet sockets of a process that aren't known yet. -errno */
int attach_sockets(struct attaching *attaching, struct target *target);
/* Sees to it that our program is on the sockets. */
void attach_look(struct attaching *attaching);

/* --- attach_report.c */

/* The meter for one more socket, or NULL after a message. */
struct attach_meter *attach_meter_of(struct attaching *attaching);
void attach_meter_free(struct attach_meter *meter);
/* A socket is on the meter now. */
void attach_meter_use(struct attach_meter *meter, const struct attached *socket);
/* What the meter knows of a socket now: its interface, its filter. Returns its program, or 0. */
uint32_t attach_meter_see(struct attached *socket);
void attach_note(struct attach_meter *meter, const char *event, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Writes the reports of all meters. */
void attach_report(struct attaching *attaching);

/* --- leftover.c */

/*
 * Puts the filter back that a socket had before a meter that was killed. -EACCES: what is on it is
 * not that meter's program; -EPERM: it is locked.
 */
struct st_saved_filter;
int leftover_restore(int fd, const struct st_saved_filter *record);

#endif
