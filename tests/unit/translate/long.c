/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Filters of up to 4,096 instructions, some of which become longer than an eBPF jump can reach: the
 * translation gives the verdict of a simulator of classic BPF, and the kernel loads it. SEED,
 * COUNT.
 */
#define FILTER_ROOM 4096
#include "tests/unit/translate/generate.h"
#include "tests/unit/translate/simulate.h"

#include <linux/if_ether.h>

/* Loads one after the other, with any X, and a jump over all of them. */
static void make_longest(struct filter *f)
{
	f->count = 0;
	memset(f->stored, 0xff, sizeof(f->stored));
	put(f, BPF_LD | BPF_B | BPF_ABS, 0, 0, 0);
	put(f, BPF_MISC | BPF_TAX, 0, 0, 0);
	put(f, BPF_JMP | BPF_JEQ | BPF_K, 0, 2, 1);
	put(f, BPF_LD | BPF_W | BPF_LEN, 0, 0, 0);
	put(f, BPF_JMP | BPF_JA, 0, 0, FILTER_ROOM - 7);
	put(f, BPF_LDX | BPF_W | BPF_LEN, 0, 0, 0);
	while (f->count < FILTER_ROOM - 1)
		put(f, BPF_LD | BPF_H | BPF_IND, 0, 0, (__u32)-16);
	put(f, BPF_RET | BPF_A, 0, 0, 0);
}

/* Seldom ends early, so that most of it is reached; many loads, and long jumps. */
static void keep_going(struct filter *f)
{
	for (__u32 pc = 0; pc + 1 < f->count; pc++) {
		struct sock_filter *insn = &f->insns[pc];

		/* scratch memory may not be loaded if a jump has left the store out */
		if (BPF_CLASS(insn->code) <= BPF_LDX && BPF_MODE(insn->code) == BPF_MEM)
			*insn = (struct sock_filter){BPF_MISC | BPF_TAX, 0, 0, 0};
		else if (BPF_CLASS(insn->code) == BPF_RET)
			*insn = (struct sock_filter){BPF_LD | BPF_H | BPF_IND, 0, 0, 10};
		else if (insn->code == (BPF_LDX | BPF_IMM))
			insn->code = BPF_LDX | BPF_W | BPF_LEN;
		else if (BPF_CLASS(insn->code) == BPF_ALU || insn->code == (BPF_LD | BPF_IMM) ||
			 BPF_CLASS(insn->code) == BPF_ST || BPF_CLASS(insn->code) == BPF_STX)
			*insn = (struct sock_filter){BPF_LD | BPF_W | BPF_IND, 0, 0,
						     random_below(20) - 40};
		else if (insn->code == (BPF_LD | BPF_B | BPF_ABS) && insn->k < (__u32)SKF_AD_OFF)
			insn->k %= 60;
	}
	/* now and then a jump over most of it */
	if (random_percent(50)) {
		f->insns[0] = (struct sock_filter){BPF_LD | BPF_B | BPF_ABS, 0, 0, 0};
		f->insns[1] = (struct sock_filter){BPF_JMP | BPF_JEQ | BPF_K, 1, 0, 0};
		f->insns[2] = (struct sock_filter){BPF_JMP | BPF_JA, 0, 0,
						   f->count - 4 - random_below(50)};
	}
}

static unsigned long longest, islands;

static bool same(const struct filter *f, bool plain, bool in_kernel)
{
	struct st_code code = {.plain = plain, .header_buffer = &simulated_header_buffer};
	int error = st_translate(&code, f->insns, f->count, NULL), program = -1;
	bool good = error == 0;
	size_t length = code.count;

	if (error)
		printf("# not translated: %s\n", strerror(-error));
	st_code_emit(&code, (struct bpf_insn){.code = BPF_JMP | BPF_EXIT});
	st_code_finish(&code);
	if (good && in_kernel) {
		program = load_translated(f->insns, f->count, plain, NULL, 0);
		good = program >= 0;
		if (!good)
			printf("# the kernel refuses %zu instructions: %s\n", code.count,
			       strerror(-program));
	}
	if (longest < length)
		longest = length;
	islands += length > INT16_MAX;
	for (int i = 0; good && i < 8; i++) {
		/* BPF_PROG_TEST_RUN takes an Ethernet header off */
		unsigned char frame[ETH_HLEN + 256], *bytes = frame + ETH_HLEN;
		struct packet packet = {.bytes = bytes, .size = 64 + random_below(192)};
		__u32 expected, got;

		for (size_t at = 0; at < sizeof(frame); at++)
			frame[at] = (unsigned char)(random_u32() >> random_below(32));
		bytes[0] = i & 1;
		packet.skb.len = packet.size;
		expected = run_classic(f->insns, &packet);
		got = run_translated(&code, length, &packet);
		good = expected == got;
		if (!good)
			printf("# classic %u, translated %u\n", expected, got);
		if (program >= 0 && good) {
			st_bpf_prog_run(program, frame, ETH_HLEN + packet.size, 1, &got, NULL);
			good = expected == got;
			if (!good)
				printf("# classic %u, in the kernel %u\n", expected, got);
		}
	}
	if (program >= 0)
		close(program);
	st_code_free(&code);
	return good;
}

int main(void)
{
	unsigned long seed = from_environment("SEED", (unsigned long)time(NULL));
	unsigned long count = from_environment("COUNT", 2000), wrong = 0;
	static struct filter f;

	printf("# SEED=%lu COUNT=%lu\n", seed, count);
	random_seed(seed);
	make_longest(&f);
	/* too many jumps for the verifier, and no socket takes such a long filter */
	ok(same(&f, true, false), "%u loads from anywhere, plain", FILTER_ROOM - 7);
	ok(same(&f, false, true), "%u loads from anywhere, with functions", FILTER_ROOM - 7);
	for (unsigned long i = 0; i < count && wrong < 5; i++) {
		generate(&f, FILTER_ROOM - random_below(1000), 64 + random_below(100), true);
		keep_going(&f);
		wrong += !same(&f, random_percent(80), false);
	}
	ok(wrong == 0, "%lu random filters, %lu beyond the reach of one jump", count, islands);
	ok(islands > count / 10, "there are such (the longest has %lu instructions)", longest);
	done_testing();
}
