/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The table of a group: which values the packets had, and how many. Compiled for the kernel and natively;
 * each CPU has a region of its own, as for the cells of paths (bpf/table.h).
 *
 * Cells are taken in the order in which keys come, and an index finds them: buckets of 16 places, each
 * with the number of a cell and 15 bits of its key's hash. It has four places for each cell, so that a
 * bucket is hardly ever full before the cells are.
 *
 * When they are, a new key takes the place of a light one: that with the fewest bytes of eight, where the
 * next new key looks at the next eight. So heavy keys stay, whatever comes in. This is the algorithm
 * "space-saving" (Metwally, Agrawal, El Abbadi 2005) with windows of eight cells; by bytes. What a key had
 * while it had no cell is not in its counters: `missing` says how much that may be, at most. It is the
 * largest weight (bytes + missing) that any cell had when its key lost it: by induction a key without a
 * cell had no more.
 *
 * Counters of keys that have lost their cell are gone; what they were is known all the same, as `all`
 * and `none` count every packet.
 */
#ifndef SOCKTALLY_BPF_GROUPS_H
#define SOCKTALLY_BPF_GROUPS_H

#include "bpf/tally.h"

#define ST_GROUP_WORDS 8 /* of a key, at most */
#define ST_GROUP_BUCKET 16
#define ST_GROUP_WINDOW 8
#define ST_GROUP_KEYS_MIN 64
#define ST_GROUP_KEYS_MAX 65536

struct st_group_cell {
	__u32 version; /* odd while another key takes the cell */
	__u32 place;   /* in the index */
	__u64 missing; /* bytes */
	struct st_counts counts;
	/* then: __u64 key[words] */
};

struct st_group_region {
	struct st_counts all[2], none[2]; /* by direction */
	__u64 missing;                    /* bytes that a key without a cell may have had */
	__u32 used;                       /* cells */
	__u32 hand;                       /* where the next key that finds no room looks for it */
	__u32 has_key;                    /* 0: the packet lacks a field */
	__u32 layer, last_ip, below;      /* scratch of the code that finds the key */
	__u64 key[ST_GROUP_WORDS];        /* of the packet */
	/* then: __u32 index[slots] (hash << 16 | cell; 0: free), then cells */
};

struct st_group_sizes {
	__u32 keys;  /* cells: a power of two */
	__u32 words; /* of a key */
};

static inline __u32 st_group_slots(__u32 keys)
{
	return 4 * keys;
}

static inline __u32 st_group_cell_size(__u32 words)
{
	return sizeof(struct st_group_cell) + 8 * words;
}

static inline __u64 st_group_region_size(struct st_group_sizes sizes)
{
	return sizeof(struct st_group_region) + 4ull * st_group_slots(sizes.keys) +
	       (__u64)sizes.keys * st_group_cell_size(sizes.words);
}

static __always_inline __u32 *st_group_index(struct st_group_region *region)
{
	return (__u32 *)(region + 1);
}

static __always_inline struct st_group_cell *
st_group_cell(struct st_group_region *region, struct st_group_sizes sizes, __u32 number)
{
	__u64 at = sizeof(*region) + 16ull * sizes.keys +
		   (__u64)number * st_group_cell_size(sizes.words);

	return (struct st_group_cell *)((__u8 *)region + at);
}

static __always_inline __u64 *st_group_cell_key(struct st_group_cell *cell)
{
	return (__u64 *)(cell + 1);
}

static __always_inline __u64 st_group_hash(const __u64 *key, __u32 words)
{
	__u64 hash = 0;

#pragma GCC unroll 8
	for (__u32 i = 0; i < ST_GROUP_WORDS; i++) {
		if (i >= words)
			break;
		hash = (hash ^ key[i]) * 0xd6e8feb86659fd93ull;
		hash ^= hash >> 32;
	}
	hash *= 0xd6e8feb86659fd93ull;
	return hash ^ hash >> 32;
}

static __always_inline _Bool st_group_same(const __u64 *one, const __u64 *other, __u32 words)
{
	__u64 differs = 0;

#pragma GCC unroll 8
	for (__u32 i = 0; i < ST_GROUP_WORDS; i++) {
		if (i >= words)
			break;
		differs |= one[i] ^ other[i];
	}
	return !differs;
}

/* A value of which the verifier knows nothing but the mask. */
#define ST_GROUP_MASKED(value, mask)                                                               \
	({                                                                                         \
		__u64 st_masked = (value);                                                         \
		__asm__ volatile("" : "+r"(st_masked));                                            \
		st_masked &(mask);                                                                 \
	})

static __always_inline __u32 st_group_place(struct st_group_sizes sizes, __u64 hash, __u32 probe)
{
	__u64 bucket = hash & ~(__u64)(ST_GROUP_BUCKET - 1);

	return ST_GROUP_MASKED(bucket | ((hash + probe) & (ST_GROUP_BUCKET - 1)),
			       st_group_slots(sizes.keys) - 1);
}

