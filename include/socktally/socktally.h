/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * socktally: exact protocol counts for the capture socket you already have.
 *
 * A meter (struct socktally) is a table of counters and the kernel program that fills it. Attach it to
 * any number of AF_PACKET sockets: from then on the kernel counts every packet that reaches them, by its
 * path of protocols, whether the socket's filter accepts it or not. What the socket delivers stays what
 * its own filter says.
 *
 * "plugin.h" has the types that are the same for a program that loads the library with dlopen(), how
 * structs of different ages go together, who owns what, and what fork(), setuid() and dlclose() do.
 *
 * For all functions:
 *
 * Returns: 0, a positive value where a function says so, or a negative errno value. errno stays as it
 * was. socktally_error() has a sentence about the last failure, which names the cause.
 *
 * Errors: -EINVAL: the meter is NULL or closed, or a pointer that is needed is NULL. -EBUSY: called from
 * a callback that is given an element of the list that would be changed. -ECANCELED, of functions with
 * callbacks: a callback has closed the meter.
 *
 * Threads: a meter is used by one thread at a time. socktally_snapshot() may be called by any thread at
 * any time between open and close. Different meters are independent. What is said otherwise stands with
 * the function.
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

/*
 * The release, as "1.0.0".
 * Threads: any.
 */
SOCKTALLY_API const char *socktally_version(void);

/*
 * Makes a meter. opts may be NULL. *meter is set on success only, and then the caller's until
 * socktally_close(). socktally_error(NULL) has the reason of a failure.
 * Errors:
 *   -EPERM: BPF is not permitted (CAP_BPF, better with CAP_PERFMON; before Linux 5.8
 *     CAP_SYS_ADMIN); or, before Linux 5.11, RLIMIT_MEMLOCK is too low; or the broker belongs
 *     neither to root nor to this user.
 *   -EACCES: the verifier refuses the program, mostly for want of CAP_PERFMON; or this user may
 *     not use the broker.
 *   -EINVAL: meter is NULL, or bad options.
 *   -E2BIG: options that this release does not have, or more paths than this kernel can hold.
 *   -ENOMEM.
 *   -EMFILE: no descriptor is left, or there are 4096 meters.
 *   -ENOSYS: the kernel has no bpf(2), or the number of CPUs can't be found out.
 *   -ENOENT, -ECONNREFUSED: there is no broker.
 *   -ETIMEDOUT, -ECONNRESET, -EPROTO: it does not answer, has ended, or is of another release.
 * Threads: any.
 */
SOCKTALLY_API int socktally_open(struct socktally **meter, const struct socktally_open_opts *opts);

/*
 * Ends the meter: sockets that are still attached go on with exactly their own filter, uncounted, and no
 * other meter can be attached to them then (socktally_detach() gives them back). In a callback it takes
 * effect when the call returns in which the callback runs. NULL, or a meter that is closed, is allowed.
 * Threads: that of the meter; no other one may be in a call on it.
 */
SOCKTALLY_API void socktally_close(struct socktally *meter);

/*
 * Meters the AF_PACKET socket fd, with the filter that it has now. opts may be NULL. The descriptor is
 * used during the call only and stays the caller's. Attaching again takes the classic filter that the
 * socket has by then, or changes nothing. On failure the socket is as it was.
 * Errors:
 *   -EBADF, -ENOTSOCK: fd is no socket.
 *   -EPROTOTYPE: it is not a packet socket.
 *   -EPERM: it is locked by its owner (SO_LOCK_FILTER); or BPF is not permitted (any more).
 *   -EACCES: it has an eBPF filter that is not this meter's; or the verifier refuses the
 *     program, mostly for want of CAP_PERFMON.
 *   -EOPNOTSUPP: its filter uses what eBPF can't express.
 *   -E2BIG: the filter is too long as eBPF; or classes would be of too many kinds of links; or
 *     options that this release does not have.
 *   -ENOMEM: no memory; or filter and program don't fit into net.core.optmem_max.
 *   -EAGAIN: another process keeps changing its filter; or signals keep interrupting the
 *     verifier.
 *   -EINVAL: bad options, or a meter without a kernel part.
 *   -ECONNRESET, -ETIMEDOUT, -EPROTO: as socktally_open().
 *   -EBUSY: as above.
 */
