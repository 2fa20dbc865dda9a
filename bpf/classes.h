/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The counters of the classes: what the generated program (plugin/classes/program.c) writes and the
 * library reads. One region a possible CPU, written by that CPU alone.
 */
#ifndef SOCKTALLY_BPF_CLASSES_H
#define SOCKTALLY_BPF_CLASSES_H

#include "bpf/table.h"

/* Lists of classes that one packet may meet: a power of two. */
#define ST_CLASS_MATCHES 4096

/* A class is counted once a packet, on however many ways it is met: the stamp is that packet's. */
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
	struct st_counts adds; /* what it adds to a cell */
	__u64 out;             /* offset in a cell of that direction's counts */
	__u32 matches[ST_CLASS_MATCHES];
	/* then: struct st_class_cell cells[slots], the first one for packets in no class */
};

static inline __u64 st_class_region_size(__u32 slots)
{
	return sizeof(struct st_class_region) + (__u64)slots * sizeof(struct st_class_cell);
}

#endif
