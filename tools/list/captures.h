/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* All packet sockets of the host, and what can be found out about each. */
#ifndef SOCKTALLY_TOOLS_LIST_CAPTURES_H
#define SOCKTALLY_TOOLS_LIST_CAPTURES_H

#include "tools/proc/packet_diag.h"
#include "tools/proc/processes.h"
#include "tools/proc/saved_filters.h"
#include <net/if.h>

enum capture_filter {
	CAPTURE_FILTER_UNKNOWN, /* for want of privileges */
	CAPTURE_FILTER_NONE,
	CAPTURE_FILTER_CLASSIC, /* also if a meter's program has taken its place */
	CAPTURE_FILTER_EBPF,
};

enum capture_meter {
	CAPTURE_UNMETERED,
	CAPTURE_METERED,
	CAPTURE_LEFT, /* the meter was killed: its program remains and only filters */
};

struct capture {
	struct packet_diag_socket diag;
	size_t namespace;            /* in namespaces below */
	char interface[IF_NAMESIZE]; /* "any"; "?" if it is gone */
	char linktype[32];           /* "eth", "raw", "sll", or another name */
	const struct holder *holders;
	size_t holder_count;
	enum capture_filter filter; /* the tool's own */
	const struct sock_filter *insns;
	size_t insn_count;
	enum capture_meter meter;
	pid_t meter_pid;
	bool locked;
	bool attachable;
	char why[192]; /* why it is not attachable, or another remark */
};

struct captures {
	struct capture *capture;
	size_t count;
	/* what the fields above point into */
	struct holders holders;
	struct namespaces namespaces;
	struct saved_filters saved;
	bool saved_hidden, namespaces_hidden; /* for want of privileges */
	bool namespaces_slow;                 /* a process made opening one wait */
	uint64_t own_namespace;
};

/* -errno after a message. What the user may not see is left out, or `why` tells. */
int captures_read(struct captures *captures);
void captures_free(struct captures *captures);

/*
 * Fills in, from a descriptor of the socket: filter (*insns is malloc'ed), meter, locked, attachable
 * and why.
 */
void capture_probe(const struct captures *captures, struct capture *capture, int fd,
		   struct sock_filter **insns);

#endif
