/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* The content of one report, independent of its format. */
#ifndef SOCKTALLY_TOOLS_CONTENT_CONTENT_H
#define SOCKTALLY_TOOLS_CONTENT_CONTENT_H

#include "tools/common/notes.h"

#include "tools/capture/statistics.h"

#include <socktally/socktally.h>
#include <stdbool.h>
#include <stddef.h>
#include <time.h>

/* One of several sockets whose packets are counted together. */
struct report_socket {
	int pid;
	int fd; /* its number in the process */
	const char *comm, *interface, *linktype;
	const char *filter;  /* expression; NULL: none is known */
	const char *program; /* filter_text_numbers(); NULL: it has none */
};

/* How well it is counted: for those who watch the sensor. */
struct report_health {
	size_t metered, refused; /* sockets, now */
	uint64_t gaps;           /* times that packets of a socket went uncounted */
	double gap_seconds;      /* at most */
};

/* What was metered. Strings may be NULL for "". */
struct report_source {
	const char *kind;      /* "socket" or "file" */
	const char *interface; /* "eth0", "eth0,eth1", "any"; of a file: the names in it */
	const char *linktype;  /* "eth", "eth,raw" */
	int pid;
	const char *comm;
	const char *filter;       /* expression; NULL: found from the program */
	const char *program;      /* filter_text_numbers(); NULL: of the meter's sockets */
	const char *file;         /* name of the capture file; "-": standard input */
	const char *const *files; /* of several, all their names, `file` first */
	size_t file_count;
	const struct report_note *notes; /* of this report's time, the oldest first */
	size_t note_count;
	const struct report_socket *sockets; /* where they are known one by one */
	size_t socket_count;
	const struct report_health *health;          /* NULL: not known */
	const struct capture_statistics *statistics; /* of a file; NULL: none */
	const struct report_drops *drops;            /* since the start; NULL: not known */
	const struct report_lost *lost;              /* NULL: not asked for, or not known yet */
};

/* Packets, and the bytes of them. */
struct report_amount {
	uint64_t packets, bytes;
};

/* What the tool was told when it asked its sockets for their statistics, added up. */
struct report_drops {
	uint64_t reads; /* how often it has asked */
	uint64_t packets, drops;
	uint64_t freezes;     /* times that its ring of TPACKET_V3 was full */
	struct timespec last; /* when it has asked last */
};

/* Of a path or a class, in both directions: what the filter accepted, and where it has stayed. */
struct report_lost_row {
	char *name;
	struct report_amount accepted, written, lost;
	struct report_amount after; /* accepted later than the last packet that is in the files */
	struct report_amount uncertain; /* of the lost: they may have come later, too */
};

/* What the tool's files lack of what was accepted since the meter was opened. */
struct report_lost {
	struct report_lost_row *paths, *classes; /* sorted by name */
	size_t path_count, class_count;
	struct report_lost_row totals;
	uint64_t unmatched; /* packets in files that were accepted by no socket */
	bool cut;           /* bytes are what the filter leaves of packets */
};

struct report_row {
	char *path;
	enum socktally_direction direction;
	struct socktally_counts counts;
	struct report_amount lost; /* of both directions; in the first row of the path only */
};

/* Sorted by path, then direction. The paths belong to the rows. */
struct report_rows {
	struct report_row *row;
	size_t count;
	size_t room;
};

struct report_field {
	char *name;
	char *text;
	bool is_number, is_unsigned;
	uint64_t number; /* where it is unsigned */
};

struct report_hook_row {
	char *map;
	struct report_field *fields; /* the key's, then the value's */
	size_t field_count, key_count;
	bool by_weight; /* its map's rows are sorted by a number, the largest first */
};

struct report_hook {
	struct socktally_hook info; /* its strings are malloc'ed copies */
	const char *argument;       /* of --hook, as "drop=*:arp"; NULL: none */
	struct report_hook_row *rows;
	size_t row_count;
};

struct report_hooks {
	struct report_hook *hook;
	size_t count;
};

struct report_class {
	char *name, *expression;
	struct socktally_counts counts; /* of both directions */
};

/* In the order in which they were given. */
struct report_classes {
	struct report_class *class;
	size_t count, room;
};

struct report_series;

/* Numbers as people read them. */
struct report_units {
	enum { REPORT_SI, REPORT_IEC, REPORT_EXACT } prefix; /* 1.23 MB, 1.18 MiB, 1,234,567 B */
	bool byte_rates;                                     /* bytes a second, not bits */
};

