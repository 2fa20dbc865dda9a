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

#include "proto/channel.h"
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define PRELOAD_EXPORT __attribute__((visibility("default")))

/* The next definition of each call: another interposer's or the C library's (preload_real.c). */
int real_socket(int domain, int type, int protocol);
int real_bind(int fd, const void *address, socklen_t length);
int real_setsockopt(int fd, int level, int name, const void *value, socklen_t length);
int real_getsockopt(int fd, int level, int name, void *value, socklen_t *length);
int real_close(int fd);
int real_close_range(unsigned int first, unsigned int last, int flags);
void real_closefrom(int first);
/* These have no fixed number of arguments, so the interposing function passes on all there can be. */
typedef int preload_prctl_fn(int option, unsigned long a, unsigned long b, unsigned long c,
			     unsigned long d);
typedef long preload_syscall_fn(long number, long a, long b, long c, long d, long e, long f);
preload_prctl_fn *real_prctl(void); /* NULL where there is none */
preload_syscall_fn *real_syscall(void);
void preload_bind_all(void);

/*
 * A seccomp filter of the tool's may kill it for a system call that it doesn't make itself, and ours
 * are such calls. So each entrance of the shim's asks first (preload_seccomp.c): where false comes
 * back nothing but the tool's own call may follow. After true comes preload_leave().
 */
bool preload_enter(void);
void preload_leave(void);
/* In a forked child: the threads that were within are not in this process. */
void preload_forked(void);
/* A call that would have been metered was not, as preload_enter() said no. */
void preload_passed_on(void);
/* At the start of a program, before anything else is done: false if there is no way to be metered. */
bool preload_enter_first(void);
/* Whether a filter allows every call that the shim makes (preload_seccomp_filter.c). */
struct sock_filter;
bool preload_filter_allows(const struct sock_filter *insns, size_t count);

/* How to reach the broker; NULL if there is none (preload_channel.c). */
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
/* So many seccomp filters are known from now on to this process and what it executes. */
void preload_channel_filters(uint32_t filters);
/* Whether the channel's descriptor is still that socket, and not one that the tool opened since. */
bool preload_channel_is_open(const struct channel_address *address);

/*
 * One call of the tool's, while signals are blocked (preload_exchange.c). Begin, any number of
 * copies, at most one question, end.
 */
struct exchange {
	int mine, theirs;
	int saved_errno;
	unsigned long mask[1024 / (8 * sizeof(unsigned long))];
};

bool exchange_begin(struct exchange *exchange);
/* The same, and nothing is said: 0, or an errno value; errno itself stays. */
int exchange_try(struct exchange *exchange);
/* errno becomes what it was before the call. */
void exchange_end(struct exchange *exchange);
/* In a forked child: closes what other threads of the parent were just using. */
void exchange_forked(void);
/* Copies size bytes, from or to the tool's memory: false, with errno EFAULT, if that is not there. */
bool exchange_copy(struct exchange *exchange, void *to, const void *from, size_t size);

/* What goes with a question, besides the request itself: either may be of the tool's memory. */
struct exchange_body {
	const void *send;
	size_t send_size;
	void *receive;
	size_t receive_size;
};

/*
 * Asks the broker about the socket fd. false: no answer, and the reason has been said. errno EFAULT
 * if the body is not there, which is not said.
 */
bool exchange_ask(struct exchange *exchange, int fd, enum channel_op op, int ifindex,
		  uint32_t flags, const struct exchange_body *body, struct channel_reply *reply);
/* The whole of it, for a question without a body. The answer, or CHANNEL_PASS without one. */
enum channel_answer preload_ask(int fd, enum channel_op op, int ifindex, uint32_t flags,
				int *error);
/* Says that this process exits, and waits for the report for a while. */
void preload_finish(const struct channel_address *address);

/* One line on the tool's standard error, once a process (preload_say.c). error: errno, or 0. */
void preload_say(const char *what, int error);
void preload_say_init(void);
/* The same with system calls that every program needs, and without waiting. */
void preload_say_sandboxed(void);
/* From now on a write to a regular file might be beyond the limit of its size, which is a signal. */
void preload_say_files_limited(void);

/* Whether fd is a packet socket and there is a broker to ask. errno stays as it was. */
bool preload_meters(int fd);
/*
 * What was last known of a descriptor, for where it can't be asked for. The tool may have closed it
 * since: good for what is said, not for what is done.
 */
enum preload_note { NOTE_OTHER, NOTE_PACKET, NOTE_METERED };
void preload_note(int fd, enum preload_note note);
enum preload_note preload_noted(int fd);

/*
 * The tool's filters in the shim's own memory (preload_memory.c). First take a slot for the socket's new
 * filter (NULL: there is none), then put up to CHANNEL_MAX_INSNS instructions into it, then keep it in
 * the place of the one before, or drop it.
 */
struct preload_slot;
struct preload_slot *preload_memory_take(int fd);
struct sock_filter *preload_memory_insns(struct preload_slot *slot);
void preload_memory_keep(struct preload_slot *slot, int fd, uint32_t count);
void preload_memory_drop(struct preload_slot *slot);
void preload_memory_forget(int fd);
/* Keeps the filter that the socket has now, if the kernel shows it. */
void preload_memory_ask_kernel(int fd);
/*
 * How many instructions the tool's filter has where the kernel doesn't show it; -1: not known. They may
 * change as soon as another thread sets a filter.
 */
int preload_memory_count(int fd, const struct sock_filter **insns);

#endif
