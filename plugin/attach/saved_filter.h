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

/* One attached program. insns is malloc'ed. */
struct st_saved_filter {
	uint64_t cookie;  /* SO_COOKIE of the socket */
	uint32_t program; /* its id */
	uint64_t loaded;  /* nanoseconds since the system's start */
	uint32_t pid;     /* of the process that metered, as it sees itself */
	bool counting;    /* the meter is still there */
	struct sock_filter *insns;
	size_t count; /* 0: the socket had no filter */
};

/* -errno; -EINVAL before Linux 5.10. */
int st_saved_filter_leave(int prog, uint64_t cookie, const struct sock_filter *insns, size_t count);

/*
 * All saved filters of the system. *list is malloc'ed and has one for each socket;
 * st_saved_filters_free() frees it, NULL as well. -EPERM without CAP_SYS_ADMIN.
 */
int st_saved_filters_read(struct st_saved_filter **list, size_t *count);
void st_saved_filters_free(struct st_saved_filter *list, size_t count);

/*
 * Whether the program is still there: one that was attached to a socket and has no other reference
 * is gone about a hundredth of a second after the socket got another filter. -EPERM as above.
 */
int st_program_exists(uint32_t program);

#endif
