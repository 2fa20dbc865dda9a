/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* A meter: what all folders of the library share. It knows none of them. */
#ifndef SOCKTALLY_PLUGIN_METER_METER_H
#define SOCKTALLY_PLUGIN_METER_METER_H

#include "bpf/tally.h"
#include "plugin/bpf/header_buffer.h"
#include "plugin/meter/chain.h"
#include <socktally/socktally.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Of other folders. */
struct st_attachment;
struct st_classes;
struct st_flow_memory;
struct st_group;
struct st_path_label;
struct st_pcap;
struct st_change;
struct st_threshold;

#define ST_LISTS 5 /* of enum st_list, in plugin/meter/visit.h */

struct socktally {
	atomic_uint
		references; /* the caller's, until it closes the meter, and one for each visit */
	atomic_bool closed;
	unsigned int visits[ST_LISTS];
	pid_t pid;                             /* of the process that has made it */
	void (*free)(struct socktally *meter); /* when the last reference goes */
	struct st_sizes sizes;
	struct st_ports ports; /* of tunnels, besides the standard ones */
	uint32_t region_size;
	uint32_t region_count;
	uint8_t *regions; /* mapped from the kernel, or malloc'ed for SOCKTALLY_OPEN_USERSPACE */
	struct st_path_label *path_labels; /* plugin/count/path_labels.h; NULL: no memory */
	struct st_flow_memory *flows;      /* without a kernel; NULL: no applications */
	bool userspace;
	bool records;  /* plugin/attach/saved_filter.h */
	uint32_t user; /* whom its saved filters are from: as it was when the meter was made */
	int cells_map;
	struct st_header_buffer header_buffer;
	uint32_t flow_count; /* flows that the memory is to hold; 0: no applications */
	int flow_map;        /* -1: none */
	uint64_t flow_mask; /* for a number of a bucket in it; 0: applications are not recognised */
	uint64_t flow_key;
	uint32_t flow_shift; /* from a tick of the kernel's to a unit of age */
	int look_prog;
	int chain_map;  /* the only user reference: when it goes, the kernel empties the chain */
	int count_prog; /* the whole chain while there are no hooks */
	struct st_hooks hooks;
	struct st_classes *classes; /* NULL: none */
	struct st_group *groups;    /* the first one; NULL: none */
	struct st_pcap *pcap;       /* once it has been needed */
	int remote; /* connection to a broker, which has the maps and loads programs; -1: none */
	uint32_t remote_serial; /* of the last request */
	int timer;
	int events; /* epoll: the timer and the broker; -1: no broker, or not asked for */
	socktally_interval_fn interval_fn;
	void *interval_ctx;
	struct st_attachment **attachments;
	size_t attachment_count, attachment_room;
	uint64_t retried; /* nanoseconds, CLOCK_MONOTONIC: when lost sockets were last looked at */
	struct st_threshold **thresholds;
	size_t threshold_count;
	uint64_t thresholds_at; /* nanoseconds, CLOCK_MONOTONIC: the last look; 0: none yet */
	socktally_log_fn log;
	void *log_ctx;
	socktally_gap_fn gap;
	void *gap_ctx;
	int threshold_last;        /* number */
	bool thresholds_busy;      /* they are being gone through: none is freed */
	bool quiet;                /* failures are not logged: what is tried again and again */
	bool logging;              /* the log callback runs: its own failures are not logged */
	char socket_label[64];     /* "eth0: socket 5", for messages */
	int label_fd;              /* the number in it where a duplicate is attached; or -1 */
	struct st_change *changes; /* plugin/count/changes.c */
	size_t change_count, change_room;
	char error[320];
};

static inline struct st_region *st_region_of(const struct socktally *meter, uint32_t cpu)
{
	return (struct st_region *)(meter->regions + (size_t)cpu * meter->region_size);
}

/* Notes what failed for socktally_error() and the log; returns result. */
int st_fail(struct socktally *meter, int result, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* The same where there is no meter yet. */
int st_open_fail(int result, const char *text);
void st_log(const struct socktally *meter, enum socktally_log_level level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * Copies a caller's options into one of this library's size: a smaller struct is filled up with
 * zeros, a larger one must have only zeros beyond.
 */
int st_options(void *own, size_t own_size, const void *callers);

/* Meters at a time. */
#define ST_MAX_METERS 4096
/* plugin/meter/registry.c; false: there is no place, or it isn't there. */
bool st_registry_add(const struct socktally *meter);
bool st_registry_remove(const struct socktally *meter);
bool st_registry_has(const struct socktally *meter);
void st_registry_each(void (*fn)(struct socktally *meter));

/* CLOCK_MONOTONIC in nanoseconds. */
uint64_t st_now(void);
/* The same in seconds, as it was at the last tick: cheap. */
uint32_t st_seconds(void);

#endif
