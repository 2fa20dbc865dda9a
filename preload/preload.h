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
#include <stdint.h>
#include <sys/uio.h>

struct sock_filter;

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
 * rpc.c: one question to the broker, while signals are blocked: a second at most, which is no longer than the
 * kernel may take for the tool's call. Begin, at most one question, end.
 */
struct rpc {
	int connection; /* to the broker, of this question; -1: none yet */
	int saved_errno;
	int64_t deadline;           /* in raw_milliseconds() */
	struct raw_signals signals; /* that were blocked before */
};

void rpc_begin(struct rpc *rpc);
/* errno becomes what it was before the call. */
void rpc_end(struct rpc *rpc);
/* A socket that this thread is just using; in a forked child, closes those that other threads were using. */
void rpc_note_descriptor(int fd);
void rpc_forked(void);
/* Copies from or to the tool's memory. false: errno is EFAULT if that isn't there, or it can't be done. */
bool rpc_copy(void *to, const void *from, size_t size);

/* What goes with a question, besides the request itself: either may be memory of the tool's. */
struct rpc_body {
	const void *send;
	size_t send_size;
	void *receive;
	size_t receive_size;
};

/*
 * Asks the broker. false: no answer, and the reason has been said. errno EFAULT if the body is not there,
 * which is not said. *program: with BROKER_PROGRAM its descriptor, which the caller closes; else -1.
 */
bool rpc_ask(struct rpc *rpc, struct broker_request *request, const struct rpc_body *body,
	     struct broker_reply *reply, int *program);
/* The program of the last reply is on its socket; or error: an errno value, EAGAIN: it was not tried. */
void rpc_tell_attached(struct rpc *rpc, int fd, int error);
/* The tool has put a filter on the socket itself. */
void rpc_forget(int fd, uint32_t flags);
/* What the tool was told of its socket's drops: memory of the tool's, `size` bytes of a tpacket_stats_v3. */
void rpc_tell_statistics(int fd, const void *statistics, size_t size);
/* Whether no process of this run has set a seccomp filter before; true also without an answer. */
bool rpc_first_seccomp(void);
/* Says that this process exits, and waits for the report for a while. */
void rpc_finish(const struct channel_address *address);

/* question.c: what the broker has to know of a socket. */
void question_begin(struct broker_request *request, enum broker_op op, int fd);
/* Also of what its packets are; ifindex: of the interface that it is going to have; 0: as it is. */
void question_of_socket(struct broker_request *request, enum broker_op op, int fd, int ifindex);
int socket_option(int fd, int name); /* -1: there is none */
uint64_t socket_cookie(int fd);      /* 0: not known. errno stays. */

/* How many instructions the filter of a socket has; or one of these. */
enum { SLOT_HIDDEN = -1, SLOT_UNKNOWN = -2 };
int slot_look(int fd);
/* 0, or an errno value. count 0: no filter. */
int slot_put_program(int fd, int program);
int slot_put_filter(int fd, const struct sock_filter *insns, uint32_t count);
/* The tool's own filter takes the place of our program, which takes more option memory. errno stays. */
void slot_give_back(int fd);
/* What the kernel says to a filter on a socket without ours: 0 or an errno value. */
enum { SLOT_CANT_TRY = -1 };
int slot_try_filter(int fd, const struct sock_filter *insns, uint32_t count);

/*
 * attach.c: the socket gets a program, with the filter that it has. ifindex: of the interface that it is going
 * to be bound to. Returns whether it is metered now.
 */
bool attach_socket(int fd, int ifindex, uint32_t flags);

/* warn.c: one line on the tool's standard error, once a process. error: errno, or 0. */
void warn(const char *what, int error);
void warn_init(void);
/* The broker's start takes long, and the tool's begins after it. */
void warn_waits(void);
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
 * filter (NULL: there is none), then put up to BROKER_MAX_INSNS instructions into it, then keep it
 * instead of the one before, or drop it.
 */
struct cached_filter;
struct cached_filter *filter_cache_take(int fd);
struct sock_filter *filter_cache_insns(struct cached_filter *filter);
void filter_cache_keep(struct cached_filter *filter, int fd, uint32_t count);
void filter_cache_drop(struct cached_filter *filter);
void filter_cache_forget(int fd);
/*
 * Keeps the filter that the socket has now, if the kernel shows it. Returns how many instructions, or what
 * slot_look() does; SLOT_UNKNOWN also where there is no place.
 */
int filter_cache_read_kernel(int fd);
/* The tool's filter where the kernel doesn't show it. Other threads may change it meanwhile. */
struct filter_view {
	const struct cached_filter *filter;
	unsigned int version;
	const struct sock_filter *insns;
	uint32_t count;
};
/* false: not known. */
bool filter_cache_get(int fd, struct filter_view *view);
/* The same of whatever is kept. */
bool filter_cache_view(int fd, struct filter_view *view);
/* After it was used: whether it was the same all the time. */
bool filter_cache_holds(const struct filter_view *view);

#endif
