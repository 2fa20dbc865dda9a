/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * socktally as a plugin: exact protocol counts for the capture socket that your tool has open.
 *
 * A tool with a --plugin option loads libsocktally.so with dlopen(RTLD_NOW | RTLD_LOCAL) and finds
 * one symbol there, the table `socktally_plugin`. Nothing else is needed: this header stands alone
 * (C99, C++), and may be copied into the tool's sources. What it declares is in <socktally/socktally.h>
 * as well, which is for programs that are linked with -lsocktally.
 *
 *	const struct socktally_plugin *plugin = dlsym(handle, "socktally_plugin");
 *	if (plugin->abi != SOCKTALLY_PLUGIN_ABI) ...
 *	plugin->create(&meter, NULL);
 *	plugin->attach(meter, fd, NULL);
 *	...
 *	plugin->snapshot(meter, &sink, ctx);
 *	plugin->destroy(meter);
 *
 * Releases of different ages understand each other:
 * - The table, and each struct that the caller fills in, begins with its size (the table: with its
 *   ABI version and its size). What a shorter one doesn't have counts as zero, that is "not there" or
 *   "the default"; what an options struct has beyond what the library knows must be zero, else it is
 *   refused with -E2BIG. SOCKTALLY_PLUGIN_HAS() tells whether a function is there.
 * - The structs that callbacks are given never change: what is new comes by a new callback.
 *
 * Ownership: a meter is the caller's, from create to destroy. All that a callback is given is the
 * library's and valid until the callback returns. Options and what they point to are read during the
 * call only, but for callbacks and their ctx. A descriptor stays the caller's: the library remembers
 * its number, but neither duplicates it for longer than a call nor closes it.
 *
 * Threads: a meter is used by one thread at a time, with one exception: snapshot may be called by any
 * thread at any time between create and destroy. Different meters are independent. Callbacks are
 * called by the thread that calls into the library, and only during that call; they may use the meter
 * that they are called for, but not destroy it.
 *
 * fork: parent and child have the same meter, of which one process at a time is to use more than
 * snapshot; sockets are counted until both have destroyed it or ended. exec ends it, all descriptors
 * are close-on-exec.
 *
 * Errors: what can fail returns a negative errno value and leaves errno as it was; error() has a
 * sentence about it. NULL for a meter is -EINVAL.
 *
 * Guest rules: the library starts no thread, installs no signal handler, prints nothing and changes
 * no resource limit. Whatever fails, the socket delivers what its own filter says.
 */
#ifndef SOCKTALLY_PLUGIN_H
#define SOCKTALLY_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define SOCKTALLY_API __attribute__((visibility("default")))
#else
#define SOCKTALLY_API
#endif

struct socktally; /* a meter */

enum socktally_direction {
	SOCKTALLY_IN = 0,  /* received: to this host, broadcast, multicast or promiscuous */
	SOCKTALLY_OUT = 1, /* sent by this host */
};

enum socktally_log_level {
	SOCKTALLY_LOG_ERROR = 0,
	SOCKTALLY_LOG_WARNING = 1,
	SOCKTALLY_LOG_DEBUG = 2,
};

typedef void (*socktally_log_fn)(void *ctx, enum socktally_log_level level, const char *text);

/*
 * Somebody has set a socket's filter past the library, which ended the counting on it. Poll notices
 * and composes again with that filter: it is then counted again (error 0). Where that fails (error is
 * -errno) it is tried again once a second, and the callback is called once more when it succeeds.
 */
struct socktally_gap {
	uint64_t cookie;       /* SO_COOKIE of the socket */
	const char *interface; /* its name; "any" for every interface */
	int32_t ifindex;       /* 0: every interface */
	int32_t error;
	uint64_t nanoseconds; /* since it was last known to be counted: the gap is no longer */
};
typedef void (*socktally_gap_fn)(void *ctx, const struct socktally_gap *gap);

