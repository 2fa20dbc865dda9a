/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * socktally: exact protocol counts for the capture socket you already have.
 *
 * A meter (struct socktally) is one table of counters and the kernel program that fills it. Attach
 * it to any number of AF_PACKET sockets: from then on the kernel counts every packet that reaches
 * them, by its path of protocols, whether the socket's filter accepts it or not. What the socket
 * delivers stays what its own filter says.
 *
 * Errors: every function that can fail returns a negative errno value and leaves errno as it was;
 * socktally_error() has a sentence about the last failure. NULL for a meter, or one that is closed, is
 * -EINVAL.
 *
 * Threads: a meter is used by one thread at a time, with one exception: socktally_snapshot() may be
 * called from any thread at any time between open and close. Different meters are independent.
 *
 * Guest rules: the library starts no thread, installs no signal handler, prints nothing, changes no
 * resource limit and keeps no descriptor of the sockets it is given. Its own are close-on-exec.
 *
 * "plugin.h" has the types that are the same for a program that loads the library with dlopen(), and
 * how structs of different ages go together.
 */
#ifndef SOCKTALLY_H
#define SOCKTALLY_H

#include "plugin.h"
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Numbers of the protocols, stable across releases: SOCKTALLY_ETH, SOCKTALLY_IPV6_HOPOPTS, ... */
enum socktally_protocol {
#define SOCKTALLY_PROTOCOL(NUMBER, SYMBOL, NAME, LAYER, RECOGNISED, SOURCE)                        \
	SOCKTALLY_##SYMBOL = NUMBER,
#include "protocols.def"
#undef SOCKTALLY_PROTOCOL
};

/* The layers of a path at most; a packet that goes deeper ends its path there. */
#define SOCKTALLY_MAX_LAYERS 14
/* Room for the longest path as text, terminating NUL included. */
#define SOCKTALLY_PATH_TEXT_MAX 256

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

/* "1.0.0" */
SOCKTALLY_API const char *socktally_version(void);

/*
 * Makes a meter. opts may be NULL. *meter is set on success only; socktally_error(NULL) has the
 * reason of a failure.
 * -EPERM: BPF is not permitted (CAP_BPF, better with CAP_PERFMON; before Linux 5.8 CAP_SYS_ADMIN)
 * or, before 5.11, RLIMIT_MEMLOCK is too low; -ENOMEM; -EMFILE; -EINVAL, -E2BIG: bad options.
 */
SOCKTALLY_API int socktally_open(struct socktally **meter, const struct socktally_open_opts *opts);

/*
 * Ends the meter: sockets that are still attached go on with exactly their own filter, uncounted.
 * NULL is allowed.
 */
SOCKTALLY_API void socktally_close(struct socktally *meter);

/*
 * Meters the AF_PACKET socket fd, composed with the filter it has now. The descriptor is used during
 * the call only and stays the caller's. On failure the socket is as it was. Attaching again composes
 * anew with the classic filter that the socket has by then, or changes nothing.
 * -EPERM: locked by its owner (SO_LOCK_FILTER); -EACCES: has an eBPF filter of its own;
 * -EOPNOTSUPP: its filter uses what eBPF can't express; -ENOMEM: does not fit net.core.optmem_max;
 * -ENOTSOCK, -EPROTOTYPE: not a packet socket; -EAGAIN: another process keeps changing its filter.
 */
SOCKTALLY_API int socktally_attach(struct socktally *meter, int fd,
				   const struct socktally_attach_opts *opts);

/*
 * Sets the socket's own filter, as SO_ATTACH_FILTER would, keeping it metered (attaches if it was
 * not). count 0: no filter, everything is accepted. One packet sees either the old or the new
 * filter. On failure the filter is the one before. Errors as socktally_attach(), and -EINVAL where
 * the kernel would refuse the filter.
 */
SOCKTALLY_API int socktally_set_filter(struct socktally *meter, int fd,
				       const struct sock_filter *insns, size_t count);

/*
 * The socket's own filter, as it was set: up to *count instructions to insns; *count is set to how
 * many it has (0: none). -ENOENT: not metered here; -ENOSPC: room for *count is needed.
 */
SOCKTALLY_API int socktally_get_filter(struct socktally *meter, int fd, struct sock_filter *insns,
				       size_t *count);

