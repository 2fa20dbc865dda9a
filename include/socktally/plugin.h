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
 * - The structs that callbacks are given never change: what is new comes by a new callback. Nor does
 *   struct socktally_class, of which arrays are given.
 *
 * Ownership: a meter is the caller's, from create to destroy. All that a callback is given is the
 * library's and valid until the callback returns. Options and what they point to are read during the
 * call only, but for callbacks and their ctx. A descriptor stays the caller's: the library remembers
 * its number, but neither duplicates it for longer than a call nor closes it.
 *
 * Threads: a meter is used by one thread at a time, with one exception: snapshot may be called by any
 * thread at any time between create and destroy. Different meters are independent. Callbacks are
 * called by the thread that calls into the library, and only during that call.
 *
 * Callbacks may use the meter that they are called for. While a callback is given an element of a list
 * (a socket, a hook, a row, a class), calls that would free elements of that list return -EBUSY and
 * change nothing. The log callback may come in the middle of any change: there all lists are taken.
 * destroy takes effect when the call returns in which the callback runs; no further callback comes, and
 * that call returns -ECANCELED.
 *
 * Filters: set_filter sets a socket's filter and keeps it metered. SO_ATTACH_FILTER, and so
 * pcap_setfilter(), takes our program's place: the counting on that socket has ended until poll notices
 * and attaches again. A meter that is destroyed leaves its program on its sockets as a complete filter of
 * theirs, to which nothing else can be attached; detach gives them back before.
 *
 * Privileges: create, attach, set_filter, hook_add and set_classes load programs, which takes CAP_BPF and
 * CAP_PERFMON (before Linux 5.8 CAP_SYS_ADMIN), or a broker. After setuid() or when capabilities are
 * dropped the counting goes on, and snapshot, poll, detach and destroy work; the others, and attaching
 * again where a filter was set past the library, fail with -EPERM.
 *
 * dlclose: destroy the meters before. If there are any left, their sockets get back their own filters, as
 * far as they are still open under the number that they were attached with. No other thread may be in the
 * library.
 *
 * fork: parent and child have the same meter, and the sockets are counted until both have destroyed it
 * or ended. Both may take snapshots; only one of them may attach, detach, set filters or poll from then
 * on. exec ends it, as all descriptors are close-on-exec.
 *
 * Errors: what can fail returns a negative errno value and leaves errno as it was; error() has a
 * sentence about it, which names the cause. -EINVAL: the meter is NULL or destroyed, a pointer that is
 * needed is NULL, or options make no sense. -E2BIG: options of a newer release. -ENOMEM. -EBUSY and
 * -ECANCELED: see callbacks. The other ones stand with each function.
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

/* Without a name, which C99 does not have. */
#if defined(__GNUC__)
#define SOCKTALLY_UNION __extension__ union
#else
#define SOCKTALLY_UNION union
#endif

struct socktally;   /* a meter */
struct sock_filter; /* <linux/filter.h>; libpcap's struct bpf_insn has the same layout */

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

/* The layers of a path at most; a packet that goes deeper ends its path there. */
#define SOCKTALLY_MAX_LAYERS 14
/* Room for the longest path as text, terminating NUL included. */
#define SOCKTALLY_PATH_TEXT_MAX 256

struct socktally_path {
	uint8_t layers[SOCKTALLY_MAX_LAYERS]; /* enum socktally_protocol, outermost first */
	uint8_t layer_count;
	uint8_t reserved;
};

/* One metered socket. The library owns it; valid until the callback returns. */
struct socktally_socket {
	uint64_t cookie;       /* SO_COOKIE: names the socket for the life of the system */
	int32_t ifindex;       /* 0: every interface */
	const char *interface; /* its name; "any" for every interface */
	const char *linktype;  /* "eth", "sll", "raw", ... */
	const struct sock_filter *insns; /* the socket's own filter; NULL: it has none */
	size_t insn_count;
	uint32_t program; /* id of the attached BPF program, as bpftool shows it; 0: unknown */
};
typedef int (*socktally_socket_fn)(void *ctx, const struct socktally_socket *socket);

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

#define SOCKTALLY_MAX_PORTS 8

/*
 * What is sent to this UDP port is this protocol: one of those that have a UDP port of their own, as
 * SOCKTALLY_VXLAN, SOCKTALLY_GENEVE, SOCKTALLY_GTP. protocols.def says which have one.
 */
