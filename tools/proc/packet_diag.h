/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* The packet sockets of a network namespace, as the kernel lists them (NETLINK_SOCK_DIAG). */
#ifndef SOCKTALLY_TOOLS_PROC_PACKET_DIAG_H
#define SOCKTALLY_TOOLS_PROC_PACKET_DIAG_H

#include <linux/filter.h>
#include <linux/packet_diag.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum packet_diag_filter {
	PACKET_DIAG_FILTER_HIDDEN, /* not without CAP_NET_ADMIN */
	PACKET_DIAG_FILTER_ABSENT, /* none, or an eBPF one: the kernel makes no difference */
	PACKET_DIAG_FILTER_CLASSIC,
};

struct packet_diag_socket {
	uint64_t cookie;   /* SO_COOKIE */
	uint32_t inode;    /* 0: no file belongs to it */
	int type;          /* SOCK_RAW, SOCK_DGRAM, SOCK_PACKET */
	uint16_t protocol; /* an EtherType; 0: it receives nothing */
	int ifindex;       /* 0: every interface */
	bool running;      /* bound, so that packets come */
	bool promiscuous;
	bool has_uid, has_fanout, has_drops;
	uint32_t uid; /* of who made it */
	uint32_t fanout;
	uint32_t version; /* of the ring: enum tpacket_versions */
	uint32_t drops; /* for want of room in the queue; what a ring has no room for isn't in it */
	struct packet_diag_ring ring; /* for receiving; all zero: none */
	enum packet_diag_filter filter;
	struct sock_filter *insns; /* malloc'ed */
	size_t insn_count;
};

/*
 * netlink: a socket from packet_diag_open(), made in the namespace to list. filters: read these, too.
 * *sockets is malloc'ed, freed by packet_diag_free(). -errno.
 */
int packet_diag_open(void);
int packet_diag_read(int netlink, bool filters, struct packet_diag_socket **sockets, size_t *count);
void packet_diag_free(struct packet_diag_socket *sockets, size_t count);

/* SO_COOKIE of a socket in hand; 0: the kernel does not tell it. */
uint64_t packet_diag_cookie(int fd);

#endif