SOCKTALLY_API int socktally_attach(struct socktally *meter, int fd,
				   const struct socktally_attach_opts *opts);

/*
 * Sets the socket's own filter, as SO_ATTACH_FILTER would, and keeps it metered (attaches it if it was
 * not). count 0: no filter, all packets are accepted. insns is read during the call only. Each packet
 * meets either the old or the new filter. On failure the filter is the one before.
 * Errors:
 *   as socktally_attach(), without -EAGAIN for a filter that changes.
 *   -EINVAL: also a filter that the kernel would refuse.
 */
SOCKTALLY_API int socktally_set_filter(struct socktally *meter, int fd,
				       const struct sock_filter *insns, size_t count);

/*
 * The socket's own filter, as it was set. *count: room in insns, in instructions; it becomes how many the
 * filter has (0: there is none). insns may be NULL if there are none.
 * Errors:
 *   -ENOENT: the socket is not on this meter.
 *   -ENOSPC: *count was too small, and is right now.
 *   -EINVAL: insns is NULL though there is a filter.
 *   -EBADF, -ENOTSOCK, -EPROTOTYPE: as socktally_attach().
 */
SOCKTALLY_API int socktally_get_filter(struct socktally *meter, int fd, struct sock_filter *insns,
				       size_t *count);

/*
 * Gives the socket back with its own filter, or none. If another filter has taken our program's place
 * since, that one stays, and the socket is forgotten.
 * Errors:
 *   -ENOENT: it is not on this meter.
 *   -EPERM: it is locked (SO_LOCK_FILTER) since.
 *   -ENOMEM.
 *   -EBADF, -ENOTSOCK, -EPROTOTYPE: as socktally_attach().
 *   -EBUSY: from a callback of socktally_sockets(), gap or log.
 */
SOCKTALLY_API int socktally_detach(struct socktally *meter, int fd);

/*
 * Forgets the socket without touching it: for one that is closed, or has got another filter. cookie: its
 * SO_COOKIE.
 * Errors:
 *   -ENOENT: it is not on this meter.
 *   -EBUSY: as socktally_detach().
 */
SOCKTALLY_API int socktally_forget(struct socktally *meter, uint64_t cookie);

/*
 * Calls fn for every metered socket, in no order.
 * Returns: 0, or what fn returned to end it.
 * Errors:
 *   -EINVAL: fn is NULL.
 *   From fn socktally_attach(), set_filter(), detach(), forget() and poll() are -EBUSY.
 */
SOCKTALLY_API int socktally_sockets(struct socktally *meter, socktally_socket_fn fn, void *ctx);

/*
 * Reads all counters as they are now: calls fn once for each path and direction with packets, in no
 * order, then sets *totals to the sum of what fn was given. fn and totals may be NULL. No counter is
 * lower than in an earlier snapshot; all are exact once the traffic has stopped. Takes no system call and
 * no privilege.
 * Returns: 0, or what fn returned to end it; *totals is then the sum so far.
 * Errors:
 *   -ENOMEM: on a machine with more than 1024 CPUs.
 * Threads: any, also several at once. With SOCKTALLY_OPEN_USERSPACE: not while another thread
 *   counts.
 */
SOCKTALLY_API int socktally_snapshot(const struct socktally *meter, socktally_cell_fn fn, void *ctx,
				     struct socktally_totals *totals);

/*
 * What was counted since the last call on this meter: calls fn for each path and direction whose counters
 * have moved, with the difference, in no order, then sets *totals to the sum of what fn was given. The
 * first call is about all since the meter was made. fn and totals may be NULL. Where fn ends the walk, the
 * rows that it was not given come with the next call; added up, the calls are the snapshot. A packet may
 * be in one call as seen and in the next as accepted.
 * Returns: 0, or what fn returned to end it; *totals is then the sum so far.
 * Errors:
 *   -ENOMEM: nothing was told, and nothing is lost.
 *   -EBUSY: from fn, and from log.
 */
