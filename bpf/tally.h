/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Counts a packet in this CPU's region: compiled for the kernel and natively.
 *
 * The sizes come from the caller and not from the region: as constants they let the verifier prove
 * that every access stays inside the region.
 */
#ifndef SOCKTALLY_BPF_TALLY_H
#define SOCKTALLY_BPF_TALLY_H

#include "bpf/table.h"
#include <stddef.h>

struct st_sizes {
	__u32 paths;
	__u32 slots; /* st_table_slots(paths) */
};

/*
 * Slots that a search tries. At most a quarter of the slots are taken, so about one path in 10^9
 * finds no free slot in 32: it is counted as overflow.
 */
#define ST_PROBES 32

static __always_inline __u16 *st_region_index(struct st_region *region)
{
	return (__u16 *)(region + 1);
}

static __always_inline struct st_cell *st_region_cells(struct st_region *region,
						       struct st_sizes sizes)
{
	return (struct st_cell *)((__u8 *)(region + 1) + 2ull * sizes.slots);
}

/*
 * A hash of all bytes of a path; never 0, as 0 means "no cell yet". Paths differ in few bits:
 * without the second round of mixing many fall into neighbouring slots, and searches are long.
 */
static __always_inline __u64 st_path_hash(struct st_path path)
{
	__u64 hash = (path.lo ^ (path.hi * 0x9e3779b97f4a7c15ull)) * 0xd6e8feb86659fd93ull;

	hash = (hash ^ hash >> 32) * 0xd6e8feb86659fd93ull;
	return (hash ^ hash >> 32) | 1ull << 63;
}

/*
 * The cell of a path, made if there is none. The new cell is whole before its number is in `used`
 * and its check is written last, as another CPU may be reading. NULL: the table is full.
 */
static __always_inline struct st_cell *st_cell_find(struct st_region *region, struct st_sizes sizes,
						    struct st_path path)
{
	struct st_cell *cells = st_region_cells(region, sizes);
	__u16 *index = st_region_index(region);
	__u64 hash = st_path_hash(path);
	struct st_cell *cell;
	__u32 slot, number;

/* Without CAP_PERFMON the verifier can't prove that the loop ends. */
#pragma GCC unroll 32
	for (__u32 probe = 0; probe < ST_PROBES; probe++) {
		slot = (hash + probe) & (sizes.slots - 1);
		number = index[slot];
		if (!number)
			goto insert;
		/*
		 * Verifiers up to Linux 6.2 learn nothing from "is not 0". The bound is checked
		 * after the subtraction, and the barrier keeps the compiler from moving it before.
		 */
		number--;
		__asm__("" : "+r"(number));
		if (number >= sizes.paths)
			return NULL;
		cell = &cells[number];
		if (cell->path.lo == path.lo && cell->path.hi == path.hi)
			return cell;
	}
	return NULL;

insert:
	number = region->used;
	if (number >= sizes.paths)
		return NULL;
	cell = &cells[number];
	cell->path = path;
	__asm__ volatile("" ::: "memory");
	*(volatile __u64 *)&cell->check = hash;
	*(volatile __u16 *)&index[slot] = number + 1;
	*(volatile __u32 *)&region->used = number + 1;
	return cell;
}

struct st_skb_facts {
	__u32 len;      /* at the tap, in bytes, without a VLAN tag in metadata */
	__u32 segments; /* packets on the wire */
	__u32 verdict;  /* bytes that the tool gets */
	__u32 tag_len;  /* 4 if a VLAN tag is in the metadata */
	_Bool accepted;
	_Bool out;
};

static __always_inline void st_count(struct st_counts *counts, const struct st_skb_facts *facts)
{
	__u32 accepted = facts->verdict < facts->len ? facts->verdict : facts->len;

	counts->packets++;
	counts->segments += facts->segments;
	counts->bytes += (__u64)facts->len + facts->tag_len;
	if (facts->accepted) {
		counts->accepted_packets++;
		counts->accepted_bytes += (__u64)accepted + facts->tag_len;
	}
}

static __always_inline void st_counts_add(struct st_counts *counts, const struct st_counts *added)
{
	counts->packets += added->packets;
	counts->segments += added->segments;
	counts->bytes += added->bytes;
	counts->accepted_packets += added->accepted_packets;
	counts->accepted_bytes += added->accepted_bytes;
}

static __always_inline void st_tally(struct st_region *region, struct st_sizes sizes,
				     struct st_path path, const struct st_skb_facts *facts)
{
	struct st_cell *cell = st_cell_find(region, sizes, path);

	if (!cell)
		cell = &region->overflow;
	st_count(facts->out ? &cell->out : &cell->in, facts);
}

#endif
