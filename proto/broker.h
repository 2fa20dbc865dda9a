/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * What a broker and its clients say to each other, over a Unix socket of type SOCK_SEQPACKET. A client
 * asks for what takes privileges: the table of a meter, and a BPF program for a socket. It gets a
 * descriptor, and does the rest by itself, as that takes none: it maps the table, and attaches the
 * program to its own socket, which the broker never sees. So descriptors go one way only.
 *
 * Each request has one reply, on the same connection, but for BROKER_ATTACHED, which has none.
 */
#ifndef SOCKTALLY_PROTO_BROKER_H
#define SOCKTALLY_PROTO_BROKER_H

#include <stdint.h>

#define BROKER_MAGIC 0x76736b73u
/* Goes up with each change here or in bpf/table.h: a client reads the broker's table directly. */
#define BROKER_VERSION 4

#define BROKER_MAX_INSNS 4096 /* BPF_MAXINSNS */
#define BROKER_MAX_PORTS 8

enum broker_op {
	BROKER_OPEN = 1,   /* a meter of the connection's own: its table, read-only */
	BROKER_SET_FILTER, /* a program for a socket with this filter, which its owner sets */
};

struct broker_port {
	uint16_t port;
	uint16_t protocol;
};

struct broker_request {
	uint32_t magic;
	uint16_t version;
	uint16_t op;
	uint32_t serial; /* the reply has the same: one that comes late is known by it */
	uint32_t count;  /* instructions that follow */
	uint64_t cookie; /* of the socket */
	int32_t ifindex; /* as in struct st_socket_link */
	uint32_t link;
	uint32_t paths; /* BROKER_OPEN */
	uint32_t flags; /* BROKER_OPEN: SOCKTALLY_OPEN_RECORDS, SOCKTALLY_OPEN_NO_APPLICATIONS */
	uint32_t flows; /* BROKER_OPEN: as in struct socktally_open_opts */
	uint32_t reserved;
	struct broker_port
		ports[BROKER_MAX_PORTS]; /* BROKER_OPEN; the first with port 0 ends them */
	char what[64];                   /* the socket, for messages */
};

struct broker_reply {
	uint32_t magic;
	uint16_t version;
	uint16_t reserved;
	uint32_t serial;
	int32_t error;         /* 0: a descriptor comes with it; -errno: see text */
	uint32_t region_count; /* BROKER_OPEN */
	uint32_t region_size;
	uint32_t program; /* BROKER_SET_FILTER: its id */
	char text[320];
};

_Static_assert(sizeof(struct broker_request) == 144, "no padding");
_Static_assert(sizeof(struct broker_reply) == 348, "no padding");

#endif
