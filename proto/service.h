/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The protocol between a program without privileges (the client) and `socktally broker --socket`, over
 * a Unix socket of type SOCK_SEQPACKET. One connection is one meter. The client itself does what takes
 * no privilege: it maps the table and attaches programs to its own sockets, which the broker never
 * sees. There are two requests; a descriptor comes with each reply:
 *
 * SERVICE_OPEN: the table, read-only. The meter ends with the connection.
 * SERVICE_LOAD: a BPF program for one socket, made of the socket's classic filter.
 */
#ifndef SOCKTALLY_PROTO_SERVICE_H
#define SOCKTALLY_PROTO_SERVICE_H

#include <stdint.h>

#define SERVICE_MAGIC 0x76736b73u
/* Goes up with each change here or in bpf/table.h: the client reads the broker's table directly. */
#define SERVICE_VERSION 2

enum service_op {
	SERVICE_OPEN = 1,
	SERVICE_LOAD,
};

#define SERVICE_MAX_PORTS 8

struct service_port {
	uint16_t port;
	uint16_t protocol;
};

struct service_request {
	uint32_t magic;
	uint16_t version;
	uint16_t op;
	uint32_t paths; /* SERVICE_OPEN */
	uint32_t flags; /* SERVICE_OPEN: SOCKTALLY_OPEN_RECORDS */
	struct service_port
		ports[SERVICE_MAX_PORTS]; /* SERVICE_OPEN; the first with port 0 ends them */
	uint64_t cookie;                  /* SERVICE_LOAD from here on: of the socket */
	int32_t ifindex;                  /* as in struct st_socket_link */
	uint32_t link;
	uint32_t reserved;
	uint32_t count; /* instructions that follow */
	char what[64];  /* the socket, for messages */
};

struct service_reply {
	uint32_t magic;
	uint16_t version;
	uint16_t reserved;
	int32_t error;         /* 0: a descriptor comes with it; -errno: see text */
	uint32_t region_count; /* SERVICE_OPEN */
	uint32_t region_size;
	uint32_t program; /* SERVICE_LOAD: its id */
	char text[320];
};

_Static_assert(sizeof(struct service_request) == 72 + 64, "no padding");
_Static_assert(sizeof(struct service_reply) == 24 + 320, "no padding");

#endif
