/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* socktally read: from capture files to a report. */
#ifndef SOCKTALLY_TOOLS_READ_READ_H
#define SOCKTALLY_TOOLS_READ_READ_H

#include "plugin/count_packets.h"
#include "tools/capture/file.h"
#include "tools/capture/statistics.h"
#include "tools/options/options.h"

struct read_options {
	struct report_options report;
	bool packets, flows; /* a line for each */
	bool each;           /* a report, or such a list, for each file */
	const char *filter;  /* pcap-filter(7); NULL: none */
	const char *const *paths;
	size_t path_count;
};

/* The packets' own times. */
struct read_span {
	struct timespec start, end;
	bool timed; /* both are set */
};

#define READ_NAMES_MAX 256

/* What the packets of a report are from. */
struct read_source {
	struct capture_statistics
		statistics; /* what the files say that have been read to their end */
	const char **files; /* names, room for all of the options' */
	size_t file_count;
	char interfaces[READ_NAMES_MAX], linktypes[READ_NAMES_MAX]; /* "eth,raw" */
};

struct read_filter;
struct read_progress;

struct read_session {
	const struct read_options *options;
	size_t next; /* the next of the options' paths */
	struct capture_file *file;
	const char *path; /* of the file */
	bool failed;      /* a file could not be read, or not to its end */
	int stop;         /* a descriptor that is readable when the user wants the end; -1: none */
	char fault
		[CAPTURE_MESSAGE_MAX]; /* why the file before was not read to its end; "": it was */
	bool stopped;                  /* the user wants the end */
	struct socktally *meter;
	struct read_filter *filter;
	struct read_progress *progress;
	struct report *report;
	struct report_output output;
	struct read_source source;
	struct capture_second second; /* of the last packet */
	struct read_span before;      /* of the report's files before this one */
	struct read_span span;        /* of this one */
};

/* Opens the next file that can be read, after a message for each that can't. false: there is none. */
bool read_next_file(struct read_session *session);
/* After its last packet; result: what capture_file_batch() returned. */
void read_end_file(struct read_session *session, int result);
void read_close_file(struct read_session *session);
/* Whether another file belongs to the same report. */
bool read_goes_on(const struct read_session *session);
/*
 * Says why the last file was not read to its end: after the report, where that follows at once, so that it
 * does not scroll away.
 */
void read_say_fault(struct read_session *session);

/* Adds the file, as far as it has been read, to the source. */
void read_source_add(struct read_session *session);
/* The source of a report, until the session's changes. last: with what the files say about themselves. */
struct report_source read_source_of(const struct read_session *session, bool last);

/* The file that is open and, without --each, all after it: an exit status, after a message. */
int read_count(struct read_session *session);

/* --packets and --flows: the same files. */
int read_list_packets(struct read_session *session);
int read_list_flows(struct read_session *session);

/* A meter for files' packets, of which the session is the owner; 0 or -errno. */
int read_open_meter(struct read_session *session, uint32_t paths);

/* The packets as the classifier takes them, in the order of the file. false: after a message. */
bool read_batch(struct read_session *session, const struct capture_packet *packets, size_t count,
		struct st_batch_packet *batch);

/* NULL: out of memory. The expression is compiled for the link types that come. */
struct read_filter *read_filter_open(const char *expression);
void read_filter_free(struct read_filter *filter);
/* 1: the packet is accepted, 0: it is not, -1: after a message, the filter is none for such packets. */
int read_filter_accepts(struct read_filter *filter, const struct capture_packet *packet);

/*
 * A line on stderr for what takes longer than two seconds, if that is a terminal. NULL: none. Its functions
 * take NULL.
 */
struct read_progress *read_progress_open(const struct read_session *session);
void read_progress_free(struct read_progress *progress);
/* To be called often: so many bytes of the file have been read; packets: since the last call. */
void read_progress_update(struct read_progress *progress, uint64_t position, unsigned int packets);
/* The next file begins. */
void read_progress_next(struct read_progress *progress);
/* Takes the line away, so that something else can be written. */
void read_progress_clear(struct read_progress *progress);

#endif