struct socktally_port {
	uint16_t port;
	uint16_t protocol; /* enum socktally_protocol */
};

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
	/* UDP ports of tunnels, besides the standard ones: up to SOCKTALLY_MAX_PORTS; read during the call. */
	const struct socktally_port *ports;
	size_t port_count;
	/*
	 * Flows whose application is remembered, 8 bytes each: a power of two from 1024 to 524288; 0: 131072,
	 * or with SOCKTALLY_OPEN_USERSPACE as many as come, up to 4194304.
	 */
	uint32_t flows;
	uint32_t reserved; /* 0 */
};

/*
 * A meter without a kernel part, to be fed by socktally_count(): needs no privilege. Its snapshots are
 * not to be taken while another thread counts.
 */
#define SOCKTALLY_OPEN_USERSPACE 0x1u
/*
 * Each metered socket's own filter is noted in the kernel, for as long as the socket is metered or
 * open: `socktally list` then tells who meters it, also after this process was killed, and what its
 * filter is. Without effect before Linux 5.10.
 */
#define SOCKTALLY_OPEN_RECORDS 0x2u
/* Paths end at the transport, as those of sockets do in any case so far: no application is recognised, and nothing is spent on it. */
#define SOCKTALLY_OPEN_NO_APPLICATIONS 0x4u

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

/*
 * The rate of a path, or of a class, looked at once an interval as the mean of that interval: without
 * set_interval and poll nothing is looked at.
 */
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
	/*
	 * The class of this name instead of a path, which must be NULL then. While there is no such
	 * class its rate is 0.
	 */
	const char *class_name;
};

struct socktally_crossing {
	int32_t threshold; /* its number */
	uint32_t rate;     /* enum socktally_rate */
	const char *path;  /* as given, or the class's name; "" for all packets */
	double bound;      /* that was crossed, */
	double value;      /* by this mean */
	double seconds;    /* of so long */
	uint32_t upwards;  /* 1, or 0: downwards */
	uint32_t reserved;
};
typedef void (*socktally_crossing_fn)(void *ctx, const struct socktally_crossing *crossing);

/* Hooks that a meter may have. */
#define SOCKTALLY_MAX_HOOKS 28

/* Lower ones come first; equal ones in the order in which they were added. Put yours in between. */
enum socktally_hook_priority {
	SOCKTALLY_PRIORITY_FIRST = INT32_MIN,
	SOCKTALLY_PRIORITY_SEEN = -300,   /* statistics of all that comes */
	SOCKTALLY_PRIORITY_DROP = -200,   /* what is not wanted at all */
	SOCKTALLY_PRIORITY_SAMPLE = -100, /* a part of what is wanted */
	SOCKTALLY_PRIORITY_DEFAULT = 0,
	SOCKTALLY_PRIORITY_SNAP = 200,  /* how much of each packet */
	SOCKTALLY_PRIORITY_TAKEN = 300, /* statistics of what the tool gets */
	SOCKTALLY_PRIORITY_LAST = INT32_MAX,
};

struct socktally_hook_opts {
	size_t sz;        /* sizeof(struct socktally_hook_opts) */
	const char *name; /* NULL: the program's, with a number if there is one of that name */
	/* One of these three: */
	/*
	 * A hook of the library's, with its options as variables; see socktally-hook(7):
	 * "sizes", "tcpflags", "icmp", "rate"; "talkers": by=flow|host, header=outer|inner;
	 * "drop": path=PATTERN; "snap": path=PATTERN, bytes=NUMBER; "sample": path=PATTERN, n=NUMBER,
	 * by=packet|flow, header=outer|inner. PATTERN: as of a threshold.
	 */
	const char *builtin;
	const char *file;    /* an object file; with object, what messages call that */
	const void *object;  /* one in memory, read during the call only */
	size_t object_size;  /* bytes */
	const char *program; /* the function in the object file; NULL: the only one */
	int32_t priority;    /* 0: SOCKTALLY_PRIORITY_DEFAULT, or the built-in hook's own */
	uint32_t flags;      /* none yet: 0 */
	/*
	 * "name=value": what the object file's global variables are to start with, numbers or text
	 * for char arrays; or a built-in hook's options, like "path=eth:arp".
	 */
	const char *const *variables;
	size_t variable_count;
	/*
	 * Elements of each hash map that socktally_hook_rows() gives at most, those with the most bytes,
	 * or packets, or whatever number comes first. 0: 1000, or the built-in hook's own default.
	 */
	uint32_t top;
	uint32_t reserved;
};