/* Never 0, which is a free place. */
static __always_inline __u32 st_group_tag(__u64 hash)
{
	return hash >> 48 | 1;
}

static __always_inline struct st_group_cell *
st_group_lookup(struct st_group_region *region, struct st_group_sizes sizes, __u64 hash)
{
	const __u32 *index = st_group_index(region);
	const __u32 tag = st_group_tag(hash);

#pragma GCC unroll 16
	for (__u32 probe = 0; probe < ST_GROUP_BUCKET; probe++) {
		__u32 entry = index[st_group_place(sizes, hash, probe)];
		struct st_group_cell *cell;

		if (entry >> 16 != tag)
			continue;
		cell = st_group_cell(region, sizes, ST_GROUP_MASKED(entry, sizes.keys - 1));
		if (st_group_same(st_group_cell_key(cell), region->key, sizes.words))
			return cell;
	}
	return NULL;
}

/* A free place in the key's bucket; ~0: there is none. */
static __always_inline __u32 st_group_free(struct st_group_region *region,
					   struct st_group_sizes sizes, __u64 hash)
{
	const __u32 *index = st_group_index(region);

#pragma GCC unroll 16
	for (__u32 probe = 0; probe < ST_GROUP_BUCKET; probe++) {
		__u32 place = st_group_place(sizes, hash, probe);

		if (!index[place])
			return place;
	}
	return ~0u;
}

/* Of eight cells the one with the smallest weight: the next ones, or (full) of the key's bucket. */
static __always_inline __u32 st_group_lightest(struct st_group_region *region,
					       struct st_group_sizes sizes, __u64 hash, _Bool full)
{
	__u64 least = ~0ull >> 1, lightest = 0, hand = region->hand;

#pragma GCC unroll 8
	for (__u32 i = 0; i < ST_GROUP_WINDOW; i++) {
		__u64 number =
			full ? st_group_index(region)[st_group_place(sizes, hash, i)] : hand + i;
		const struct st_group_cell *cell;
		__u64 weight, less;

		number = ST_GROUP_MASKED(number, sizes.keys - 1);
		cell = st_group_cell(region, sizes, number);
		weight = cell->counts.bytes + cell->missing;
		/* all bits or none, without a branch, which would double the verifier's states */
		less = (__s64)(weight - least) >> 63;
		__asm__ volatile("" : "+r"(less));
		least ^= (least ^ weight) & less;
		lightest ^= (lightest ^ number) & less;
	}
	if (!full)
		region->hand = hand + ST_GROUP_WINDOW;
	if (least > region->missing)
		region->missing = least;
	return lightest;
}

/* The key takes a cell that it has for itself from now on. */
static __always_inline struct st_group_cell *st_group_take(struct st_group_region *region,
							   struct st_group_sizes sizes, __u64 hash)
{
	__u32 place = st_group_free(region, sizes, hash), number = region->used;
	__u32 *index = st_group_index(region);
	const _Bool full = place == ~0u;
	struct st_group_cell *cell;
	__u64 *key;

	if (full || number >= sizes.keys) {
		number = st_group_lightest(region, sizes, hash, full);
		number = ST_GROUP_MASKED(number, sizes.keys - 1);
		cell = st_group_cell(region, sizes, number);
		if (full)
			place = cell->place;
		index[ST_GROUP_MASKED(cell->place, st_group_slots(sizes.keys) - 1)] = 0;
	} else {
		region->used = number + 1;
		number = ST_GROUP_MASKED(number, sizes.keys - 1);
		cell = st_group_cell(region, sizes, number);
	}
	place = ST_GROUP_MASKED(place, st_group_slots(sizes.keys) - 1);
	++*(volatile __u32 *)&cell->version;
	__asm__ volatile("" ::: "memory");
	cell->place = place;
	cell->missing = region->missing;
	__builtin_memset(&cell->counts, 0, sizeof(cell->counts));
	key = st_group_cell_key(cell);
#pragma GCC unroll 8
	for (__u32 i = 0; i < ST_GROUP_WORDS; i++) {
		if (i >= sizes.words)
			break;
		key[i] = region->key[i];
	}
	__asm__ volatile("" ::: "memory");
	++*(volatile __u32 *)&cell->version;
	index[place] = st_group_tag(hash) << 16 | number;
	return cell;
}

/*
 * Counts a packet, whose key is in region->key if it has_key. First in `all`: a reader looks there last,
 * so it never finds more in the cells.
 */
static __always_inline void st_group_tally(struct st_group_region *region,
					   struct st_group_sizes sizes,
					   const struct st_skb_facts *facts)
{
	struct st_group_cell *cell;
	__u64 hash;

	st_count(&region->all[facts->out], facts);
	__asm__ volatile("" ::: "memory");
	if (!region->has_key) {
		st_count(&region->none[facts->out], facts);
		return;
	}
	hash = st_group_hash(region->key, sizes.words);
	cell = st_group_lookup(region, sizes, hash);
	if (!cell)
		cell = st_group_take(region, sizes, hash);
	st_count(&cell->counts, facts);
}

#endif