SOCKTALLY_API int socktally_changes(struct socktally *meter, socktally_cell_fn fn, void *ctx,
				    struct socktally_totals *totals);

/*
 * An interval for an event loop: every so many milliseconds thresholds are looked at and fn, if it is not
 * NULL, is called, both by socktally_poll(). 0 milliseconds: no more. The first interval begins now.
 * Errors:
 *   -EMFILE, -ENFILE, -ENOMEM: no timer can be made.
 */
SOCKTALLY_API int socktally_set_interval(struct socktally *meter, unsigned int milliseconds,
					 socktally_interval_fn fn, void *ctx);
/*
 * Returns: a descriptor for poll(2), select(2) or epoll(7) that is readable when socktally_poll() is
 *   due: when an interval is over, and when the broker has ended. The kernel does not tell of filters
 *   that are set past the library; an interval looks for them. It stays the library's, and is the
 *   same until the meter is closed.
 * Errors:
 *   as socktally_set_interval().
 */
SOCKTALLY_API int socktally_fd(struct socktally *meter);

/*
 * Looks whether every socket still has our program on it, and attaches again where somebody has set its
 * filter past the library (struct socktally_gap). That takes two system calls a socket, by the number of
 * the descriptor that it was last attached with; a number that is another socket by now is left alone.
 * Then waits at most timeout_ms (0: not at all, -1: without end) for the end of the interval, looks
 * again, and calls what is due: thresholds, then fn of socktally_set_interval().
 * Returns: 0 if the interval is not over, else 1, or what fn returned if that is not 0.
 * Errors:
 *   -EINTR: a signal came first; it is not logged.
 *   -EMFILE, -ENFILE, -ENOMEM: as socktally_set_interval().
 *   -EBUSY: from a callback that is given a socket, hook, row or class, and from log. A socket
 *     that can't be attached again is told to gap, not here.
 */
SOCKTALLY_API int socktally_poll(struct socktally *meter, int timeout_ms);

/*
 * Has fn called, from socktally_poll(), when a rate crosses a bound: once when it goes above, once when
 * it comes back. Rates are looked at once an interval, so socktally_set_interval() is needed; the first
 * one is that of the first whole interval after this call. fn may add and remove thresholds.
 * Returns: the threshold's number, from 1 on.
 * Errors:
 *   -EINVAL: opts or fn is NULL, unknown flags or rate, bounds that are not 0 <= below <= above,
 *     or a path in which no protocol is named so.
 *   -E2BIG: options that this release does not have.
 *   -ENOMEM.
 */
SOCKTALLY_API int socktally_threshold_add(struct socktally *meter,
					  const struct socktally_threshold_opts *opts,
					  socktally_crossing_fn fn, void *ctx);
/*
 * Errors:
 *   -ENOENT: there is none with this number.
 */
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
 * Adds a hook. What opts points to is read during the call only.
 * Errors:
 *   -EINVAL: bad options, not a hook's object file, or a meter without a kernel part.
 *   -EEXIST: a hook has this name already.
 *   -ENOSPC: SOCKTALLY_MAX_HOOKS are there.
 *   -ENOENT, -EACCES, -EIO and others: the file can't be read.
 *   -EACCES, -E2BIG and others: the verifier refuses the program; socktally_error() has its
 *     reason.
 *   -EPERM: BPF is not permitted.
 *   -E2BIG: options that this release does not have, or maps that are too large.
 *   -ENOMEM.
 *   -EOPNOTSUPP: a PREEMPT_RT kernel, a kernel without what the hook needs, or a meter whose
 *     kernel part is in a broker.
 *   -EBUSY: from a callback that is given a hook, row or class, and from log.
 */
SOCKTALLY_API int socktally_hook_add(struct socktally *meter,
				     const struct socktally_hook_opts *opts);

/*
 * Puts another program in the place of the hook `name`. It keeps that name unless opts has one, and its
 * counts of what was taken; its maps are new.
 * Errors:
 *   as socktally_hook_add().
 *   -ENOENT: also that there is no such hook.
 */
SOCKTALLY_API int socktally_hook_replace(struct socktally *meter, const char *name,
					 const struct socktally_hook_opts *opts);