enum report_sort {
	REPORT_BY_PACKETS,
	REPORT_BY_BYTES,
	REPORT_BY_IN,
	REPORT_BY_OUT,
	REPORT_BY_ACCEPTED,
	REPORT_BY_LOST,
	REPORT_BY_NAME,
};

/* How the text report looks. */
struct report_look {
	enum report_sort sort;
	size_t rows;        /* of the tree at most: those with most; 0: all */
	unsigned int depth; /* layers that are shown; 0: all */
	struct report_units units;
	bool color;
};

/* What a row of reports of intervals has once, kept from report to report; malloc'ed texts. */
struct report_head {
	char *source, *titles;
};

/* What was counted in one interval. */
struct report_point {
	struct timespec start, end;
	double seconds;
	struct socktally_counts counts;
};

/* The intervals so far, two of which become one when they are very many. */
struct report_history {
	struct report_point *point;
	size_t count, room;
	double seconds; /* of all points */
	struct socktally_counts counts;
	struct report_note *notes; /* all so far; their texts are malloc'ed */
	size_t note_count;
};

/* The value of a field. */
struct report_value {
	char *text;
	bool is_number; /* decimal */
};

struct report_group_row {
	struct report_value *key; /* one for each field */
	enum socktally_direction direction;
	struct socktally_counts counts;
	uint64_t missing_bytes; /* of this key that may be in `other`, at most */
};

/* Counts by the values of some fields: rows, other and none add up to the report's totals. */
struct report_group {
	char *name;
	char **fields; /* "ip.dst/24" */
	size_t field_count;
	size_t most; /* rows that were asked for; 0: no number was given */
	/* those with most bytes first; of `count` rows `shown`, the others are in `other` */
	struct report_group_row *row;
	size_t count, shown, room;
	struct socktally_counts other, none; /* of both directions */
};

/* In the order in which they were given. */
struct report_groups {
	struct report_group *group;
	size_t count;
};

struct report_content {
	const struct report_source *source;
	const char *filter;  /* expression; where none is known the program, or in text words */
	const char *program; /* numbers */
	struct timespec start;
	struct timespec end;
	double seconds; /* from start to end, whatever the times of day say */
	const struct report_rows *rows;
	const struct report_hooks *hooks;
	const struct report_classes *classes;
	struct report_drops drops;      /* of the report's time */
	const struct report_lost *lost; /* where the rows are of the same time as it; else NULL */
	const struct report_groups *groups;
	const struct report_note *notes;
	size_t note_count;
	struct socktally_counts totals; /* of the rows */
	uint64_t overflow_packets;
	struct report_look look;
	const struct report_history *history; /* of a page; NULL: none */
	struct report_head *head;             /* of intervals; NULL: this report is one by itself */
	struct report_series
		*series; /* two, of paths and groups in metrics; NULL: each row has its own */
};

/* Of a path with rows of both directions, files do not tell which packets were lost: NULL then. */
const struct report_amount *report_row_lost(const struct report_rows *rows, size_t i);

#define REPORT_OVERFLOW "overflow" /* the path of packets that the full table has no row for */

void report_counts_add(struct socktally_counts *sum, const struct socktally_counts *counts);
/* What came since the last report: 0 and not 2^64 less where a counter began anew. */
uint64_t report_less(uint64_t now, uint64_t last);
void report_counts_subtract(struct socktally_counts *counts, const struct socktally_counts *last);
bool report_counts_empty(const struct socktally_counts *counts);

/* Adds a row with a copy of the path: -ENOMEM. */
int report_rows_add(struct report_rows *rows, const char *path, enum socktally_direction direction,
		    const struct socktally_counts *counts);
/* By path, then direction. */
int report_rows_compare(const void *one, const void *other);
void report_rows_sort(struct report_rows *rows);
/*
 * The differences of two sorted tables; rows without a packet are left out. The paths are not copied: they
 * belong to `now`, and only since->row is to be freed. -ENOMEM.
 */
int report_rows_since(const struct report_rows *now, const struct report_rows *last,
		      struct report_rows *since);
void report_rows_free(struct report_rows *rows);

/* What all hooks have taken together, and whether that is any. */
struct socktally_hook report_hooks_taken(const struct report_hooks *hooks);
bool report_hooks_took(const struct report_hooks *hooks);

#endif
