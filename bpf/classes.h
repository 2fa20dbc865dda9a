/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The counters of the classes: what the generated program (plugin/classes/program.c) and the one that
 * counts (bpf/class_count.bpf.c) write, and the library reads. One region for each possible CPU, which
 * writes it alone.
 */
#ifndef SOCKTALLY_BPF_CLASSES_H
#define SOCKTALLY_BPF_CLASSES_H

#include "bpf/table.h"

/* In a list of classes: this is the last one. */
#define ST_LIST_END 0x80000000u

/* Lists that one packet may meet: a power of two. */
#define ST_CLASS_MATCHES 4096

/* A class counts a packet once, however often it is met: the stamp is the number of its last packet. */
struct st_class_cell {
	__u64 stamp;
	struct st_counts in;
	struct st_counts out;
	__u64 spare;
};

struct st_class_region {
	__u64 packet; /* number of this CPU's packets */
	__u32 len;    /* of the packet */
	__u32 matched;
	struct st_counts adds;  /* what it adds to a cell */
	struct st_counts again; /* not read: where a class counts a packet that it has counted */
	__u32 first;            /* with `first`: the smallest number so far */
	__u32 spare[7];         /* so that cells do not begin in the middle of a cache line */
	__u32 matches[ST_CLASS_MATCHES];
	/* then: struct st_class_cell cells[slots], the first one for packets in no class */
};

_Static_assert(sizeof(struct st_class_region) % 64 == 0, "whole cache lines");

static inline __u64 st_class_region_size(__u32 slots)
{
	return sizeof(struct st_class_region) + (__u64)slots * sizeof(struct st_class_cell);
}

#endif
