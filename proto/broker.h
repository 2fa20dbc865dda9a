/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * What a broker and its clients say to each other, over a Unix socket of type SOCK_SEQPACKET. The clients are
 * the shim in a tool, and the library in a program without privileges. A client asks for what takes
 * privileges: the table of a meter, and a BPF program for a socket. It gets a descriptor, and does the rest
 * by itself, as that takes none: it maps the table, and attaches the program to its own socket, which the
 * broker never sees. So descriptors go one way only.
 *
 * Each request has one reply, on the same connection, but for BROKER_ATTACHED, which has none.
 */
#ifndef SOCKTALLY_PROTO_BROKER_H
#define SOCKTALLY_PROTO_BROKER_H

#include <stdint.h>

#define BROKER_MAGIC 0x76736b73u
/*
 * Goes up with each change in proto/, so of what is in the environment, too, or in bpf/table.h: a client reads
 * the broker's table directly.
 */
#define BROKER_VERSION 6

#define BROKER_TOKEN_SIZE 16
#define BROKER_MAX_INSNS 4096 /* BPF_MAXINSNS */
#define BROKER_MAX_PORTS 8

/*
 * What a process of the tool sends first where it connects to the abstract address, at which anybody may.
 * Nothing else is looked at before. It has no reply.
 */
struct broker_hello {
	uint32_t magic;
	uint16_t version;
	uint16_t reserved;
	uint8_t token[BROKER_TOKEN_SIZE];
};

enum broker_op {
	/* of the library: a meter of the connection's own; its table, read-only */
	BROKER_OPEN = 1,
	/* of both: a program for a socket, with the filter that follows, which its owner sets */
	BROKER_SET_FILTER,
	/* of the shim: a program with the filter that the socket has, which follows if it is a classic one */
	BROKER_ATTACH,
	BROKER_DETACH_FILTER, /* a program without a filter, if the tool has one */
	BROKER_ATTACHED,      /* the program of the last reply is on its socket, or error */
	BROKER_GET_FILTER,    /* the reply has the tool's filter of a socket */
	BROKER_FORGET,        /* the tool has put a filter on the socket itself */
	BROKER_FINISH,        /* the tool exits; the reply comes after the report */
	BROKER_SECCOMP,       /* it sets a seccomp filter; EALREADY: not the run's first one */
	BROKER_STATISTICS,    /* what the tool was told when it asked its socket for its drops */
};

struct broker_port {
	uint16_t port;
	uint16_t protocol;
};

/* Flags. BROKER_OPEN has SOCKTALLY_OPEN_RECORDS, SOCKTALLY_OPEN_NO_APPLICATIONS. */
#define BROKER_BEFORE_BIND 0x1u /* BROKER_ATTACH: as SOCKTALLY_ATTACH_BEFORE_BIND */
#define BROKER_HIDDEN 0x2u      /* BROKER_ATTACH: an eBPF program is on the socket */
#define BROKER_EBPF 0x4u        /* BROKER_FORGET: the tool's new filter is eBPF */

struct broker_request {
	uint32_t magic;
	uint16_t version;
	uint16_t op;
	uint32_t serial; /* the reply has the same: one that comes late is known by it */
	uint32_t count; /* instructions that follow; BROKER_GET_FILTER: there is room for so many */
	uint64_t cookie; /* of the socket */
	int32_t ifindex; /* of its interface, or the one that it is going to have; 0: all of them */
	uint32_t link;   /* as in struct st_socket_link; 0: what type and hardware say */
	uint32_t flags;
	uint16_t type;          /* SO_TYPE */
	uint16_t hardware;      /* of the interface: ARPHRD_ */
	int32_t fd;             /* the socket's number in the tool, for messages */
	int32_t error;          /* BROKER_ATTACHED: 0, or an errno value */
	uint32_t option_memory; /* that the socket takes; 0: not known */
	union {
		struct { /* BROKER_OPEN: as in struct socktally_open_opts */
			uint32_t paths, flows, reserved;
		};
		uint32_t statistics[3]; /* BROKER_STATISTICS: packets, drops, freezes */
	};
	struct broker_port
		ports[BROKER_MAX_PORTS]; /* BROKER_OPEN; the first with port 0 ends them */
	char interface[16];              /* a name; "": its number serves */
	char what[64];                   /* the socket, for messages; "": fd and interface serve */
};

enum broker_answer {
	BROKER_PROGRAM = 1, /* a descriptor comes with it: of a program, or of a table */
	BROKER_DONE,        /* nothing is to be done: the call's result is in error */
	BROKER_PASS,        /* leave it to the kernel; the reason is in error and text */
};

struct broker_reply {
	uint32_t magic;
	uint16_t version;
	uint16_t answer;
	uint32_t serial;
	int32_t error;         /* BROKER_DONE: 0 or an errno value; BROKER_PASS: -errno */
	uint32_t count;        /* BROKER_GET_FILTER: instructions of the filter, which follow */
	uint32_t region_count; /* BROKER_OPEN */
	uint32_t region_size;
	uint32_t program; /* the program's id */
	char text[320];
};

_Static_assert(sizeof(struct broker_hello) == 24, "no padding");
_Static_assert(sizeof(struct broker_request) == 176, "no padding");
_Static_assert(sizeof(struct broker_reply) == 352, "no padding");

#endif