struct socktally_open_opts {
	size_t sz;            /* sizeof(struct socktally_open_opts) */
	uint32_t paths;       /* paths the table holds on each CPU; 0: 1024; at most 32768 */
	uint32_t flags;       /* SOCKTALLY_OPEN_* */
	socktally_log_fn log; /* gets one line a message, without newline; NULL: silent */
	void *log_ctx;
	socktally_gap_fn gap; /* NULL: gaps are told to log only */
	void *gap_ctx;
	/*
	 * Path of the socket of `socktally broker --socket`, for a process without the privileges that
	 * BPF takes; NULL: this process loads its programs itself. When the broker ends so does the
	 * counting: that is a gap of every socket, with -ECONNRESET.
	 */
	const char *broker;
};

/* A meter without a kernel part, to be fed by socktally_count(): needs no privilege. */
#define SOCKTALLY_OPEN_USERSPACE 0x1u
/*
 * Each metered socket's own filter is noted in the kernel, for as long as the socket is metered or
 * open: `socktally list` then tells who meters it, also after this process was killed, and what its
 * filter is. Without effect before Linux 5.10.
 */
#define SOCKTALLY_OPEN_RECORDS 0x2u

struct socktally_attach_opts {
	size_t sz;       /* sizeof(struct socktally_attach_opts) */
	int32_t ifindex; /* interface the socket is about to be bound to; 0: see the socket */
	uint32_t flags;  /* SOCKTALLY_ATTACH_* */
};

/* The caller vouches that no packet has reached the socket yet (not bound, or protocol 0). */
#define SOCKTALLY_ATTACH_BEFORE_BIND 0x1u

struct socktally_counts {
	uint64_t packets;          /* seen by the socket */
	uint64_t segments;         /* the same, receive and segmentation offload undone */
	uint64_t bytes;            /* their length at the tap, VLAN tags included */
	uint64_t accepted_packets; /* of these, what the socket's filter accepted */
	uint64_t accepted_bytes;   /* bytes it accepted of them: a snap length cuts */
};

/* One path in one direction. */
struct socktally_cell {
	const char *path;      /* "eth:ip:udp"; "overflow" for what the full table could not hold */
	const uint8_t *layers; /* the same as numbers (enum socktally_protocol), outermost first */
	uint32_t layer_count;  /* 0 for "overflow" */
	uint32_t direction;    /* enum socktally_direction */
	struct socktally_counts counts;
};

struct socktally_totals {
	struct socktally_counts counts; /* all cells, overflow included */
	uint64_t overflow_packets;
};

/* Each: a non-zero return ends the walk, and the function that walks returns it. */
typedef int (*socktally_cell_fn)(void *ctx, const struct socktally_cell *cell);
typedef int (*socktally_totals_fn)(void *ctx, const struct socktally_totals *totals);
typedef int (*socktally_interval_fn)(void *ctx, struct socktally *meter);

/* What a threshold looks at: a rate a second. */
enum socktally_rate {
	SOCKTALLY_PACKETS_PER_SECOND = 0,
	SOCKTALLY_BYTES_PER_SECOND = 1,
	SOCKTALLY_ACCEPTED_PACKETS_PER_SECOND = 2,
	SOCKTALLY_ACCEPTED_BYTES_PER_SECOND = 3,
};

/* The rate of a path, looked at once an interval as the mean of that interval. */
struct socktally_threshold_opts {
	size_t sz; /* sizeof(struct socktally_threshold_opts) */
	/*
	 * "eth:ip:udp": all packets whose path begins so, in both directions; "*" stands for any number
	 * of layers, as in "*:udp"; NULL: all packets.
	 */
	const char *path;
	uint32_t rate;  /* enum socktally_rate */
	uint32_t flags; /* none yet: 0 */
	double above;   /* crossed upwards when the rate is more than that, */
	double below;   /* and downwards when it is at most that, which is not more than above */
};

struct socktally_crossing {
	int32_t threshold; /* its number */
	uint32_t rate;     /* enum socktally_rate */
	const char *path;  /* as given; "" for all packets */
	double bound;      /* that was crossed, */
	double value;      /* by this mean */
	double seconds;    /* of so long */
	uint32_t upwards;  /* 1, or 0: downwards */
	uint32_t reserved;
};
typedef void (*socktally_crossing_fn)(void *ctx, const struct socktally_crossing *crossing);

