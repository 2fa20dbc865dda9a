/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Random classic filters that the kernel accepts, made so that most of their instructions run. */
#ifndef SOCKTALLY_TESTS_UNIT_TRANSLATE_GENERATE_H
#define SOCKTALLY_TESTS_UNIT_TRANSLATE_GENERATE_H

#include "tests/unit/translate/help.h"

#ifndef FILTER_ROOM
#define FILTER_ROOM 600
#endif

struct filter {
	struct sock_filter insns[FILTER_ROOM];
	__u32 count, wanted;
	__u16 stored[FILTER_ROOM + 1]; /* scratch words that every path to here has stored */
	__u16 now;
	__u32 packet_len;
	bool devices; /* ancillary loads that need a device are allowed */
};

static void put(struct filter *f, __u16 code, __u8 jt, __u8 jf, __u32 k)
{
	f->insns[f->count++] = (struct sock_filter){code, jt, jf, k};
	f->now &= f->stored[f->count];
}

/* Numbers with the edges of every range among them. */
static __u32 odd_number(void)
{
	static const __u32 edges[] = {
		0,          1,          0x7f,       0xff,       0x100,      0x7fff,     0x8000,
		0xffff,     0x10000,    0x7ffffffc, 0x7fffffff, 0x80000000, 0x80000001, 0xffe00000,
		0xffdfffff, 0xffefffff, 0xfff00000, 0xfff00001, 0xfff10000, 0xfff0fff0, 0xffffefff,
		0xfffff000, 0xfffff040, 0xffffffff, 0xfffffffe, 0xfffffffc, 0x7ffffffd, 0xffe0ffff,
	};

	switch (random_below(4)) {
	case 0:
		return edges[random_below(sizeof(edges) / sizeof(*edges))];
	case 1:
		return random_u32() >> random_below(32);
	case 2:
		return random_below(64);
	}
	return random_u32();
}

/* An offset: mostly in the packet, often at its end, sometimes outside or negative. */
static __u32 offset(const struct filter *f)
{
	__u32 kind = random_below(100);

	if (kind < 70)
		return random_below(f->packet_len);
	if (kind < 80)
		return random_below(f->packet_len + 6);
	if (kind < 84)
		return f->packet_len - random_below(6);
	if (kind < 90)
		return (__u32)SKF_NET_OFF + random_below(f->packet_len);
	if (kind < 96)
		return (__u32)SKF_LL_OFF + random_below(f->packet_len);
	return odd_number();
}

static __u32 ancillary(const struct filter *f)
{
	static const __u32 anywhere[] = {SKF_AD_MARK,      SKF_AD_QUEUE,
					 SKF_AD_RXHASH,    SKF_AD_CPU,
					 SKF_AD_ALU_XOR_X, SKF_AD_ALU_XOR_X,
					 SKF_AD_VLAN_TAG,  SKF_AD_VLAN_TAG_PRESENT,
					 SKF_AD_VLAN_TPID, SKF_AD_PROTOCOL,
					 SKF_AD_PKTTYPE};

	if (random_percent(f->devices ? 15 : 3))
		return (__u32)SKF_AD_OFF + SKF_AD_IFINDEX;
	return (__u32)SKF_AD_OFF + anywhere[random_below(sizeof(anywhere) / sizeof(*anywhere))];
}

static __u16 random_size(void)
{
	static const __u16 sizes[] = {BPF_W, BPF_H, BPF_B};

	return sizes[random_below(3)];
}