/* A hook, and what it has taken of what came to it to be delivered. Valid until the callback returns. */
struct socktally_hook {
	const char *name;
	const char *kind; /* "object", "built-in", ... */
	int32_t priority;
	uint32_t reserved;
	uint64_t dropped_packets;
	uint64_t dropped_bytes; /* that the sockets would have delivered of these */
	uint64_t cut_packets;
	uint64_t cut_bytes; /* that were cut off these */
};
typedef int (*socktally_hook_fn)(void *ctx, const struct socktally_hook *hook);

enum socktally_field_type {
	SOCKTALLY_UNSIGNED, /* number */
	SOCKTALLY_SIGNED,   /* number, as int64_t */
	SOCKTALLY_TEXT,     /* only as text */
};

/* One value: a number, a member of a struct, an array of characters, a path, an address. */
struct socktally_field {
	const char *name; /* "packets", "source.port"; "key" and "value" where it is the only one */
	const char *text; /* the value as reports show it, whatever its type */
	uint32_t type;    /* enum socktally_field_type */
	uint32_t reserved;
	uint64_t number;
};

/* An element of one of a hook's maps, by the types that its object file says. */
struct socktally_row {
	const char *map; /* ".bss", ".data": the global variables */
	const struct socktally_field *key, *value;
	uint32_t key_count, value_count;
	const void *raw_key, *raw_value; /* as in the map; CPUs' values are added up */
	uint32_t raw_key_size, raw_value_size;
};
typedef int (*socktally_row_fn)(void *ctx, const struct socktally_row *row);

/* A named filter that every packet is asked. */
struct socktally_class {
	const char *name;                /* of 1 to 127 characters; not "none" */
	const char *expression;          /* NULL: a filter as the kernel would take it */
	const struct sock_filter *insns; /* read during the call only */
	size_t insn_count;
	uint32_t
		linktype; /* LINKTYPE_ of the packets that the filter is for; 276: of a cooked socket */
	uint32_t reserved;
};

struct socktally_classes_opts {
	size_t sz;        /* sizeof(struct socktally_classes_opts) */
	uint32_t flags;   /* SOCKTALLY_CLASSES_* */
	int32_t priority; /* 0: SOCKTALLY_PRIORITY_TAKEN, where the verdict is final but for the hooks
			     of the user's that come later */
	size_t *failed;   /* NULL, or where the index of the class goes that the error is about */
};
#define SOCKTALLY_CLASSES_FIRST 0x1u

/* What a class has counted. Valid until the callback returns. */
struct socktally_class_counts {
	const char *name;
	const char *expression; /* NULL: it is a filter, or "none" */
	/* Received and sent; the second names are for languages that have "in" as a keyword. */
	SOCKTALLY_UNION
	{
		struct socktally_counts in, received;
	};
	SOCKTALLY_UNION
	{
		struct socktally_counts out, sent;
	};
};
typedef int (*socktally_class_fn)(void *ctx, const struct socktally_class_counts *counts);

/* Counts by the values of header fields, each combination that comes. */
struct socktally_group_opts {
	size_t sz;          /* sizeof(struct socktally_group_opts) */
	const char *name;   /* of 1 to 255 characters; NULL: as fields */
	const char *fields; /* "ip.dst/24,tcp.dstport", as --by of socktally(1) takes it */
	uint32_t keys;      /* room for so many combinations on each CPU; 0: 4096; at most 65536 */
	uint32_t rows;      /* that rows are asked for at most; 0: all */
	uint32_t flags;     /* none yet: 0 */
	int32_t priority; /* of its hook; 0: SOCKTALLY_PRIORITY_LAST, where the verdict is final */
};

/* A group. Valid until the callback returns. */
struct socktally_group {
	const char *name;
	const char *const *fields; /* each as it was given: "ip.dst/24" */
	uint32_t field_count;
	uint32_t keys; /* that there is room for on each CPU */
	uint32_t rows; /* as it was given */
	uint32_t reserved;
};
typedef int (*socktally_group_fn)(void *ctx, const struct socktally_group *group);

enum socktally_group_kind {
	SOCKTALLY_GROUP_ROW = 0,
	SOCKTALLY_GROUP_OTHER = 1, /* what the table could not hold, or was not asked for */
	SOCKTALLY_GROUP_NONE = 2,  /* packets that lack one of the fields */
};

/* What a group has counted in one direction. Valid until the callback returns. */
struct socktally_group_row {
	uint32_t kind;                     /* enum socktally_group_kind */
	uint32_t direction;                /* enum socktally_direction */
	const struct socktally_field *key; /* the value of each field; NULL: other, or none */
	uint32_t key_count;
	uint32_t reserved;
	struct socktally_counts counts;
	uint64_t missing_bytes; /* of this key that may be in `other`, at most */
};
typedef int (*socktally_group_row_fn)(void *ctx, const struct socktally_group_row *row);

