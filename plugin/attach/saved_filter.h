/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The saved filter: a copy of a socket's own filter in the kernel, next to our program.
 *
 * A meter that is killed can't give its sockets back. They go on with the attached program, which is a
 * complete filter, but the kernel does not show what the tool's own filter was. So a meter opened with
 * SOCKTALLY_OPEN_RECORDS binds a small map with that filter to each attached program. The program holds
 * the only reference to the map: both go when the socket is closed or gets another filter. Nothing is
 * on disk or in a BPF file system.
 */
#ifndef SOCKTALLY_PLUGIN_ATTACH_SAVED_FILTER_H
#define SOCKTALLY_PLUGIN_ATTACH_SAVED_FILTER_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* One program of ours. insns is malloc'ed. */
struct st_saved_filter {
	uint64_t cookie;  /* SO_COOKIE of the socket */
	uint32_t program; /* its id */
	uint64_t loaded;  /* nanoseconds since the system's start */
	uint32_t pid;     /* of the process that metered, as it sees itself */
	uint32_t user;    /* who answers for it, see st_saved_filter_find() */
	bool counting;    /* the meter is still there */
	struct sock_filter *insns;
	size_t count; /* 0: the socket had no filter */
};

/* user: for whom the program is; pid: the process that meters. -errno; -EINVAL before Linux 5.10. */
int st_saved_filter_leave(int prog, uint64_t cookie, uint32_t user, pid_t pid,
			  const struct sock_filter *insns, size_t count);

/*
 * All saved filters of the system. *list is malloc'ed; st_saved_filters_free() frees it, NULL as well.
 * -EPERM without CAP_SYS_ADMIN.
 */
int st_saved_filters_read(struct st_saved_filter **list, size_t *count);
void st_saved_filters_free(struct st_saved_filter *list, size_t count);

enum st_saved_state {
	ST_SAVED_NONE,
	ST_SAVED_FOUND,
	ST_SAVED_UNTRUSTED,     /* from a user who has no say about the socket */
	ST_SAVED_CONTRADICTORY, /* several, and which one is right can't be told */
};

/*
 * The saved filter of a socket. Anybody who may load programs can leave one for any socket, and so can
 * a client of a broker. So only those are believed that root has left, or the user who asks, or the
 * socket's owner (the user of its inode). A program that was not loaded by root or a broker speaks for
 * its loader only. except: the id of a program to pass over. UNTRUSTED, CONTRADICTORY: *found is one of them.
 */
enum st_saved_state st_saved_filter_find(const struct st_saved_filter *list, size_t count,
					 uint64_t cookie, uint32_t owner, uint32_t except,
					 const struct st_saved_filter **found);

/*
 * Whether the saved filter's program may be the one on the socket: its size is what the kernel charges
 * the socket for. The kernel tells no more.
 */
bool st_saved_filter_fits(const struct st_saved_filter *saved, int fd);

/*
 * Whether the program is still there: one that was attached to a socket and has no other reference
 * is gone about a hundredth of a second after the socket got another filter. -EPERM as above.
 */
int st_program_exists(uint32_t program);

#endif
