/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the parser asks of a packet, however it is read. */
#ifndef SOCKTALLY_BPF_PACKET_H
#define SOCKTALLY_BPF_PACKET_H

#include "table.h"

/* A layer's function may look at this many bytes from its start. */
#define ST_WINDOW 40

/*
 * The kernel build takes this many bytes at a time: eth:ip:udp:vxlan:eth:ip:tcp fits in one. The
 * window of the last layer in a block may reach past it, inside the scratch.
 */
#define ST_BLOCK_LOAD 128

/* The state of the walk through a packet's layers. */
struct st_walk {
	struct st_path path; /* so far */
	__u32 off;	     /* where in the packet the layer to come starts */
	__u32 end;	     /* where the bytes end that the layers around it leave to it */
	__u32 next;	     /* which one it is: a number in one of the spaces of walk.h; 0: none */
	__u32 len;	     /* of the packet: bytes that are there */
	__u32 base;	     /* kernel: where in the packet the block starts */
	__u32 size;	     /* kernel: of the block */
};

#endif
