/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Numbers in a payload's first bytes. At most ST_APP_BLOCK is a place to read from: behind what is there
 * are zeros. Natively without alignment; in the kernel the block is aligned and the place known.
 */
#ifndef SOCKTALLY_BPF_APPS_BYTES_H
#define SOCKTALLY_BPF_APPS_BYTES_H

#include "bpf/apps/payload.h"

#ifdef __bpf__
#define ST_APP_LOAD(type, at) (*(const type *)(at))
#else
#define ST_APP_LOAD(type, at)                                                                      \
	__extension__({                                                                            \
		type st_word;                                                                      \
                                                                                                   \
		__builtin_memcpy(&st_word, at, sizeof(st_word));                                   \
		st_word;                                                                           \
	})
#endif

/*
 * Bytes are loaded anew after this. In the kernel, where the verifier follows each way through a program: what it has
 * learnt about them on different ways would make it follow all that comes after once for each.
 */
#ifdef __bpf__
#define ST_APP_FORGET() __asm__ volatile("" ::: "memory")
#else
#define ST_APP_FORGET()
#endif

/* A loop that stays one: programs are to be small. */
#ifdef __clang__
#define ST_APP_ROLLED _Pragma("clang loop unroll(disable)")
#else
#define ST_APP_ROLLED
#endif

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define ST_APP_BIG(bits, word) __builtin_bswap##bits(word)
#define ST_APP_LITTLE(bits, word) (word)
#else
#define ST_APP_BIG(bits, word) (word)
#define ST_APP_LITTLE(bits, word) __builtin_bswap##bits(word)
#endif

#define ST_BE8(at) (p->bytes[at])
#define ST_BE16(at) ST_APP_BIG(16, ST_APP_LOAD(__u16, p->bytes + (at)))
#define ST_BE32(at) ST_APP_BIG(32, ST_APP_LOAD(__u32, p->bytes + (at)))
#define ST_BE64(at) ST_APP_BIG(64, ST_APP_LOAD(__u64, p->bytes + (at)))
#define ST_LE16(at) ST_APP_LITTLE(16, ST_APP_LOAD(__u16, p->bytes + (at)))
#define ST_LE32(at) ST_APP_LITTLE(32, ST_APP_LOAD(__u32, p->bytes + (at)))
#define ST_BE24(at) (ST_BE32(at) >> 8)
#define ST_LE24(at) (ST_LE32(at) & 0xffffff)

/*
 * The byte at a place that is not known before: 0 outside of what is there. The pointer's offset is masked, which old
 * verifiers understand better than a comparison.
 */
static __always_inline __u32 st_app_byte(const struct st_app_payload *p, __u32 at)
{
	__u32 inside = at & (ST_APP_BLOCK - 1);

	__asm__("" : "+r"(inside));
	inside &= ST_APP_BLOCK - 1;
	return at < ST_APP_BLOCK ? p->bytes[inside] : 0;
}

static __always_inline __u32 st_app_be16(const struct st_app_payload *p, __u32 at)
{
	return st_app_byte(p, at) << 8 | st_app_byte(p, at + 1);
}

static __always_inline __u32 st_app_be32(const struct st_app_payload *p, __u32 at)
{
	return st_app_be16(p, at) << 16 | st_app_be16(p, at + 2);
}

/* Whether these four characters are somewhere in what is there. */
static __always_inline _Bool st_app_has(const struct st_app_payload *p, __u32 characters)
{
	__u32 window = 0, same = 0;

	ST_APP_ROLLED
	for (__u32 i = 0; i < ST_APP_BLOCK; i++) {
		window = window << 8 | p->bytes[i];
		same |= (((__u64)(window ^ characters) - 1) >> 63);
	}
	return same;
}

static __always_inline _Bool st_app_port(const struct st_app_payload *p, __u32 port)
{
	return p->from == port || p->to == port;
}

#endif