/* Gives the socket back with its own filter (or none). -ENOENT: not metered here; -EPERM: locked. */
SOCKTALLY_API int socktally_detach(struct socktally *meter, int fd);

/*
 * Forgets the socket without touching it: for a socket that is closed, or that has got another
 * filter. -ENOENT: not metered here.
 */
SOCKTALLY_API int socktally_forget(struct socktally *meter, uint64_t cookie);

/* Calls fn for every metered socket. */
SOCKTALLY_API int socktally_sockets(struct socktally *meter, socktally_socket_fn fn, void *ctx);

/*
 * Reads all counters as they are now: fn once a path and direction with packets, in no order, then
 * *totals, the sum of what fn was given. fn and totals may be NULL. Takes no system call and no
 * privilege. Each counter is exact once the traffic has stopped.
 */
SOCKTALLY_API int socktally_snapshot(const struct socktally *meter, socktally_cell_fn fn, void *ctx,
				     struct socktally_totals *totals);

/*
 * Intervals for an event loop. socktally_set_interval(): every so many milliseconds (0: no more)
 * thresholds are looked at and fn, if not NULL, is called. socktally_fd(): a descriptor for poll,
 * select or epoll that is readable when that is due; it stays the library's; -errno.
 */
SOCKTALLY_API int socktally_set_interval(struct socktally *meter, unsigned int milliseconds,
					 socktally_interval_fn fn, void *ctx);
SOCKTALLY_API int socktally_fd(struct socktally *meter);

/*
 * Looks whether every socket still has our program on it, and composes anew where somebody has set
 * its filter past the library (struct socktally_gap). That takes two system calls a socket, by the
 * number of the descriptor it was last attached with; a number that is another socket by now is left
 * alone. Then waits at most timeout_ms (0: not at all, -1: as long as it takes) for the interval,
 * looks again, and calls what is due. Returns 0 if the interval isn't over, else 1, or what fn
 * returned if that isn't 0; -EINTR: a signal came first.
 */
SOCKTALLY_API int socktally_poll(struct socktally *meter, int timeout_ms);

/*
 * Calls fn, from socktally_poll(), when a path's rate crosses a bound: once when it goes above, once
 * when it comes back. Starts with the first whole interval after this call. Returns the threshold's
 * number, from 1 on. -EINVAL: bad options, or a path in which no protocol is named so; -ENOMEM.
 */
SOCKTALLY_API int socktally_threshold_add(struct socktally *meter,
					  const struct socktally_threshold_opts *opts,
					  socktally_crossing_fn fn, void *ctx);
/* -ENOENT: there is none with this number. */
SOCKTALLY_API int socktally_threshold_remove(struct socktally *meter, int threshold);

/*
 * Hooks: programs of one's own that every packet of a meter's sockets passes, after the tool's filter
 * and the parser and before it is counted, in the order of their priorities. A hook may drop a packet
 * or cut it; what the sockets then deliver, and what cells have as accepted, is the final verdict.
 * Hooks are written in BPF C with <socktally/hook.bpf.h>, see socktally-hook(7).
 *
 * Every change takes effect between two packets: each one passes the hooks as they were before or as
 * they are after. When the function returns, no packet is on its way through the former ones. A change
 * that fails leaves everything as it was.
 */

/*
 * -EINVAL: not a hook's object file, or bad options; -EEXIST: a hook has this name already; -ENOSPC:
 * SOCKTALLY_MAX_HOOKS are there; -ENOENT and others: the file can't be read; -EACCES and others: the
 * kernel refuses the program, socktally_error() has the verifier's reason; -EOPNOTSUPP: a PREEMPT_RT
 * kernel, or the meter's kernel part is in a broker.
 */
SOCKTALLY_API int socktally_hook_add(struct socktally *meter,
				     const struct socktally_hook_opts *opts);

/*
 * Another program in the place of the hook `name`, which keeps that name unless opts has one, and its
 * counts of what was taken; its maps are new. -ENOENT: there is no such hook.
 */
SOCKTALLY_API int socktally_hook_replace(struct socktally *meter, const char *name,
					 const struct socktally_hook_opts *opts);

