/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * What serves the clients of a broker (proto/broker.h): a process that works for one client only, be it a
 * program that uses libsocktally or a tool with all of its processes. So whatever a client does to the process
 * that serves it, nobody else waits.
 *
 * No client is trusted. It can ask for a program made of a classic filter, and for nothing else.
 */
#ifndef SOCKTALLY_TOOLS_SERVER_SERVER_H
#define SOCKTALLY_TOOLS_SERVER_SERVER_H

#include "plugin/attach/attach.h"
#include "proto/broker.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

/* --- message.c */

struct server_message {
	struct broker_request head;
	struct sock_filter insns[BROKER_MAX_INSNS];
};

enum server_received {
	SERVER_NOTHING,       /* not yet */
	SERVER_REQUEST,       /* one whose form is right */
	SERVER_OTHER_RELEASE, /* one of another version */
	SERVER_NONSENSE,      /* none; or descriptors came with it, which are not received */
	SERVER_END,           /* of the connection */
};

/* Does not wait. *sender: the process, where the socket has SO_PASSCRED; else 0. */
enum server_received server_receive(int fd, struct server_message *message, pid_t *sender);

/*
 * Sends the reply with a descriptor, or -1; without an answer that is BROKER_PROGRAM or BROKER_PASS. false: the
 * client is gone, or does not read its replies, and is not waited for.
 */
bool server_reply(int fd, const struct broker_request *request, struct broker_reply *reply,
		  int descriptor);
/* The same with reply->count instructions behind it; NULL: with none. */
bool server_reply_filter(int fd, const struct broker_request *request, struct broker_reply *reply,
			 int descriptor, const struct sock_filter *insns);
bool server_refuse(int fd, const struct broker_request *request, int error, const char *text);

/*
 * Sends a descriptor, or none (-1), with some bytes, and does not wait; receives one, or none, from a process of
 * our own.
 */
bool server_send_descriptor(int to, struct iovec *parts, size_t count, int descriptor);
ssize_t server_receive_descriptor(int from, void *data, size_t size, int *descriptor);

/* Nobody can send descriptors to this socket, where the kernel has SO_PASSRIGHTS (Linux 6.16). */
void server_take_no_descriptors(int fd);

/* --- bound.c */

/* What a filter may be for the verifier at most: instructions, each as often as it may be looked at. */
#define SERVER_WORK 65536u
/* The same of a filter whose jumps may be wrong; SERVER_WORK: that, or more. */
uint32_t server_work(const struct sock_filter *insns, size_t count);

/* --- load.c */

/* What a client may ask for, from one moment to the next, and for how long it may keep the verifier busy. */
#define SERVER_LOADS_PER_SECOND 1000
#define SERVER_LOADS_AT_ONCE 10000
#define SERVER_LOAD_MILLISECONDS 500 /* for one program, as the clock goes */

struct server_budget {
	unsigned int seconds; /* of processor time a minute */
	int64_t rate_used; /* CLOCK_MONOTONIC in microseconds: the rate is used up to that time */
	bool slowed;       /* it has been used up at some time */
	int64_t minute;    /* when the present minute began, likewise */
	int64_t processor; /* microseconds of this process, used when it began */
};

/*
 * A program for a socket, as st_socket_program_load(), within the client's budget. What may keep the
 * verifier busy for too long is refused before the kernel sees it. *program is set to its id, *memory to the bytes that it takes. A descriptor; or -errno, with the meter's
 * message.
 */
int server_load(struct socktally *meter, struct server_budget *budget,
		const struct st_socket_link *link, const struct sock_filter *insns, size_t count,
		uint32_t *program, size_t *memory);

#endif
