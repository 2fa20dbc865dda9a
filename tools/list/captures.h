/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* All packet sockets of the host, with what can be known of each. */
#ifndef SOCKTALLY_TOOLS_LIST_CAPTURES_H
#define SOCKTALLY_TOOLS_LIST_CAPTURES_H

#include "tools/proc/packet_diag.h"
#include "plugin/attach/saved_filter.h"
#include "tools/proc/processes.h"
#include <net/if.h>

enum capture_filter {
	CAPTURE_FILTER_UNKNOWN, /* not without more privileges */
	CAPTURE_FILTER_NONE,
	CAPTURE_FILTER_CLASSIC, /* also one that a meter's program does the work of */
	CAPTURE_FILTER_EBPF,
};

enum capture_meter {
	CAPTURE_UNMETERED,
	CAPTURE_METERED,
	CAPTURE_LEFT, /* the meter was killed: its program goes on with the filter alone */
};

struct capture {
	struct packet_diag_socket diag;
	size_t namespace;            /* in namespaces below */
	char interface[IF_NAMESIZE]; /* "any"; "?" if it is gone */
	const char *linktype;        /* "eth", "raw", "sll"; "" for what else there is */
	const struct holder *holders;
	size_t holder_count;
	enum capture_filter filter; /* the tool's own */
	const struct sock_filter *insns;
	size_t insn_count;
	enum capture_meter meter;
	pid_t meter_pid;
	bool locked;
	bool attachable;
	char why[192]; /* not; or what is to be known of it */
};

struct captures {
	struct capture *capture;
	size_t count;
	/* what the fields above point into */
	struct holders holders;
	struct namespaces namespaces;
	struct st_saved_filter *records;
	size_t record_count;
	bool records_hidden, namespaces_hidden; /* for want of privileges */
	uint64_t own_namespace;
};

/* -errno after a message. What isn't permitted is left out or said in `why`. */
int captures_read(struct captures *captures);
void captures_free(struct captures *captures);

/*
 * What a descriptor of the socket tells: its own filter, whether that may be exchanged, who meters
 * it. Fills in filter (copied to *insns, malloc'ed), meter, locked, attachable and why.
 */
void capture_probe(struct capture *capture, int fd, const struct st_saved_filter *record,
		   struct sock_filter **insns);

#endif
