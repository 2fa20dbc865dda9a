/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The parser's state, and the bounds of what it reads, in the kernel and natively. */
#ifndef SOCKTALLY_BPF_PARSE_PACKET_H
#define SOCKTALLY_BPF_PARSE_PACKET_H

#include "bpf/parse/dispatch.h"
#include "bpf/table.h"

/* A layer's parser may read this many bytes from the start of its header. */
#define ST_WINDOW 40

/*
 * The kernel build loads this many bytes at a time: room for eth:ip:udp:vxlan:eth:ip:tcp, and below
 * 128, as from there on a copy of variable length is slow on some CPUs. The window of the last
 * layer may reach past them, but not past the header buffer.
 */
#define ST_HEADERS_LOAD 124

/* VLAN tags that are read in front of a cooked packet; the link header with them. */
#define ST_SENT_TAGS 4
#define ST_LINK_BYTES (14 + 4 * ST_SENT_TAGS)

/* LINKTYPE_ numbers of a monitor interface */
#define ST_LINKTYPE_IEEE802_11 105
#define ST_LINKTYPE_IEEE802_11_RADIOTAP 127

/*
 * What a layer's parser returns. It may read ST_WINDOW bytes even where the packet is shorter:
 * `header` and `more` have to cover every byte that `next` depends on, and st_advance() then stops
 * the walk.
 *
 * It lies in memory, whose contents the verifier does not know: so it follows what comes after a parser
 * once, and not once for each value that a parser may set.
 */
struct st_step {
	__u32 missing; /* 0, or ST_NOT_THIS */
	__u32 header;  /* length of the whole header */
	__u32 more;    /* bytes that must follow it, or next is not used */
	__u32 limit;   /* length of header and payload, by a field of the header */
	__u32 next;    /* code of the next layer; ST_STOP: none */
};

struct st_walk {
	struct st_path path;   /* so far */
	__u32 off;             /* where in the packet the layer to come starts */
	__u32 end;             /* where it has to end, by the lengths in the layers around it */
	__u32 next;            /* its code, see dispatch.h; 0: none */
	struct st_found found; /* its entry in dispatch.def */
	__u32 len;             /* of the packet: bytes that are there */
	__u32 base;            /* kernel: where in the packet the buffer starts */
	__u32 size;            /* kernel: of what is in the buffer */
	__u32 network;         /* where the innermost IP header starts */
	__u32 transport;       /* and the innermost UDP header */
	__u32 tags;            /* identifiers of VLANs around it, 12 bits each */
	struct st_step step;   /* of the layer that is read now */
};

#endif