/* Where a snapshot goes. Each callback may be NULL; all get the same ctx. */
struct socktally_sink {
	size_t sz;                  /* sizeof(struct socktally_sink) */
	socktally_cell_fn cell;     /* each path and direction with packets, in no order */
	socktally_totals_fn totals; /* after them: their sum */
};

/*
 * The functions, each with the same contract as in <socktally/socktally.h> and socktally(3), where it
 * has the name that stands behind it.
 */
struct socktally_plugin {
	uint32_t abi;        /* SOCKTALLY_PLUGIN_ABI, or this header does not fit */
	uint32_t size;       /* of this table in the library, in bytes */
	const char *name;    /* "socktally" */
	const char *version; /* of the library: "1.0.0" */

	/*
	 * Makes a meter; opts may be NULL. *meter is set on success only; error(NULL) has the reason of
	 * a failure. -EPERM: BPF is not permitted. [socktally_open]
	 */
	int (*create)(struct socktally **meter, const struct socktally_open_opts *opts);
	/* Ends it: its sockets go on with exactly their own filter. NULL is allowed. [socktally_close] */
	void (*destroy)(struct socktally *meter);
	/* The last failure of the meter; with NULL: of create, in this thread. Never NULL.
	 * [socktally_error] */
	const char *(*error)(const struct socktally *meter);

	/* Meters the AF_PACKET socket fd, with the filter it has now. opts may be NULL.
	 * [socktally_attach] */
	int (*attach)(struct socktally *meter, int fd, const struct socktally_attach_opts *opts);
	/*
	 * Sets the socket's own filter, in place of SO_ATTACH_FILTER. insns: an array of struct
	 * sock_filter, or of libpcap's struct bpf_insn; count 0: no filter. [socktally_set_filter]
	 */
	int (*set_filter)(struct socktally *meter, int fd, const void *insns, size_t count);
	/* Gives the socket back with its own filter. [socktally_detach] */
	int (*detach)(struct socktally *meter, int fd);

	/* The counts as they are now; ctx goes to the callbacks. [socktally_snapshot] */
	int (*snapshot)(struct socktally *meter, const struct socktally_sink *sink, void *ctx);

	/* An interval for thresholds and for fn, which may be NULL. 0: none. [socktally_set_interval] */
	int (*set_interval)(struct socktally *meter, unsigned int milliseconds,
			    socktally_interval_fn fn, void *ctx);
	/* A descriptor for poll or epoll, readable when an interval is over. [socktally_fd] */
	int (*fd)(struct socktally *meter);
	/*
	 * Notices filters that were set past the library, waits at most timeout_ms (0: not at all) for
	 * the interval, and calls what is due. [socktally_poll]
	 */
	int (*poll)(struct socktally *meter, int timeout_ms);

	/* The threshold's number, from 1 on. fn is called from poll. [socktally_threshold_add] */
	int (*threshold_add)(struct socktally *meter, const struct socktally_threshold_opts *opts,
			     socktally_crossing_fn fn, void *ctx);
	/* [socktally_threshold_remove] */
	int (*threshold_remove)(struct socktally *meter, int threshold);
};

/* Counts upwards only when a host could no longer do with the table as it knows it. */
#define SOCKTALLY_PLUGIN_ABI 1u

/* Whether the table, of whatever age, has this function. */
#define SOCKTALLY_PLUGIN_HAS(plugin, function)                                                     \
	((plugin)->size >=                                                                         \
		 offsetof(struct socktally_plugin, function) + sizeof((plugin)->function) &&       \
	 (plugin)->function)

/* The name to look up; the declaration is for programs that are linked with the library. */
#define SOCKTALLY_PLUGIN_SYMBOL "socktally_plugin"
extern SOCKTALLY_API const struct socktally_plugin socktally_plugin;

#ifdef __cplusplus
}
#endif
#endif
