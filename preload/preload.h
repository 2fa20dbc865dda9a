/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The shim: a guest in every process of the tool.
 *
 * Its rules: whatever goes wrong, the tool's call is passed on to the kernel untouched. No lock, no
 * malloc, no stdio, so that it works after fork and in a signal handler; no thread, no signal; and a
 * pointer of the tool's is read by the kernel only, so that a bad one gives the tool its EFAULT.
 */
#ifndef SOCKTALLY_PRELOAD_PRELOAD_H
#define SOCKTALLY_PRELOAD_PRELOAD_H

#include "proto/channel_address.h"
#include "preload/syscall.h"
#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>

#define PRELOAD_EXPORT __attribute__((visibility("default")))

/* next_symbol.c: the next definition of each call, another interposer's or the C library's. */
int next_socket(int domain, int type, int protocol);
int next_bind(int fd, const void *address, socklen_t length);
int next_setsockopt(int fd, int level, int name, const void *value, socklen_t length);
int next_getsockopt(int fd, int level, int name, void *value, socklen_t *length);
int next_close(int fd);
int next_close_range(unsigned int first, unsigned int last, int flags);
void next_closefrom(int first);
/* These two have no fixed number of arguments: as many as there can be are passed on. */
int next_prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d);
long next_syscall(long number, long a, long b, long c, long d, long e, long f);
void next_symbols_find(void);

/*
 * seccomp.c: a seccomp filter may kill the tool for a system call of the shim's. So each function that
 * the shim interposes asks first: where false comes back, nothing but the tool's own call may follow.
 * After true comes preload_leave().
 */
bool preload_enter(void);
void preload_leave(void);
/* In a forked child: the threads between these two are not in this process. */
void preload_forked(void);
/* A call that would have been metered was not, as preload_enter() said no. */
void preload_passed_on(void);
/* At the start of a program, before anything else is done: false if the shim may make no call. */
bool preload_may_start(void);

/* channel.c: how to reach the broker; NULL if there is none. */
const struct channel_address *preload_channel(void);
/* value: that of CHANNEL_VARIABLE, in the environment. */
void preload_channel_set(const struct channel_address *address, char *value);
/* The process exits, or the broker hangs: from now on every call is passed on, in silence. */
void preload_channel_end(void);
/* Why there is no broker, for the message; error: errno, or 0. */
void preload_channel_none(const char *what, int error);
/* Whether there is a broker to ask; says so once if not. */
bool preload_has_channel(void);
/* Whether no process of this run has warned yet; from now on one has. */
bool preload_first_warning(void);
/* This process has set a seccomp filter: the programs that it executes will know. */
void preload_channel_filtered(void);
/* Whether the channel's descriptor is still that socket, and not one that the tool opened since. */
bool preload_channel_is_open(const struct channel_address *address);

/* environment.c: NULL also in a set-user-ID program and the like. */
char *environment_get(const char *name);
bool environment_is_secure(void);
void environment_remove(const char *name);
/* entry: "NAME=VALUE", which stays; there is none of that name. false: no memory. */
bool environment_put(char *entry);

/*
 * rpc.c: one question to the broker, while signals are blocked. Begin, any number of copies, at most
 * one question, end.
 */
struct rpc {
	int mine, theirs; /* a pair of sockets; the broker gets theirs, and replies there */
	int saved_errno;
	struct raw_signals signals; /* that were blocked before */
};

bool rpc_begin(struct rpc *rpc);
/* The same, and nothing is said: 0, or an errno value; errno itself stays. */
int rpc_try(struct rpc *rpc);
/* For copies only: also where no descriptors are left. */
void rpc_begin_copies(struct rpc *rpc);
/* errno becomes what it was before the call. */
void rpc_end(struct rpc *rpc);
/* In a forked child: closes what other threads of the parent were just using. */
void rpc_forked(void);
/* Copies from or to the tool's memory. false: errno is EFAULT if that isn't there, or it can't be done. */
bool rpc_copy(struct rpc *rpc, void *to, const void *from, size_t size);

/* What goes with a question, besides the request itself: either may be memory of the tool's. */
struct rpc_body {
	const void *send;
	size_t send_size;
	void *receive;
	size_t receive_size;
};

/*
 * Asks the broker about the socket fd. false: no answer, and the reason has been said. errno EFAULT
 * if the body is not there, which is not said.
 */
bool rpc_ask(struct rpc *rpc, int fd, enum channel_op op, int ifindex, uint32_t flags,
	     const struct rpc_body *body, struct channel_reply *reply);
/* From begin to end, for a question without a body. The answer, or CHANNEL_PASS without one. */
enum channel_answer rpc_call(int fd, enum channel_op op, int ifindex, uint32_t flags, int *error);
/* Whether no process of this run has set a seccomp filter before; true also without an answer. */
bool rpc_first_seccomp(void);
/* Says that this process exits, and waits for the report for a while. */
void rpc_finish(const struct channel_address *address);

/* warn.c: one line on the tool's standard error, once a process. error: errno, or 0. */
void warn(const char *what, int error);
void warn_init(void);
/* The tool is about to set a seccomp filter: once for all of its processes. */
void warn_filter_comes(void);
/* The tool was started under a seccomp filter: only calls that every program makes, and no waiting. */
void warn_filtered(void);

/* packet_socket.c: whether fd is a packet socket and there is a broker to ask. errno stays. */
bool packet_socket_can_ask(int fd);
/*
 * Whether a descriptor was a packet socket when it was last looked at. The tool may have closed it since:
 * good for what is said, not for what is done.
 */
void packet_socket_note(int fd, bool packet);
bool packet_socket_noted(int fd);

/*
 * filter_cache.c: the tool's filters, in the shim's own memory. First take a place for the socket's new
 * filter (NULL: there is none), then put up to CHANNEL_MAX_INSNS instructions into it, then keep it
 * instead of the one before, or drop it.
 */
struct cached_filter;
struct cached_filter *filter_cache_take(int fd);
struct sock_filter *filter_cache_insns(struct cached_filter *filter);
void filter_cache_keep(struct cached_filter *filter, int fd, uint32_t count);
void filter_cache_drop(struct cached_filter *filter);
void filter_cache_forget(int fd);
/* Keeps the filter that the socket has now, if the kernel shows it. */
void filter_cache_read_kernel(int fd);
/* The tool's filter where the kernel doesn't show it. Other threads may change it meanwhile. */
struct filter_view {
	const struct cached_filter *filter;
	unsigned int version;
	const struct sock_filter *insns;
	uint32_t count;
};
/* false: not known. */
bool filter_cache_get(int fd, struct filter_view *view);
/* After it was used: whether it was the same all the time. */
bool filter_cache_holds(const struct filter_view *view);

#endif
