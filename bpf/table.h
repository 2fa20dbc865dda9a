/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The table of cells: what the kernel's programs write and the library reads, and how a socket's
 * attached program speaks to the chain behind it.
 *
 * One region a possible CPU, written by that CPU alone, so without atomics. A region's cells are
 * dense, in the order in which their paths were first seen, and an open-addressed index of 16-bit
 * numbers finds them: a packet touches one index line and one or two cell lines, and a snapshot
 * reads only what is in use.
 */
#ifndef SOCKTALLY_BPF_TABLE_H
#define SOCKTALLY_BPF_TABLE_H

#include <linux/types.h>
#include <socktally/hook_packet.h>

#define ST_MAX_LAYERS 14
#define ST_DEFAULT_PATHS 1024
#define ST_MAX_PATHS 32768

/*
 * A path as a number: each layer shifts in one byte from the right, so that the outermost layer is
 * the most significant byte that isn't zero. Shifts instead of an array because Linux 5.10 refuses
 * writes to the stack at a variable offset.
 */
struct st_path {
	__u64 hi;
	__u64 lo;
};

struct st_counts {
	__u64 packets;
	__u64 segments;
	__u64 bytes;
	__u64 accepted_packets;
	__u64 accepted_bytes;
};

/* Two cache lines: the path and what came in, then what went out. */
struct st_cell {
	struct st_path path;
	struct st_counts in;
	__u64 check; /* of the path, written last: a reader skips a cell that is half made */
	struct st_counts out;
	__u64 spare[3];
};

/* Header buffer of each CPU, in a map of its own: see plugin/bpf/header_buffer.h. */
#define ST_HEADER_BUFFER 256

/*
 * The array of a meter's programs. The attached program goes on at the entry. With hooks, that is
 * the parser, and the rest of the chain stands in one of two banks: hooks in their order, then the
 * tally. A changed chain is put together in the other bank, and takes over with the number that the
 * parser goes on with: so each packet sees one chain, the old one or the new.
 */
#define ST_MAX_HOOKS 28
#define ST_CHAIN_ENTRY 0
#define ST_CHAIN_COUNT 1 /* where `count` goes on with a packet of many layers, see ST_CB_PART */
#define ST_CHAIN_PARSE 2 /* where `chain_parse` does */
#define ST_CHAIN_LOOK 3  /* looks at payload, then counts: empty without applications */
#define ST_CHAIN_LOOK_HOOKS 4 /* the same with hooks: goes on with them */
#define ST_CHAIN_TALLY                                                                             \
	5 /* the chain's last program, which is behind the hooks in its bank as well */
#define ST_CHAIN_BANK(bank) (6 + (bank) * (ST_MAX_HOOKS + 1))
#define ST_CHAIN_SLOTS ST_CHAIN_BANK(2)

/*
 * Which bank is in use, and where in each of them the tally is. What is of a bank that is not in use changes
 * first, `start` last.
 */
struct st_bank {
	__u64 start; /* ST_CHAIN_BANK() */
	__u64 tally[2];
};

/* Counters of hooks: more than hooks, as one that takes another's place is there with it. */
#define ST_HOOK_SLOTS 32

struct st_region {
	__u32 used; /* cells */
	__u32 zero; /* never written */
	__u32 spare[10];
	__u64 linear_data; /* scratch of the parser: see bpf/parse/packet_direct.h */
	__s64 linear_limit;
	__u64 walk[16];               /* scratch of the parser: a struct st_walk */
	__u64 look[32];               /* scratch for packets that are looked at: a struct st_look */
	struct socktally_chain chain; /* scratch of the chain with hooks */
	__u32 tally;                  /* where in the array of programs this packet's chain ends */
	__u32 spare_chain[7];
	struct socktally_taken taken[ST_HOOK_SLOTS];
	struct st_cell overflow;
	/* then: __u16 index[slots] (cell number + 1, 0 is free), then struct st_cell cells[paths] */
};

/* slots: a power of two, at least four times the paths, so that a search is short. */
static inline __u32 st_table_slots(__u32 paths)
{
	__u32 slots = 64;

	while (slots < 4 * paths)
		slots *= 2;
	return slots;
}

static inline __u64 st_region_size(__u32 paths)
{
	return sizeof(struct st_region) + 2ull * st_table_slots(paths) +
	       (__u64)paths * sizeof(struct st_cell);
}

/* UDP ports of tunnels that a user has named; in the kernel they are constants of the program. */
#define ST_MAX_PORTS 8

struct st_ports {
	__u32 count;
	__u32 pairs[ST_MAX_PORTS]; /* port << 16 | the standard port that it stands for */
};

/* __sk_buff.cb, from the attached program to the chain */
enum st_cb {
	ST_CB_VERDICT = 0, /* bytes that the tool gets; 0: none */
	ST_CB_LINK = 1,    /* enum st_link, or ST_LINK_OTHER | DLT number */
	ST_CB_HEADERS =
		2, /* 1: the packet's first ST_HEADERS_LOAD bytes are in this CPU's header buffer */
	ST_CB_PART =
		3, /* of the parser's walk: 0, and one more with each run that goes on with it */
};

/* Where the first byte of a packet stands: how its outermost layer is to be read. */
enum st_link {
	ST_LINK_ETH = 1,
	ST_LINK_SLL, /* live, SOCK_DGRAM: the network layer first, the ethertype in skb->protocol */
	ST_LINK_RAW, /* IPv4 or IPv6 by its version nibble */
	ST_LINK_NULL,    /* files: 4 bytes of address family, in either byte order */
	ST_LINK_LOOP,    /* files: the same in network byte order */
	ST_LINK_PPP,     /* files: PPP, with or without HDLC framing bytes */
	ST_LINK_SLL_V1,  /* files: Linux cooked header, 16 bytes */
	ST_LINK_SLL_V2,  /* files: Linux cooked header v2, 20 bytes */
	ST_LINK_PPP_DIR, /* files: a byte of direction, then as ST_LINK_PPP */
	ST_LINK_ANY,     /* live, every interface: the parser finds out, and sets cb[ST_CB_LINK] */
	/*
	 * Files: starts with a layer that is elsewhere inside another one: ORed with its code of
	 * dispatch.h.
	 */
	ST_LINK_LAYER = 0x10000000,
	/* Files: a header around a packet of another link, see plugin/count/envelope.h. ORed with LINKTYPE_ */
	ST_LINK_ENVELOPE = 0x20000000,
	/* any other: counted under its DLT name, never guessed at */
	ST_LINK_OTHER = 0x10000, /* ORed with the LINKTYPE_ number */
};

#endif
