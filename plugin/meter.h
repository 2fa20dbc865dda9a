/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* The inside of a meter. */
#ifndef SOCKTALLY_PLUGIN_METER_H
#define SOCKTALLY_PLUGIN_METER_H

#include "bpf/tally.h"
#include "plugin/bpf/header_buffer.h"
#include "plugin/hooks/hook.h"
#include "plugin/attach/linktype.h"
#include <linux/filter.h>
#include <socktally/socktally.h>
#include <stdbool.h>
#include <stddef.h>

struct st_classes; /* class.h */
struct st_pcap;
struct st_name;

/* A socket with our program on it, known by its cookie: no descriptor of it is kept. */
struct st_attachment {
	uint64_t cookie;
	uint32_t program;       /* id of the attached program */
	uint32_t option_memory; /* that the socket took when it had been attached */
	struct st_tap tap;
	struct sock_filter *insns; /* the tool's own filter */
	size_t count;              /* 0: none */
	int fd;        /* its number when it was last given to us, which may be another's by now */
	uint64_t seen; /* nanoseconds, CLOCK_MONOTONIC: our program was on it then */
	bool lost;     /* it isn't, and composing anew has failed */
};

struct socktally {
	struct st_sizes sizes;
	uint32_t region_size;
	uint32_t region_count;
	uint8_t *regions; /* mapped from the kernel, or malloc'ed for SOCKTALLY_OPEN_USERSPACE */
	struct st_name *names; /* names.h; NULL: no memory */
	bool userspace;
	bool records; /* plugin/attach/saved_filter.h */
	int cells_map;
	struct st_blocks blocks;
	int chain_map;  /* the only user reference: when it goes, the kernel empties the chain */
	int count_prog; /* the whole chain while there are no hooks */
	struct st_hooks hooks;
	struct st_classes *classes; /* NULL: none */
	struct st_pcap *pcap;       /* once it has been needed */
	int broker; /* the connection to the one that has the maps and loads programs; -1: none */
	int timer;
	socktally_interval_fn interval_fn;
	void *interval_ctx;
	struct st_attachment **attachments;
	size_t attachment_count, attachment_room;
	uint64_t retried; /* nanoseconds, CLOCK_MONOTONIC: when lost sockets were last looked at */
	struct st_threshold **thresholds;
	size_t threshold_count;
	int threshold_last;     /* number */
	uint64_t thresholds_at; /* nanoseconds, CLOCK_MONOTONIC: the last look; 0: none yet */
	bool looking;           /* thresholds are being gone through: none is freed */
	socktally_log_fn log;
	void *log_ctx;
	socktally_gap_fn gap;
	void *gap_ctx;
	bool quiet;         /* failures are not logged: what is tried again and again */
	char attaching[64]; /* "eth0: socket 5", for messages */
	int shown;          /* the number in them, when it is a duplicate that is attached; or -1 */
	char error[320];
};

static inline struct st_region *st_region_of(const struct socktally *meter, uint32_t cpu)
{
	return (struct st_region *)(meter->regions + (size_t)cpu * meter->region_size);
}

/* Notes what failed for socktally_error() and the log; returns result. */
int st_fail(struct socktally *meter, int result, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void st_log(const struct socktally *meter, enum socktally_log_level level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * Copies a caller's options into one of this library's size: a smaller struct is filled up with
 * zeros, a larger one must have only zeros beyond.
 */
int st_options(void *own, size_t own_size, const void *callers);

/* Meters at a time. */
#define ST_MAX_METERS 4096
/* plugin/registry.c; false: there is no place, or it isn't there. */
bool st_live_add(const struct socktally *meter);
bool st_live_remove(const struct socktally *meter);
bool st_is_live(const struct socktally *meter);

/* Makes the map and the program that count, and the chain (plugin/bpf/meter_maps.c). */
int st_kernel_open(struct socktally *meter);

/*
 * The program for a socket: the tool's filter, then the chain (plugin/attach/socket_program.c). A descriptor, or
 * -errno with the error noted.
 */
int st_program_load(struct socktally *meter, const struct st_tap *tap,
		    const struct sock_filter *insns, size_t count);

/* Whether our program is still on the attachment's socket fd, which has an eBPF program. */
bool st_may_be_on(const struct st_attachment *attachment, int fd);

/*
 * The socket's classic filter, malloc'ed; count 0 and NULL: it has none. -EACCES: it is eBPF. (The
 * length counts instructions there, not bytes: the kernel's own way with SO_GET_FILTER.)
 */
int st_filter_read(int fd, struct sock_filter **insns, size_t *count);

void st_attachments_free(struct socktally *meter);

/* Composes anew where a filter was set past the library (plugin/attach/reattach.c). */
void st_follow(struct socktally *meter);

/* An interval is over: looks at the rates (plugin/threshold.c). */
void st_thresholds_look(struct socktally *meter);
void st_thresholds_free(struct socktally *meter);

/* CLOCK_MONOTONIC in nanoseconds. */
uint64_t st_now(void);

#endif
