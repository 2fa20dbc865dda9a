/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The shim: a guest in every process of the tool.
 *
 * Its rules: whatever goes wrong, the tool's call is passed on to the kernel untouched. No lock, no
 * malloc, no stdio, so that it works after fork and in a signal handler; no thread, no signal; and a
 * pointer of the tool's is read by the kernel only, so that a bad one gives the tool its EFAULT.
 */
#ifndef SOCKTALLY_PRELOAD_H
#define SOCKTALLY_PRELOAD_H

#include "channel.h"
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
void preload_bind_all(void);

/* How to reach the broker; NULL if there is none (preload_channel.c). */
const struct channel_address *preload_channel(void);
/* variable: the value of CHANNEL_VARIABLE in the environment. */
void preload_channel_set(const struct channel_address *address, char *variable);
/* The process exits, or the broker hangs: from now on every call is passed on, in silence. */
void preload_channel_end(void);
/* Why there is no broker, for the message; error: errno, or 0. */
void preload_channel_none(const char *what, int error);
/* Whether there is a broker to ask; says so once if not. */
bool preload_has_channel(void);
/* Whether no process of this run has warned yet; from now on one has. */
bool preload_first_warning(void);
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
/* errno becomes what it was before the call. */
void exchange_end(struct exchange *exchange);
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

/* Whether fd is a packet socket and there is a broker to ask. errno stays as it was. */
bool preload_meters(int fd);

#endif
