/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* The processes that `socktally attach` and `detach` are told to look at. */
#ifndef SOCKTALLY_TOOLS_ATTACH_TARGETS_H
#define SOCKTALLY_TOOLS_ATTACH_TARGETS_H

#include "tools/proc/processes.h"

struct target {
	pid_t pid;
	int pidfd; /* so that another process with its number is never taken for it */
	char comm[16];
	int64_t looked_at; /* when its descriptors were last read: monotonic_now() */
};

struct targets {
	struct target *target;
	size_t count, room;
	pid_t *known; /* all processes when children were last looked for, sorted */
	size_t known_count;
};

/* What the command line says. */
struct target_choice {
	char **names; /* numbers of processes or names of commands */
	size_t name_count;
	const char *interface; /* only sockets on it, and so decides between processes; NULL: all */
	bool all;  /* all processes of a name; without names, all that have a packet socket */
	bool wait; /* also for processes that start later, and for sockets that they open later */
};

/*
 * Finds the processes. Where one has no packet socket, those that it has started are looked at
 * instead, as a capture program may leave the capture to another one. 0, or an exit status after a
 * message.
 */
int targets_choose(struct targets *targets, const struct target_choice *choice);

/* Adds the process, if it isn't there already. -errno: -ESRCH, it has ended. */
int targets_add(struct targets *targets, pid_t pid);
/* Adds the descendants of the processes; since: when the new ones were not there yet. */
void targets_add_children(struct targets *targets, int64_t since);
/* Adds processes with one of the names, which were not there at `since`. */
void targets_add_named(struct targets *targets, const struct target_choice *choice, int64_t since);
/* Whether there may be more of these processes later: some are named, or all are asked for. */
bool targets_may_come(const struct target_choice *choice);
/* The number-th one; the last one takes its place. */
void targets_remove(struct targets *targets, size_t number);
/* Notes that those from number `first` on did not exist at `since`. */
void targets_set_looked(struct targets *targets, size_t first, int64_t since);
/* Reads the name again: it changes when the process executes another program. */
void target_read_name(struct target *target);
/* Removes the processes that have ended. */
void targets_forget_ended(struct targets *targets);
void targets_free(struct targets *targets);

/*
 * Calls fn for each packet socket of the process until it returns non-zero; once for a socket that
 * has several descriptors. -errno.
 */
typedef int (*target_socket_fn)(void *ctx, struct target *target, const struct holder *holder);
int target_sockets(struct target *target, target_socket_fn fn, void *ctx);

/* CLOCK_MONOTONIC in nanoseconds. */
int64_t monotonic_now(void);

#endif
