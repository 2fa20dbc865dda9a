/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * What the shim (in the tool) and the broker say to each other.
 *
 * A request is one SOCK_SEQPACKET message with two descriptors: where to reply, and the tool's
 * socket. It goes over the channel, a socket that the tool inherits; where that is gone, over a new
 * connection to the broker's abstract address. Each request stands alone, so that processes and
 * threads of the tool share the channel without a lock.
 *
 * The reply comes in two messages. CHANNEL_BEGIN is sent before the socket is touched: a shim that
 * has given up by then has shut its end down, so the send fails and the broker leaves the socket
 * alone. Else an answer that comes too late could undo what the tool did to its socket meanwhile.
 */
#ifndef SOCKTALLY_PROTO_CHANNEL_H
#define SOCKTALLY_PROTO_CHANNEL_H

#include <stdint.h>

#define CHANNEL_MAGIC 0x79746b73u
#define CHANNEL_VERSION 3
#define CHANNEL_TOKEN_SIZE 16
#define CHANNEL_MAX_INSNS 4096 /* BPF_MAXINSNS */

/*
 * The descriptors that the shim starts a broker with, besides standard error: the broker's end of
 * the channel, the listening socket, the tool's pidfd, and its lifeline, a file that the tool has
 * mapped and locked. Mapping and lock go on in a forked child that closes all its descriptors; once
 * the lock is free, no such process is left.
 */
enum channel_descriptor {
	CHANNEL_SERVER = 3,
	CHANNEL_LISTENER = 4,
	CHANNEL_PIDFD = 5,
	CHANNEL_LIFELINE = 6,
};

enum channel_op {
	CHANNEL_ATTACH = 1, /* meter the socket; ifindex as in socktally_attach_opts */
	CHANNEL_SET_FILTER, /* SO_ATTACH_FILTER; the instructions follow */
	CHANNEL_DETACH_FILTER,
	CHANNEL_GET_FILTER, /* the reply has the instructions */
	CHANNEL_FORGET,     /* the tool has put a filter on the socket itself */
	CHANNEL_FINISH,     /* no socket: the tool exits; the reply comes after the report */
	CHANNEL_SECCOMP, /* no socket: it sets a seccomp filter; EALREADY: not the run's first one */
};

#define CHANNEL_BEFORE_BIND 0x1u /* CHANNEL_ATTACH: as SOCKTALLY_ATTACH_BEFORE_BIND */
#define CHANNEL_EBPF 0x1u        /* CHANNEL_FORGET: the tool's new filter is eBPF */

struct channel_request {
	uint32_t magic;
	uint16_t version;
	uint16_t op;
	uint8_t token[CHANNEL_TOKEN_SIZE];
	int32_t ifindex;
	uint32_t flags; /* CHANNEL_GET_FILTER: room for so many instructions */
	int32_t fd;     /* the socket's number in the tool, for messages */
	uint32_t count; /* instructions that follow */
};

enum channel_answer {
	CHANNEL_BEGIN = 1,
	CHANNEL_DONE, /* the call is done, with the result in error */
	CHANNEL_PASS, /* leave it to the kernel */
};

struct channel_reply {
	uint32_t magic;
	uint16_t version;
	uint16_t answer;
	int32_t error;  /* 0 or an errno value, for the tool */
	uint32_t count; /* CHANNEL_GET_FILTER: instructions that the filter has; they follow */
};

_Static_assert(sizeof(struct channel_request) == 40, "no padding");
_Static_assert(sizeof(struct channel_reply) == 16, "no padding");

#endif