/*
 * Removes a hook. *last, if last is not NULL, is what it has taken in the end; its name is the caller's.
 * Errors:
 *   -ENOENT: there is no such hook.
 *   -EBUSY: as socktally_hook_add().
 */
SOCKTALLY_API int socktally_hook_remove(struct socktally *meter, const char *name,
					struct socktally_hook *last);

/*
 * Moves a hook behind all others of that priority.
 * Errors:
 *   as socktally_hook_remove().
 */
SOCKTALLY_API int socktally_hook_set_priority(struct socktally *meter, const char *name,
					      int32_t priority);

/*
 * Calls fn for each hook in the order of the chain.
 * Returns: 0, or what fn returned to end it.
 * Errors:
 *   -EINVAL: fn is NULL.
 *   From fn all that changes the chain is -EBUSY: hooks, classes, attaching, filters and
 *     socktally_poll().
 */
SOCKTALLY_API int socktally_hooks(struct socktally *meter, socktally_hook_fn fn, void *ctx);

/*
 * Calls fn for each element of the hook's map of that name or (map NULL) of all whose name does not begin
 * with "_"; of arrays, and of global variables, for those that are not zero. Takes system calls.
 * Returns: 0, or what fn returned to end it.
 * Errors:
 *   -EINVAL: fn is NULL.
 *   -ENOENT: there is no such hook or map.
 *   -ENOMEM.
 *   -EPERM and others: the kernel does not let us read the map.
 *   From fn: as socktally_hooks().
 */
SOCKTALLY_API int socktally_hook_rows(struct socktally *meter, const char *hook, const char *map,
				      socktally_row_fn fn, void *ctx);

/*
 * Returns: the descriptor of a hook's map, for bpf(2). It stays the library's, and is gone with the
 *   hook.
 * Errors:
 *   -ENOENT: there is no such hook or map.
 *   -EINVAL: map is NULL.
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
 * From now on these are the meter's classes, in this order; count 0: none. Those that it had before, by
 * name and expression or filter, go on counting. The change takes effect between two packets; one that
 * fails changes nothing. classes and opts are read during the call only; opts may be NULL.
 * *opts->failed is only set if the fault is one class's.
 * Errors:
 *   -EINVAL: an expression or filter that is wrong, a name that is not allowed or there twice,
 *     or bad options.
 *   -E2BIG: more than the kernel takes in one program, sockets of too many kinds of links, or
 *     options that this release does not have.
 *   -ENOSYS: there is no libpcap.
 *   -ENETDOWN: "vlan" needs an interface that is up.
 *   -ENOMEM.
 *   -EPERM, -EACCES: as socktally_attach().
 *   -EOPNOTSUPP: as socktally_hook_add(), or a filter that eBPF can't express.
 *   -EBUSY: as socktally_hook_add().
 */
SOCKTALLY_API int socktally_set_classes(struct socktally *meter,
					const struct socktally_class *classes, size_t count,
					const struct socktally_classes_opts *opts);

/*
 * Calls fn for each class in order and then, with SOCKTALLY_CLASSES_FIRST, for "none": the packets that
 * are in no class. Each counter is exact once the traffic has stopped. Takes no system call and no
 * privilege.
 * Returns: 0, or what fn returned to end it.
 * Errors:
 *   -EINVAL: fn is NULL.
 *   From fn: as socktally_hooks().
 */
SOCKTALLY_API int socktally_classes(const struct socktally *meter, socktally_class_fn fn,
				    void *ctx);

/*
 * Groups: counts by the values of header fields. Each combination of values that packets have, in each
 * direction, has a row; rows, "other" and "none" add up to all packets since the group was added, in every
 * counter. In the chain a group stands as a hook of the kind "group"; every change takes effect between two
 * packets.
 */

/*
 * Adds a group. What opts points to is read during the call only.
 * Errors:
 *   -EINVAL: no such field, too many, or a name that is not allowed, which socktally_error()
 *     says, with the nearest fields; or options that make no sense.
 *   -EEXIST: a group has this name already.
 *   -ENOSPC: the chain has all its hooks.
 *   -E2BIG: options that this release does not have.
 *   -ENOMEM.
 *   -EPERM, -EACCES: as socktally_attach().
 *   -EOPNOTSUPP, -EBUSY: as socktally_hook_add().
 */