static void put_load(struct filter *f)
{
	__u32 kind = random_below(100), k;

	if (kind < 35) {
		k = offset(f);
		if (k >= (__u32)SKF_AD_OFF)
			k = ancillary(f);
		put(f, BPF_LD | random_size() | BPF_ABS, 0, 0, k);
	} else if (kind < 45) {
		put(f, BPF_LDX | BPF_B | BPF_MSH, 0, 0, offset(f));
	} else if (kind < 70) {
		/* X so that X + k is somewhere in the packet, or wraps around */
		__u32 x = odd_number();

		if (random_percent(75))
			put(f, BPF_LDX | BPF_IMM, 0, 0, x);
		put(f, BPF_LD | random_size() | BPF_IND, 0, 0,
		    random_percent(80) ? offset(f) - x : odd_number());
	} else if (kind < 78) {
		put(f, BPF_LD | random_size() | BPF_IND, 0, 0, random_below(f->packet_len));
	} else if (kind < 88) {
		put(f, BPF_LD | random_size() | BPF_ABS, 0, 0, ancillary(f));
	} else if (kind < 91) {
		put(f, BPF_LD | random_size() | BPF_ABS, 0, 0, (__u32)SKF_AD_OFF + SKF_AD_RANDOM);
		put(f, BPF_ALU | BPF_AND | BPF_K, 0, 0, 0);
	} else if (kind < 95) {
		put(f, BPF_LD | BPF_W | BPF_LEN, 0, 0, odd_number());
	} else {
		put(f, BPF_LDX | BPF_W | BPF_LEN, 0, 0, odd_number());
	}
}

static void put_register(struct filter *f)
{
	__u32 word = random_below(BPF_MEMWORDS);

	switch (random_below(6)) {
	case 0:
		put(f, BPF_LD | BPF_IMM, 0, 0, odd_number());
		break;
	case 1:
		put(f, BPF_LDX | BPF_IMM, 0, 0, odd_number());
		break;
	case 2:
		put(f, BPF_MISC | BPF_TAX, 0, 0, odd_number());
		break;
	case 3:
		put(f, BPF_MISC | BPF_TXA, 0, 0, odd_number());
		break;
	case 4:
		f->now |= 1u << word;
		put(f, random_percent(50) ? BPF_ST : BPF_STX, 0, 0, word);
		break;
	case 5:
		for (__u32 i = 0; i < BPF_MEMWORDS; i++) {
			if (f->now & 1u << ((word + i) % BPF_MEMWORDS)) {
				put(f, (random_percent(50) ? BPF_LD : BPF_LDX) | BPF_MEM, 0, 0,
				    (word + i) % BPF_MEMWORDS);
				return;
			}
		}
	}
}

static void put_alu(struct filter *f)
{
	static const __u16 ops[] = {BPF_ADD, BPF_SUB, BPF_MUL, BPF_DIV, BPF_OR, BPF_AND,
				    BPF_LSH, BPF_RSH, BPF_NEG, BPF_MOD, BPF_XOR};
	__u16 op = ops[random_below(sizeof(ops) / sizeof(*ops))];
	__u16 source = random_percent(50) && op != BPF_NEG ? BPF_X : BPF_K;
	__u32 k = odd_number();

	if (source == BPF_K && (op == BPF_LSH || op == BPF_RSH))
		k %= 32;
	if (source == BPF_K && (op == BPF_DIV || op == BPF_MOD) && k == 0)
		k = 1;
	put(f, BPF_ALU | op | source, 0, 0, k);
}

/* X from the packet, so that data flow has to find its bound; then a load relative to it. */
static void put_computed(struct filter *f)
{
	static const __u16 ops[] = {BPF_ADD, BPF_SUB, BPF_MUL, BPF_DIV, BPF_OR, BPF_AND,
				    BPF_LSH, BPF_RSH, BPF_NEG, BPF_MOD, BPF_XOR};
	__u32 word = random_below(BPF_MEMWORDS), k = random_below(f->packet_len / 2);

	/* the packet is as long as X may lead, or nearly */
	if (random_percent(50))
		put(f, BPF_LD | BPF_ABS | BPF_B, 0, 0, k + random_below(64));
	if (random_percent(80))
		put(f, BPF_LD | BPF_ABS | (random_percent(70) ? BPF_B : BPF_H), 0, 0,
		    random_below(f->packet_len));
	if (random_percent(50))
		put(f, BPF_ALU | BPF_AND | BPF_K, 0, 0, 0xff >> random_below(7));
	for (int i = random_below(3); i > 0; i--) {
		__u16 op = ops[random_below(sizeof(ops) / sizeof(*ops))];
		__u16 source = op != BPF_NEG && random_percent(20) ? BPF_X : BPF_K;

		put(f, BPF_ALU | op | source, 0, 0,
		    op == BPF_LSH || op == BPF_RSH ? random_below(5) : 1 + random_below(40));
	}
	if (random_percent(30)) {
		f->now |= 1u << word;
		put(f, BPF_ST, 0, 0, word);
	}
	/* a jump may have left the store out */
	if (f->now & 1u << word)
		put(f, BPF_LDX | BPF_MEM, 0, 0, word);
	else
		put(f, BPF_MISC | BPF_TAX, 0, 0, 0);
	put(f, BPF_LD | random_size() | BPF_IND, 0, 0, k);
}