/* A field: its name, and a sentence on it. */
typedef int (*socktally_group_field_fn)(void *ctx, const char *name, const char *help);

/*
 * Where a snapshot goes. Each callback may be NULL; all get the same ctx. Cells and totals may be taken
 * by any thread; with one of the others, a snapshot is a call like all the rest.
 */
struct socktally_sink {
	size_t sz;                       /* sizeof(struct socktally_sink) */
	socktally_cell_fn cell;          /* each path and direction with packets, in no order */
	socktally_totals_fn totals;      /* after them: their sum */
	socktally_class_fn class_counts; /* each class */
	socktally_hook_fn hook;          /* each hook, */
	socktally_row_fn row;            /* and after each its results, row by row */
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
	 * a failure. -EPERM: BPF is not permitted, or before Linux 5.11 RLIMIT_MEMLOCK is too low, or the
	 * broker is not trusted; -EACCES: CAP_PERFMON is missing, or the broker does not serve this user;
	 * -EMFILE. [socktally_open]
	 */
	int (*create)(struct socktally **meter, const struct socktally_open_opts *opts);
	/* Ends it: its sockets go on with exactly their own filter. NULL is allowed. [socktally_close] */
	void (*destroy)(struct socktally *meter);
	/* The last failure of the meter; with NULL: of create, in this thread. Never NULL.
	 * [socktally_error] */
	const char *(*error)(const struct socktally *meter);

	/*
	 * Meters the AF_PACKET socket fd, with the filter it has now. opts may be NULL. On failure the
	 * socket is as it was. -EPERM: locked (SO_LOCK_FILTER), or BPF is not permitted (any more);
	 * -EACCES: has an eBPF filter that is not this meter's, or CAP_PERFMON is missing; -EOPNOTSUPP:
	 * its filter uses what eBPF can't express; -ENOMEM: or it does not fit net.core.optmem_max;
	 * -EAGAIN: somebody keeps changing its filter; -EBADF, -ENOTSOCK, -EPROTOTYPE: not a packet
	 * socket; -E2BIG: a filter too long as eBPF; -ECONNRESET, -ETIMEDOUT: the broker has ended, or
	 * does not answer. [socktally_attach]
	 */
	int (*attach)(struct socktally *meter, int fd, const struct socktally_attach_opts *opts);
	/*
	 * Sets the socket's own filter, in place of SO_ATTACH_FILTER; attaches it if it was not. insns: an
	 * array of struct sock_filter, or of libpcap's struct bpf_insn; count 0: no filter. Errors as
	 * attach; -EINVAL: a filter that the kernel would refuse. [socktally_set_filter]
	 */
	int (*set_filter)(struct socktally *meter, int fd, const void *insns, size_t count);
	/*
	 * Gives the socket back with its own filter. -ENOENT: it is not on this meter; -EPERM: locked.
	 * [socktally_detach]
	 */
	int (*detach)(struct socktally *meter, int fd);

	/*
	 * The counts as they are now; ctx goes to the callbacks. Returns 0, or what a callback returned to
	 * end it. [socktally_snapshot]
	 */
	int (*snapshot)(struct socktally *meter, const struct socktally_sink *sink, void *ctx);

	/* An interval for thresholds and for fn, which may be NULL. 0: none. [socktally_set_interval] */
	int (*set_interval)(struct socktally *meter, unsigned int milliseconds,
			    socktally_interval_fn fn, void *ctx);
	/* A descriptor for poll or epoll, readable when an interval is over, and when the broker has ended.
	 * [socktally_fd] */
	int (*fd)(struct socktally *meter);
	/*
	 * Notices filters that were set past the library, waits at most timeout_ms (0: not at all, -1:
	 * without end) for the interval, and calls what is due. Returns 0 if the interval is not over, else
	 * 1, or what fn of set_interval returned if that is not 0. -EINTR: a signal came first.
	 * [socktally_poll]
	 */
	int (*poll)(struct socktally *meter, int timeout_ms);

	/*
	 * Returns the threshold's number, from 1 on. fn is called from poll, when an interval is over: it
	 * needs set_interval. -EINVAL: bad bounds, or a path that names no protocol.
	 * [socktally_threshold_add]
	 */
	int (*threshold_add)(struct socktally *meter, const struct socktally_threshold_opts *opts,
			     socktally_crossing_fn fn, void *ctx);
	/* -ENOENT: there is none with this number. [socktally_threshold_remove] */
	int (*threshold_remove)(struct socktally *meter, int threshold);

