/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* The sockets of a meter's report, each with its own filter. */
#ifndef SOCKTALLY_TOOLS_ATTACH_ROWS_H
#define SOCKTALLY_TOOLS_ATTACH_ROWS_H

#include "tools/report/report.h"

#include <linux/filter.h>
#include <sys/types.h>

/* What decides whether two sockets get the same packets. 0: not known. */
struct socket_reach {
	uint64_t namespace; /* inode */
	uint32_t fanout;    /* group, see PACKET_FANOUT; 0: none */
	uint16_t protocol;  /* in network byte order; 0: none */
};

struct attach_row {
	uint64_t cookie;
	pid_t pid;
	int fd; /* number in the process */
	char comm[16], interface[16], linktype[32];
	struct socket_reach reach;
	struct sock_filter *insns;
	size_t insn_count;
	char *filter; /* its expression, when a report has asked for it */
	bool filter_named;
	int64_t attached_at; /* monotonic_now() */
	int64_t closed_at;   /* last seen then; 0: open. The next report is its last */
};

struct attach_rows {
	struct attach_row *row;
	size_t count, room;
};

/* The row of the socket, which is made if there is none: NULL without memory. */
struct attach_row *attach_row_of(struct attach_rows *rows, uint64_t cookie);
/* Its filter is now this one, which is copied. */
void attach_row_filter(struct attach_row *row, const struct sock_filter *insns, size_t count);
void attach_row_close(struct attach_rows *rows, uint64_t cookie, int64_t seen_at);
/* Removes the sockets that are closed, or all. */
void attach_rows_prune(struct attach_rows *rows, bool all);

/* Reads from a descriptor of the socket what it can get. */
void socket_reach_read(struct socket_reach *reach, int fd);
/* Whether two of the sockets could get the same packet at some time: *interface is where. */
bool attach_rows_overlap(const struct attach_rows *rows, const char **interface);

/*
 * The rows as a report has them, malloc'ed, with their filters' texts; NULL without memory or rows.
 * *filters, *programs: of all of them, with "; " between, malloc'ed.
 */
struct report_socket *attach_rows_report(struct attach_rows *rows, enum report_format format,
					 char **filters, char **programs);
void attach_rows_report_free(struct report_socket *sockets, size_t count);

#endif
