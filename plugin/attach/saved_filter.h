/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * A socket's own filter, remembered by the kernel for as long as our program is on the socket.
 *
 * A meter that is killed can't give its sockets back. They go on with the attached program, which
 * is a complete filter, but whoever wants to put the tool's own one back must know what it was. So
 * a meter opened with SOCKTALLY_OPEN_RECORDS binds a small map to each attached program. Nothing
 * else refers to it: it goes when the program goes, and that goes when the socket is closed or gets
 * another filter. Nothing is on disk or in a BPF file system.
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
 * All records of the system: *records is malloc'ed, one a socket; st_saved_filters_free() takes it, NULL
 * too. -EPERM without CAP_SYS_ADMIN.
 */
int st_saved_filters_read(struct st_saved_filter **records, size_t *count);
void st_saved_filters_free(struct st_saved_filter *records, size_t count);

/*
 * Whether the program is still there: one that was attached to a socket and has no other reference
 * is gone about a hundredth of a second after the socket got another filter. -EPERM as above.
 */
int st_program_exists(uint32_t program);

#endif