static void reach(struct filter *f, __u32 target)
{
	f->stored[target] &= f->now;
}

static void put_jump(struct filter *f)
{
	static const __u16 ops[] = {BPF_JEQ, BPF_JGT, BPF_JGE, BPF_JSET};
	__u32 left = f->wanted - f->count - 1, range = left < 256 ? left : 256, at = f->count + 1;
	__u8 jt = (__u8)random_below(range), jf = (__u8)random_below(range);

	if (random_percent(10)) {
		__u32 to =
			random_percent(80) ? random_below(left < 5 ? left : 5) : random_below(left);

		reach(f, at + to);
		f->now = 0xffff;
		put(f, BPF_JMP | BPF_JA, random_below(256), random_below(256), to);
		return;
	}
	if (random_percent(40))
		jt = 0;
	else if (random_percent(60))
		jf = 0;
	else if (random_percent(20))
		jf = jt;
	reach(f, at + jt);
	reach(f, at + jf);
	f->now = 0xffff;
	put(f, BPF_JMP | ops[random_below(4)] | (random_percent(50) ? BPF_X : BPF_K), jt, jf,
	    odd_number());
}

/* As a verdict A shows only up to the packet's length: so show some of its bits at a time. */
static void put_return(struct filter *f)
{
	if (random_percent(25)) {
		put(f, BPF_RET | BPF_K, 0, 0, random_percent(30) ? 0 : odd_number());
		return;
	}
	if (random_percent(70)) {
		put(f, BPF_ALU | BPF_RSH | BPF_K, 0, 0, random_below(32));
		put(f, BPF_ALU | BPF_AND | BPF_K, 0, 0, f->packet_len > 256 ? 0xff : 0x1f);
	}
	put(f, BPF_RET | BPF_A, 0, 0, odd_number());
}

/* A packet's length such that one of the loads is at its end, or just past it; 0: there is none. */
__attribute__((unused)) static __u32 edge_length(const struct filter *f)
{
	__u32 at = random_below(f->count);

	for (__u32 i = 0; i < f->count; i++, at = (at + 1) % f->count) {
		const struct sock_filter *insn = &f->insns[at];
		bool absolute =
			insn->code == (BPF_LDX | BPF_B | BPF_MSH) ||
			(BPF_CLASS(insn->code) == BPF_LD && BPF_MODE(insn->code) == BPF_ABS);

		if (absolute && insn->k < 1000)
			return insn->k + random_below(5);
	}
	return 0;
}

static void generate(struct filter *f, __u32 wanted, __u32 packet_len, bool devices)
{
	f->count = 0;
	f->wanted = wanted;
	f->now = 0;
	f->packet_len = packet_len;
	f->devices = devices;
	memset(f->stored, 0xff, sizeof(f->stored));
	/* each adds eight instructions at most, and the last three are given */
	while (f->count + 11 <= wanted) {
		__u32 kind = random_below(100);

		if (kind < 10)
			put_computed(f);
		else if (kind < 32)
			put_load(f);
		else if (kind < 57)
			put_alu(f);
		else if (kind < 77)
			put_register(f);
		else if (kind < 97)
			put_jump(f);
		else
			put_return(f);
	}
	while (f->count + 3 < wanted)
		put(f, BPF_ALU | BPF_ADD | BPF_X, 0, 0, 0);
	put(f, BPF_ALU | BPF_RSH | BPF_K, 0, 0, random_below(28));
	put(f, BPF_ALU | BPF_AND | BPF_K, 0, 0, packet_len > 256 ? 0xff : 0x1f);
	put(f, BPF_RET | BPF_A, 0, 0, 0);
}

#endif
