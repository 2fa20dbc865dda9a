/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * For writing a hook: a function that every packet of a metered socket passes.
 *
 *	#include <socktally/hook.bpf.h>
 *
 *	SOCKTALLY_HOOK(https_headers, skb, packet)
 *	{
 *		int tcp = socktally_find_last(packet, SOCKTALLY_TCP);
 *		__u32 at = socktally_offset(packet, tcp);
 *
 *		if (tcp < 0 || (socktally_u16(skb, at) != 443 && socktally_u16(skb, at + 2) != 443))
 *			return SOCKTALLY_PASS;
 *		return SOCKTALLY_CUT(100);
 *	}
 *
 *	clang -O2 -g -target bpf -c https_headers.bpf.c
 *	socktally run --hook https_headers.bpf.o -- tcpdump -i eth0
 *
 * It needs nothing but this folder. To use more of the kernel's helpers and types than are here,
 * include <linux/bpf.h> and <bpf/bpf_helpers.h> before it.
 */
#ifndef SOCKTALLY_HOOK_BPF_H
#define SOCKTALLY_HOOK_BPF_H

#include "hook_packet.h"

enum socktally_protocol {
#define SOCKTALLY_PROTOCOL(NUMBER, SYMBOL, NAME, LAYER, RECOGNISED, SOURCE)                        \
	SOCKTALLY_##SYMBOL = NUMBER,
#include "protocols.def"
#undef SOCKTALLY_PROTOCOL
};

/* --- what a hook returns: how much of the packet the tool may get at most */

#define SOCKTALLY_PASS 0xffffffffu            /* as much as before */
#define SOCKTALLY_DROP 0u                     /* nothing */
#define SOCKTALLY_CUT(bytes) ((__u32)(bytes)) /* the first bytes of it */

/* --- the kernel's part, for those who do without its headers */

#ifndef __BPF_HELPERS__
#define SEC(name) __attribute__((section(name), used))
#define __always_inline inline __attribute__((always_inline))
/* Members of a map's definition. */
#define __uint(name, value) int(*name)[value]
#define __type(name, value) value *name

static void *(*const bpf_map_lookup_elem)(void *map, const void *key) = (void *)1;
static long (*const bpf_map_update_elem)(void *map, const void *key, const void *value,
					 __u64 flags) = (void *)2;
static long (*const bpf_map_delete_elem)(void *map, const void *key) = (void *)3;
static __u64 (*const bpf_ktime_get_ns)(void) = (void *)5;
static __u32 (*const bpf_get_prandom_u32)(void) = (void *)7;
static __u32 (*const bpf_get_smp_processor_id)(void) = (void *)8;
static long (*const bpf_skb_load_bytes)(const void *skb, __u32 offset, void *to,
					__u32 size) = (void *)26;
#endif

#ifndef __LINUX_BPF_H__
enum {
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_ARRAY = 2,
	BPF_MAP_TYPE_PERCPU_HASH = 5,
	BPF_MAP_TYPE_PERCPU_ARRAY = 6,
	BPF_MAP_TYPE_LRU_HASH = 9,
	BPF_MAP_TYPE_LRU_PERCPU_HASH = 10,
	BPF_MAP_TYPE_LPM_TRIE = 11,
};
enum { BPF_ANY = 0, BPF_NOEXIST = 1, BPF_EXIST = 2 };
enum { BPF_F_NO_PREALLOC = 1 };
#endif

/* struct __sk_buff as far as a socket filter may read it. */
struct socktally_skb {
	__u32 len;
	__u32 pkt_type; /* 0 host, 1 broadcast, 2 multicast, 3 other host, 4 outgoing */
	__u32 mark;
	__u32 queue_mapping;
	__u32 protocol; /* in network byte order */
	__u32 vlan_present;
	__u32 vlan_tci;
	__u32 vlan_proto; /* in network byte order */
	__u32 priority;
	__u32 ingress_ifindex;
	__u32 ifindex;
	__u32 tc_index;
	__u32 cb[5]; /* the chain's: only to be read */
	__u32 hash;
};

