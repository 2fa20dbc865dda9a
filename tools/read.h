/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* What the parts of `socktally read` share. */
#ifndef SOCKTALLY_TOOLS_READ_H
#define SOCKTALLY_TOOLS_READ_H

#include "plugin/count_packets.h"
#include "tools/capture/file.h"
#include "tools/options/options.h"

struct read_options {
	struct report_options report;
	bool packets, flows;
	const char *path;
};

struct read_session {
	const struct read_options *options;
	struct capture_file *file;
	struct socktally *meter;
	struct report *report;
	struct report_output output;
	struct timespec start;        /* of the first packet since the last report */
	struct timespec end;          /* and of the last one */
	bool timed;                   /* both are set */
	struct capture_second second; /* of the last packet */
};

/* A meter for the file's packets, of which the session is the owner; 0 or -errno. */
int read_open_meter(struct read_session *session, uint32_t paths);

/* The packets as the classifier takes them, in the order of the file. */
void read_batch(struct read_session *session, const struct capture_packet *packets, size_t count,
		struct st_batch_packet *batch);

/* --packets and --flows: an exit status, after a message if it is not 0. */
int read_list_packets(struct read_session *session);
int read_list_flows(struct read_session *session);

#endif