/* *last, if not NULL, is what it has taken in the end. */
SOCKTALLY_API int socktally_hook_remove(struct socktally *meter, const char *name,
					struct socktally_hook *last);

/* Moves it behind all others of that priority. */
SOCKTALLY_API int socktally_hook_set_priority(struct socktally *meter, const char *name,
					      int32_t priority);

/* Calls fn for each hook in the order of the chain. fn must not change it. */
SOCKTALLY_API int socktally_hooks(struct socktally *meter, socktally_hook_fn fn, void *ctx);

/*
 * Calls fn for each element, of the hook's map of that name or (NULL) of all of them whose name does
 * not begin with "_"; of arrays, and of global variables, for those that are not zero. Takes system
 * calls.
 */
SOCKTALLY_API int socktally_hook_rows(struct socktally *meter, const char *hook, const char *map,
				      socktally_row_fn fn, void *ctx);

/*
 * The descriptor of a hook's map, for bpf(2). It stays the library's, and is gone with the hook.
 * -ENOENT: there is no such hook or map.
 */
SOCKTALLY_API int socktally_hook_map(struct socktally *meter, const char *hook, const char *map);

/*
 * Classes: named filters that every packet is asked, and counters of what each one accepts. They cost
 * about the same whether there are ten or a thousand of them, as most are decided together. A packet
 * counts in every class whose filter accepts it, or with SOCKTALLY_CLASSES_FIRST in the first of them.
 * In the chain they stand as one hook of the name "classes".
 *
 * An expression is one of pcap-filter(7), and needs libpcap, which is loaded when the first one comes.
 * It is compiled for each kind of link that the meter's sockets have; where it makes no sense for one
 * ("ether host" on a tunnel), none of its packets is in the class.
 */

/*
 * From now on these are the meter's classes, in this order; count 0: none. Those that it had before,
 * by name and expression or filter, go on counting. The change takes effect between two packets; one
 * that fails leaves everything as it was. *failed is only set if the fault is one class's.
 * -EINVAL: an expression or filter that is wrong, a name that is not allowed or there twice; -E2BIG:
 * more than the kernel takes in one program; -ENOSYS: there is no libpcap; -ENETDOWN: "vlan" needs an
 * interface that is up.
 */
SOCKTALLY_API int socktally_set_classes(struct socktally *meter,
					const struct socktally_class *classes, size_t count,
					const struct socktally_classes_opts *opts);

/*
 * Calls fn for each class in order and then, with SOCKTALLY_CLASSES_FIRST, for "none": the packets that
 * are in no class. Takes no system call and no privilege. Each counter is exact once the traffic has
 * stopped. To be called by the thread that uses the meter.
 */
SOCKTALLY_API int socktally_classes(const struct socktally *meter, socktally_class_fn fn,
				    void *ctx);

/*
 * The last failure on this meter in words, or "". Valid until the next call on it. NULL: that of
 * socktally_open() in this thread.
 */
SOCKTALLY_API const char *socktally_error(const struct socktally *meter);

/*
 * The classifier without a kernel. linktype is a LINKTYPE_ number as in a capture file (1 Ethernet,
 * 101 raw IP, 113 and 276 Linux cooked, ...). caplen bytes of data are there, of a packet of len.
 */
struct socktally_path {
	uint8_t layers[SOCKTALLY_MAX_LAYERS]; /* enum socktally_protocol, outermost first */
	uint8_t layer_count;
	uint8_t reserved;
};
SOCKTALLY_API void socktally_classify(uint32_t linktype, const void *data, size_t caplen,
				      struct socktally_path *path);

/* The same with the ports of the meter's options. meter may be NULL. */
SOCKTALLY_API void socktally_classify_for(const struct socktally *meter, uint32_t linktype,
					  const void *data, size_t caplen,
					  struct socktally_path *path);

/* Writes the path as text, as much as fits, always terminated; returns its full length. */
SOCKTALLY_API size_t socktally_path_text(const uint8_t *layers, size_t layer_count, char *text,
					 size_t size);

/* Counts one packet on a meter opened with SOCKTALLY_OPEN_USERSPACE. */
SOCKTALLY_API int socktally_count(struct socktally *meter, uint32_t linktype, const void *data,
				  size_t caplen, size_t len, enum socktally_direction direction);

#ifdef __cplusplus
}
#endif
#endif