/* What the library fills in when it loads the hook. */
#define SOCKTALLY_LOADED(type, name)                                                               \
	({                                                                                         \
		type socktally_value;                                                              \
		__asm__("%0 = " #name " ll" : "=r"(socktally_value));                              \
		socktally_value;                                                                   \
	})

/*
 * --- the packet's bytes. Where the kernel can (Linux 6.2), numbers and up to 64 bytes of a size that is
 * constant are read in place, which is ten times as fast as a helper's copy.
 */

static const __u8 *(*const socktally_kernel_skb)(const void *skb) = (void *)SOCKTALLY_CALL_CONTEXT;
static const __u8 *(*const socktally_kernel_memory)(__u64 address,
						    __u64 type) = (void *)SOCKTALLY_CALL_READONLY;

/*
 * Reads the kernel's memory, of 64, 32, 16 or 8 bits. In assembler, so that the compiler can't make it one
 * instruction with a read of other memory: the verifier takes none that reads both.
 */
#define SOCKTALLY_READ(bits, pointer)                                                              \
	({                                                                                         \
		__u64 socktally_value;                                                             \
		__asm__ volatile("%0 = *(u" #bits " *)(%1 + 0)"                                    \
				 : "=r"(socktally_value)                                           \
				 : "r"(pointer));                                                  \
		socktally_value;                                                                   \
	})

/* Where the bytes are in the kernel's memory; 0: to be had by a helper only, or not there. */
static __always_inline __u64 socktally_address(const void *skb, __u32 offset, __u32 size)
{
	const __u8 *kernel;
	__u32 len, beyond;

	if (!SOCKTALLY_LOADED(__u64, socktally_direct))
		return 0;
	kernel = socktally_kernel_skb(skb);
	len = SOCKTALLY_READ(32, kernel + SOCKTALLY_LOADED(__u64, socktally_direct_len));
	beyond = SOCKTALLY_READ(32, kernel + SOCKTALLY_LOADED(__u64, socktally_direct_data_len));
	if ((__u64)offset + size > len - beyond)
		return 0;
	return SOCKTALLY_READ(64, kernel + SOCKTALLY_LOADED(__u64, socktally_direct_data)) + offset;
}

static __always_inline const __u8 *socktally_in_place(__u64 address)
{
	return socktally_kernel_memory(address, SOCKTALLY_LOADED(__u64, socktally_direct_bytes));
}

/* Copies by pieces, as `to` may be aligned anyhow. */
static __always_inline void socktally_copy(void *to, const __u8 *from, __u32 size)
{
	__u32 done = 0;

#define SOCKTALLY_PIECES(bits)                                                                     \
	for (; size - done >= bits / 8; done += bits / 8) {                                        \
		__u##bits piece = SOCKTALLY_READ(bits, from + done);                               \
		__builtin_memcpy((__u8 *)to + done, &piece, bits / 8);                             \
	}
	SOCKTALLY_PIECES(64)
	SOCKTALLY_PIECES(32)
	SOCKTALLY_PIECES(16)
	SOCKTALLY_PIECES(8)
#undef SOCKTALLY_PIECES
}

/* Copies `size` bytes from `offset` in the packet: 0, or not all of them are there. */
static __always_inline long socktally_load(const struct socktally_skb *skb, __u32 offset, void *to,
					   __u32 size)
{
	if (__builtin_constant_p(size) && size <= 64) {
		__u64 address = socktally_address(skb, offset, size);

		if (address) {
			socktally_copy(to, socktally_in_place(address), size);
			return 0;
		}
	}
	return bpf_skb_load_bytes(skb, offset, to, size);
}

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define SOCKTALLY_NET16(value) ((__u16)__builtin_bswap16(value))
#define SOCKTALLY_NET32(value) ((__u32)__builtin_bswap32(value))
#else
#define SOCKTALLY_NET16(value) ((__u16)(value))
#define SOCKTALLY_NET32(value) ((__u32)(value))
#endif

/* Numbers of the packet in this machine's byte order; 0 if they are not there. */
static __always_inline __u8 socktally_u8(const struct socktally_skb *skb, __u32 offset)
{
	__u8 value = 0;

	socktally_load(skb, offset, &value, sizeof(value));
	return value;
}

static __always_inline __u16 socktally_u16(const struct socktally_skb *skb, __u32 offset)
{
	__u16 value = 0;

	socktally_load(skb, offset, &value, sizeof(value));
	return SOCKTALLY_NET16(value);
}

static __always_inline __u32 socktally_u32(const struct socktally_skb *skb, __u32 offset)
{
	__u32 value = 0;

	socktally_load(skb, offset, &value, sizeof(value));
	return SOCKTALLY_NET32(value);
}

/* --- the packet's path */

/* Which layer, from the outermost one, 0, is the first of that protocol; -1: none is. */
static __always_inline int socktally_find(const struct socktally_packet *packet, __u32 protocol)
{
	for (int i = 0; i < 14; i++)
		if (packet->layers[i] == protocol)
			return i;
	return -1;
}

/* The same for the last, innermost one. */
static __always_inline int socktally_find_last(const struct socktally_packet *packet,
					       __u32 protocol)
{
	for (int i = 13; i >= 0; i--)
		if (packet->layers[i] == protocol)
			return i;
	return -1;
}

static __always_inline int socktally_has(const struct socktally_packet *packet, __u32 protocol)
{
	return socktally_find(packet, protocol) >= 0;
}

/* The innermost layer's protocol: what the path ends with. */
static __always_inline __u32 socktally_last(const struct socktally_packet *packet)
{
	return packet->path.lo & 0xff;
}

/* Where in the packet the header of a layer starts that socktally_find() has found. */
static __always_inline __u32 socktally_offset(const struct socktally_packet *packet, int layer)
{
	return packet->offsets[layer & (SOCKTALLY_PACKET_LAYERS - 1)];
}

/* Length at the tap, as reports count it. */
static __always_inline __u32 socktally_bytes(const struct socktally_packet *packet)
{
	return packet->length + packet->tag_length;
}

/* --- the chain; nothing here is for hooks to call */

static __always_inline void socktally_apply(struct socktally_packet *packet,
					    struct socktally_taken *taken, __u32 verdict)
{
	__u32 before = packet->verdict < packet->length ? packet->verdict : packet->length;

	if (verdict >= packet->verdict)
		return;
	packet->verdict = verdict;
	if (!verdict) {
		taken->dropped_packets++;
		taken->dropped_bytes += (__u64)before + packet->tag_length;
	} else if (verdict < before) {
		taken->cut_packets++;
		taken->cut_bytes += before - verdict;
	}
}

static __always_inline void socktally_next(struct socktally_skb *skb, __u32 next)
{
	__asm__ volatile("r1 = %[skb]\n\t"
			 "r3 = %[next]\n\t"
			 "r2 = socktally_programs ll\n\t"
			 "call 12"
			 :
			 : [skb] "r"(skb), [next] "r"(next)
			 : "r0", "r1", "r2", "r3", "r4", "r5", "memory");
}

/*
 * Makes a hook of the function whose body follows. The names are those that the body has for its
 * parameters, struct socktally_skb * and const struct socktally_packet *. Where the chain is gone,
 * because the meter is, the tool's own verdict holds.
 */
#define SOCKTALLY_HOOK(NAME, SKB, PACKET)                                                          \
	static __always_inline __u32 socktally_hook_##NAME(struct socktally_skb *,                 \
							   const struct socktally_packet *);       \
	SEC("socktally/1") int NAME(struct socktally_skb *socktally_skb)                           \
	{                                                                                          \
		__u32 socktally_cpu = bpf_get_smp_processor_id();                                  \
		__u8 *socktally_region =                                                           \
			bpf_map_lookup_elem(SOCKTALLY_LOADED(void *, socktally_regions),           \
					    &socktally_cpu);                                       \
		struct socktally_chain *socktally_chain;                                           \
                                                                                                   \
		if (!socktally_region)                                                             \
			return socktally_skb->cb[0];                                               \
		socktally_chain =                                                                  \
			(struct socktally_chain *)(socktally_region +                              \
						   SOCKTALLY_LOADED(__u64, socktally_chain_at));   \
		socktally_apply(&socktally_chain->packet,                                          \
				(struct socktally_taken *)(socktally_region +                      \
							   SOCKTALLY_LOADED(__u64,                 \
									    socktally_taken_at)),  \
				socktally_hook_##NAME(socktally_skb, &socktally_chain->packet));   \
		socktally_next(socktally_skb, socktally_chain->next++);                            \
		return socktally_skb->cb[0];                                                       \
	}                                                                                          \
	static __always_inline __u32                                                               \
		socktally_hook_##NAME(__attribute__((unused)) struct socktally_skb *SKB,           \
				      __attribute__((unused))                                      \
				      const struct socktally_packet *PACKET)

#endif