SOCKTALLY_API int socktally_group_add(struct socktally *meter,
				      const struct socktally_group_opts *opts);

/*
 * Removes a group, and calls `last`, if it is not NULL, for all of its rows as they are in the end: no packet
 * is on its way to it then.
 * Returns: 0, or what `last` returned to end it; the group is removed all the same.
 * Errors:
 *   -ENOENT: there is none of this name.
 *   -EBUSY: as socktally_hook_remove().
 */
SOCKTALLY_API int socktally_group_remove(struct socktally *meter, const char *name,
					 socktally_group_row_fn last, void *ctx);

/*
 * Calls fn for each group, in the order in which they were added.
 * Returns: 0, or what fn returned to end it.
 * Errors:
 *   -EINVAL: fn is NULL.
 *   From fn: as socktally_hooks().
 */
SOCKTALLY_API int socktally_groups(struct socktally *meter, socktally_group_fn fn, void *ctx);

/*
 * Calls fn for each row, those with most bytes first, at most `most` of them (0: as many as the group's
 * options say, UINT32_MAX: all), then in each direction for "other", which is all that is in no row that fn
 * was given, and for "none". Where the table was full a row may lack bytes: row->missing_bytes. Takes no
 * system call and no privilege.
 * Returns: 0, or what fn returned to end it.
 * Errors:
 *   -ENOENT: there is no such group.
 *   -EINVAL: fn or name is NULL.
 *   -ENOMEM.
 *   From fn: as socktally_hooks().
 */
SOCKTALLY_API int socktally_group_rows(struct socktally *meter, const char *name, uint32_t most,
				       socktally_group_row_fn fn, void *ctx);

/*
 * Calls fn for each field that packets can be grouped by, with its name and a sentence on it.
 * Returns: 0, or what fn returned to end it.
 * Errors:
 *   -EINVAL: fn is NULL.
 * Threads: any.
 */
SOCKTALLY_API int socktally_group_fields(socktally_group_field_fn fn, void *ctx);

/*
 * The last failure on this meter in words, or "". Valid until the next call on it. NULL: that of
 * socktally_open() in this thread. Never NULL.
 */
SOCKTALLY_API const char *socktally_error(const struct socktally *meter);

/*
 * The classifier without a kernel: *path becomes the path of a packet of which caplen bytes are there.
 * linktype: a LINKTYPE_ number as in a capture file (1 Ethernet, 101 raw IP, 113 and 276 Linux cooked,
 * ...). A packet that is cut short ends its path at the last layer that is whole.
 * Threads: any.
 */
SOCKTALLY_API void socktally_classify(uint32_t linktype, const void *data, size_t caplen,
				      struct socktally_path *path);

/*
 * The same with the UDP ports of the meter's options. meter may be NULL: the standard ones.
 * Threads: any.
 */
SOCKTALLY_API void socktally_classify_for(const struct socktally *meter, uint32_t linktype,
					  const void *data, size_t caplen,
					  struct socktally_path *path);

/*
 * Writes a path as text, as much as fits into size bytes, always terminated if size is not 0. One layer
 * alone gives a protocol's name. A number that is no protocol is "?".
 * Returns: the full length, without the NUL.
 * Threads: any.
 */
SOCKTALLY_API size_t socktally_path_text(const uint8_t *layers, size_t layer_count, char *text,
					 size_t size);

/*
 * Counts one packet on a meter opened with SOCKTALLY_OPEN_USERSPACE. linktype: as socktally_classify().
 * len: its length on the wire, in bytes, of which caplen are there.
 * Errors:
 *   -EINVAL: the meter has a kernel part, or data is NULL and caplen is not 0.
 *   -ENOMEM: no memory for classes of this link type.
 */
SOCKTALLY_API int socktally_count(struct socktally *meter, uint32_t linktype, const void *data,
				  size_t caplen, size_t len, enum socktally_direction direction);

#ifdef __cplusplus
}
#endif
#endif
