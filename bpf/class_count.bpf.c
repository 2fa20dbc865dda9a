// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Counts a packet in its classes. The generated program before this one (plugin/classes/program.c) has
 * noted in this CPU's region which lists of classes the packet meets.
 *
 * The verifier goes through all rounds of a loop that a packet may need. What changes from round to
 * round is masked, so that all paths through a round end in the same state.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "bpf/classes.h"
#include "bpf/extern.h"
#include "bpf/tally.h"

/* The compiler must not know a masked value better than the verifier does. */
#define ST_MASKED(value, mask)                                                                     \
	({                                                                                         \
		__u64 st_masked = (value);                                                         \
		__asm__ volatile("" : "+r"(st_masked));                                            \
		st_masked &(mask);                                                                 \
	})

static __always_inline struct st_class_region *st_class_region_of(__u32 cpu)
{
	return bpf_map_lookup_elem(ST_EXTERN_PTR(class_regions), &cpu);
}

static __always_inline struct st_region *st_region_of(__u32 cpu)
{
	return bpf_map_lookup_elem(ST_EXTERN_PTR(socktally_regions), &cpu);
}

/* What the packet adds to the counters of its direction. */
static __always_inline void st_class_start(struct st_class_region *region,
					   const struct socktally_packet *packet)
{
	const struct st_skb_facts facts = {
		.len = packet->length,
		.segments = packet->segments,
		.verdict = packet->verdict,
		.tag_len = packet->tag_length,
		.accepted = packet->verdict != 0,
	};

	__builtin_memset(&region->adds, 0, sizeof(region->adds));
	st_count(&region->adds, &facts);
	__asm__ volatile("" ::: "memory");
}

/*
 * Once a packet, however often the class is met; again, with `many`, it counts in region->again.
 * number: of a cell, perhaps with ST_LIST_END.
 */
static __always_inline void st_class_count(struct st_class_region *region, __u32 number, __u64 out,
					   _Bool many)
{
	const __u64 again = offsetof(struct st_class_region, again);
	__u64 at = sizeof(*region) +
		   ST_MASKED(number, ST_EXTERN_U64(class_cell_mask)) * sizeof(struct st_class_cell);
	struct st_class_cell *cell = (struct st_class_cell *)((__u8 *)region + at);
	__u64 other = cell->stamp ^ region->packet, negative;

	at += offsetof(struct st_class_cell, in) + ST_MASKED(out, 1) * sizeof(struct st_counts) -
	      again;
	if (many) {
		/* all bits, or none; of (other | -other) >> 63 the compiler would make a branch */
		negative = -other;
		__asm__ volatile("%0 |= %1; %0 s>>= 63" : "+r"(other) : "r"(negative));
		at &= other;
	} else if (!other) {
		return;
	}
	cell->stamp = region->packet;
	st_counts_add((struct st_counts *)((__u8 *)region + again + at), &region->adds);
}

/* The index of the last one of `left` lists. */
static __always_inline __u32 st_class_list(struct st_class_region *region, __u32 left)
{
	return region->matches[ST_MASKED(left - 1, ST_CLASS_MATCHES - 1)];
}

static __always_inline __u32 st_class_number(__u64 index)
{
	const __u32 *lists = ST_EXTERN_PTR(class_lists);

	return lists[ST_MASKED(index, ST_EXTERN_U64(class_list_mask))];
}

static __always_inline int st_class_end(struct __sk_buff *skb, struct st_region *chain)
{
	bpf_tail_call(skb, ST_EXTERN_PTR(socktally_programs), chain->chain.next++);
	return skb->cb[ST_CB_VERDICT];
}

/* The index of the next number. *left: lists with this one; 0: there is no next number. */
static __always_inline __u64 st_class_next(struct st_class_region *region, __u64 index,
					   __u32 number, __u32 *left, _Bool many)
{
	__u64 end = ST_MASKED(number >> 31, 1), next = index + 1;

	if (many) {
		*left -= end;
		next += end * (st_class_list(region, *left) - next);
	} else if (end) {
		/* by way of the region: after a branch the verifier must not know more of it */
		*(volatile __u32 *)&region->matched = *left - 1;
		*left = *(volatile __u32 *)&region->matched;
		next = st_class_list(region, *left);
	}
	return ST_MASKED(next, ST_EXTERN_U64(class_list_mask));
}

/*
 * Each class that the packet meets: all numbers of all lists. many: without branches in a round but the
 * one that leaves, as the verifier keeps 8192 branches for later at most. With them it is faster: 750
 * ns instead of 1,250 where a packet meets 670 of 1,000 classes.
 */
static __always_inline int st_class_count_all(struct __sk_buff *skb, _Bool many)
{
	__u32 cpu = bpf_get_smp_processor_id(), left;
	struct st_class_region *region = st_class_region_of(cpu);
	struct st_region *chain = st_region_of(cpu);
	__u64 index, out;

	if (!region || !chain)
		return skb->cb[ST_CB_VERDICT];
	st_class_start(region, &chain->chain.packet);
	out = chain->chain.packet.direction;
	left = region->matched;
	if (!left) {
		st_class_count(region, st_class_number(0), out, many);
		return st_class_end(skb, chain);
	}
	index = st_class_list(region, left);
	for (__u64 round = 1;; round++) {
		__u32 number = st_class_number(index);

		st_class_count(region, number, out, many);
		index = st_class_next(region, index, number, &left, many);
		if (round >= ST_EXTERN_U64(class_rounds))
			break;
		if (!left)
			break;
	}
	return st_class_end(skb, chain);
}

SEC("socket") int class_count_all(struct __sk_buff *skb)
{
	return st_class_count_all(skb, 0);
}

SEC("socket") int class_count_many(struct __sk_buff *skb)
{
	return st_class_count_all(skb, 1);
}

/* The first class only: the smallest number that the packet meets, which a list has in front. */
SEC("socket") int class_count_first(struct __sk_buff *skb)
{
	__u32 cpu = bpf_get_smp_processor_id(), left;
	struct st_class_region *region = st_class_region_of(cpu);
	struct st_region *chain = st_region_of(cpu);
	volatile __u32 *first;

	if (!region || !chain)
		return skb->cb[ST_CB_VERDICT];
	st_class_start(region, &chain->chain.packet);
	first = &region->first;
	*first = ST_EXTERN_U64(class_none);
	left = region->matched;
	for (__u64 round = 1; left; round++) {
		__u32 number = st_class_number(st_class_list(region, left)) & ~ST_LIST_END;

		if (number < *first)
			*first = number;
		left--;
		if (round >= ST_EXTERN_U64(class_rounds))
			break;
	}
	/* the lists begin with the cell of each number */
	st_class_count(region, st_class_number(*first), chain->chain.packet.direction, 0);
	return st_class_end(skb, chain);
}

char st_license[] SEC("license") = "Dual BSD/GPL";