	/*
	 * One of the library's own hooks, or one from an object file. -EEXIST: there is one of this name;
	 * -ENOSPC: SOCKTALLY_MAX_HOOKS are there; -EACCES and others: the file can't be read, or the
	 * verifier refuses the program; -EOPNOTSUPP: a PREEMPT_RT kernel, or a broker. [socktally_hook_add]
	 */
	int (*hook_add)(struct socktally *meter, const struct socktally_hook_opts *opts);
	/* Errors as hook_add; -ENOENT: there is no such hook. [socktally_hook_replace] */
	int (*hook_replace)(struct socktally *meter, const char *name,
			    const struct socktally_hook_opts *opts);
	/* *last, if not NULL, is what it has taken in the end. -ENOENT. [socktally_hook_remove] */
	int (*hook_remove)(struct socktally *meter, const char *name, struct socktally_hook *last);
	/* -ENOENT. [socktally_hook_set_priority] */
	int (*hook_set_priority)(struct socktally *meter, const char *name, int32_t priority);
	/*
	 * These and no others are the classes from now on; opts may be NULL. -EINVAL: a wrong expression,
	 * filter or name; -ENOSYS: there is no libpcap; -E2BIG: more than the kernel takes.
	 * [socktally_set_classes]
	 */
	int (*set_classes)(struct socktally *meter, const struct socktally_class *classes,
			   size_t count, const struct socktally_classes_opts *opts);

	/* --- not in the table of 1.0.0 */

	/*
	 * The socket's own filter: up to *count instructions of struct sock_filter to insns; *count becomes
	 * how many it has. -ENOENT: not metered here; -ENOSPC: room for *count is needed.
	 * [socktally_get_filter]
	 */
	int (*get_filter)(struct socktally *meter, int fd, void *insns, size_t *count);
	/* For a socket that is closed: by its SO_COOKIE. -ENOENT. [socktally_forget] */
	int (*forget)(struct socktally *meter, uint64_t cookie);
	/* Calls fn for every metered socket. [socktally_sockets] */
	int (*sockets)(struct socktally *meter, socktally_socket_fn fn, void *ctx);
	/*
	 * Counts one packet on a meter of SOCKTALLY_OPEN_USERSPACE. linktype: LINKTYPE_ as in a capture
	 * file; caplen bytes of data are there, of a packet of len; direction: enum socktally_direction.
	 * [socktally_count]
	 */
	int (*count)(struct socktally *meter, uint32_t linktype, const void *data, size_t caplen,
		     size_t len, uint32_t direction);
	/* The path of one packet; meter may be NULL. By any thread. [socktally_classify_for] */
	void (*classify)(const struct socktally *meter, uint32_t linktype, const void *data,
			 size_t caplen, struct socktally_path *path);
	/*
	 * A path of numbers as text, as much as fits; returns its full length. One layer alone gives a
	 * protocol's name by its number. By any thread. [socktally_path_text]
	 */
	size_t (*path_text)(const uint8_t *layers, size_t layer_count, char *text, size_t size);
	/*
	 * The paths and directions that have counted anything since the last call, with how much; the
	 * first time, all. totals, which may be NULL, becomes their sum. [socktally_changes]
	 */
	int (*changes)(struct socktally *meter, socktally_cell_fn fn, void *ctx,
		       struct socktally_totals *totals);
	/*
	 * Counts by the values of header fields from now on. -EINVAL: no such field, or a bad name; -EEXIST:
	 * there is one of this name; -ENOSPC: the chain is full; -EOPNOTSUPP: as hook_add.
	 * [socktally_group_add]
	 */
	int (*group_add)(struct socktally *meter, const struct socktally_group_opts *opts);
	/* last, which may be NULL, is called for the rows as they are in the end. -ENOENT.
	 * [socktally_group_remove] */
	int (*group_remove)(struct socktally *meter, const char *name, socktally_group_row_fn last,
			    void *ctx);
	/* Calls fn for each group. [socktally_groups] */
	int (*groups)(struct socktally *meter, socktally_group_fn fn, void *ctx);
	/*
	 * The rows, most bytes first, then other and none: they add up to all since the group was added.
	 * most: how many rows; 0: as its options say. -ENOENT. [socktally_group_rows]
	 */
	int (*group_rows)(struct socktally *meter, const char *name, uint32_t most,
			  socktally_group_row_fn fn, void *ctx);
	/* Calls fn for each field that there is. By any thread. [socktally_group_fields] */
	int (*group_fields)(socktally_group_field_fn fn, void *ctx);
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
