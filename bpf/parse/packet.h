/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the parser asks of a packet, however it is read, and the state of its walk. */
#ifndef SOCKTALLY_BPF_PARSE_PACKET_H
#define SOCKTALLY_BPF_PARSE_PACKET_H

#include "bpf/parse/dispatch.h"
#include "bpf/table.h"

/* A layer's function may look at this many bytes from its start. */
#define ST_WINDOW 40

/*
 * The kernel build takes this many bytes at a time: eth:ip:udp:vxlan:eth:ip:tcp fits in one, and it
 * is below the 128 from which on a copy of variable length is slow on some CPUs. The window of the
 * last layer in a block may reach past it, inside the scratch.
 */
#define ST_BLOCK_LOAD 124

/* Tags before a cooked packet that are read, and the link header with them and the type behind. */
#define ST_SENT_TAGS 4
#define ST_LINK_BYTES (14 + 4 * ST_SENT_TAGS)

struct st_walk {
	struct st_path path;   /* so far */
	__u32 off;             /* where in the packet the layer to come starts */
	__u32 end;             /* where the bytes end that the layers around it leave to it */
	__u32 next;            /* which one it is, as a code of dispatch.h; 0: none */
	struct st_found found; /* what dispatch.h says of it */
	__u32 len;             /* of the packet: bytes that are there */
	__u32 base;            /* kernel: where in the packet the block starts */
	__u32 size;            /* kernel: of the block */
};

#endif
