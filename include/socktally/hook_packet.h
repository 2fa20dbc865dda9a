/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the chain tells a hook about a packet. Shared by hooks (through hook.bpf.h) and the library:
 * a hook object goes on working with later releases, so members keep their places.
 */
#ifndef SOCKTALLY_HOOK_PACKET_H
#define SOCKTALLY_HOOK_PACKET_H

#ifdef __bpf__
/* As <linux/types.h> has them, for a machine without it. */
typedef unsigned char __u8;
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef signed int __s32;
typedef unsigned long long __u64;
typedef signed long long __s64;
#else
#include <linux/types.h>
#endif

/* A path holds at most 14 layers; the arrays have a power of two. */
#define SOCKTALLY_PACKET_LAYERS 16

/*
 * A path as a number, a byte a layer, the innermost one the least significant: to compare paths, and
 * to have one as the key of a map. Reports show it as text.
 */
struct socktally_path_key {
	__u64 hi;
	__u64 lo;
};

/* An address, shown as such, too. */
struct socktally_address {
	__u32 version;  /* 4, 6, or 0: none */
	__u8 bytes[16]; /* of an IPv4 address the first four, then zeros */
};

/*
 * Calls that the library replaces by those of the kernel's functions for reading in place: numbers that no
 * helper has.
 */
#define SOCKTALLY_CALL_CONTEXT 0x57000001  /* bpf_cast_to_kern_ctx() */
#define SOCKTALLY_CALL_READONLY 0x57000002 /* bpf_rdonly_cast() */

/* struct socktally_packet, direction */
#define SOCKTALLY_RECEIVED 0
#define SOCKTALLY_SENT 1

struct socktally_packet {
	struct socktally_path_key path;
	__u32 length;       /* at the tap, in bytes, without a VLAN tag in the metadata */
	__u32 tag_length;   /* 4 if there is such a tag, else 0 */
	__u32 verdict;      /* bytes of it that the tool gets, by all before this hook; 0: none */
	__u32 tool_verdict; /* the same by the tool's own filter alone */
	__u32 segments;  /* packets on the wire that offload has joined to this one, 1 at least */
	__u16 direction; /* 0: received, 1: sent by this host */
	__u16 layer_count;
	__u8 layers[SOCKTALLY_PACKET_LAYERS]; /* SOCKTALLY_ETH, ..., outermost first; then zeros */
	/*
	 * Where each layer's header starts, from the first byte of the packet. A layer without bytes
	 * (a tag in the metadata, a cooked link layer) has the place of what follows it.
	 */
	__u16 offsets[SOCKTALLY_PACKET_LAYERS];
};

/* The chain's own state of the packet, in scratch memory of this CPU. */
struct socktally_chain {
	__u32 next;    /* where in the array of programs the chain goes on */
	__u32 headers; /* of the packet's first bytes, how many are in this CPU's header buffer */
	struct socktally_packet packet;
};

/* What a hook has taken from the tool on one CPU: of what had come to it with a verdict to deliver. */
struct socktally_taken {
	__u64 dropped_packets;
	__u64 dropped_bytes; /* that the tool would have got of these */
	__u64 cut_packets;
	__u64 cut_bytes; /* that were cut off these */
};

#endif
