/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Filters for cases that random ones seldom meet, on packets of every length: the translation gives
 * the kernel's verdict, and ends at its last instruction.
 */
#include "tests/unit/translate/help.h"

#define FILTER(...) {__VA_ARGS__}, sizeof((struct sock_filter[]){__VA_ARGS__}) / 8

#define LDB(K)                                                                                     \
	{                                                                                          \
		BPF_LD | BPF_B | BPF_ABS, 0, 0, K                                                  \
	}
#define LDB_X(K)                                                                                   \
	{                                                                                          \
		BPF_LD | BPF_B | BPF_IND, 0, 0, K                                                  \
	}
#define LDH_X(K)                                                                                   \
	{                                                                                          \
		BPF_LD | BPF_H | BPF_IND, 0, 0, K                                                  \
	}
#define LD_K(K)                                                                                    \
	{                                                                                          \
		BPF_LD | BPF_IMM, 0, 0, K                                                          \
	}
#define LDX_M(K)                                                                                   \
	{                                                                                          \
		BPF_LDX | BPF_MEM, 0, 0, K                                                         \
	}
#define MSH(K)                                                                                     \
	{                                                                                          \
		BPF_LDX | BPF_B | BPF_MSH, 0, 0, K                                                 \
	}
#define ST(K)                                                                                      \
	{                                                                                          \
		BPF_ST, 0, 0, K                                                                    \
	}
#define STX(K)                                                                                     \
	{                                                                                          \
		BPF_STX, 0, 0, K                                                                   \
	}
#define TAX                                                                                        \
	{                                                                                          \
		BPF_MISC | BPF_TAX, 0, 0, 0                                                        \
	}
#define ALU(OP, K)                                                                                 \
	{                                                                                          \
		BPF_ALU | BPF_##OP | BPF_K, 0, 0, K                                                \
	}
#define LSH_X                                                                                      \
	{                                                                                          \
		BPF_ALU | BPF_LSH | BPF_X, 0, 0, 0                                                 \
	}
#define JA(K)                                                                                      \
	{                                                                                          \
		BPF_JMP | BPF_JA, 0, 0, K                                                          \
	}
#define JSET(K, YES, NO)                                                                           \
	{                                                                                          \
		BPF_JMP | BPF_JSET | BPF_K, YES, NO, K                                             \
	}
#define RET(K)                                                                                     \
	{                                                                                          \
		BPF_RET | BPF_K, 0, 0, K                                                           \
	}
#define RET_A                                                                                      \
	{                                                                                          \
		BPF_RET | BPF_A, 0, 0, 0                                                           \
	}

static const struct {
	const char *what;
	struct sock_filter insns[14];
	size_t count;
} cases[] = {
	{"one byte, where others read more",
	 FILTER(LDB(0), JSET(1, 0, 3), LDB(1), LDB(2), JSET(8, 1, 1), RET(5), RET_A)},
	{"scratch memory stored on two ways",
	 FILTER(LDB(60), LDB(0), JSET(1, 0, 3), LD_K(2), ST(0), JA(2), LDB(1), ST(0), LDX_M(0),
		LDB_X(10), RET_A)},
	{"scratch memory from X", FILTER(LDB(60), LDB(0), TAX, STX(1), LDX_M(1), LDB_X(10), RET_A)},
	{"X by OR", FILTER(LDB(107), LDB(0), ALU(AND, 0x1f), ALU(OR, 0x60), TAX, LDB_X(10), RET_A)},
	{"X by XOR",
	 FILTER(LDB(107), LDB(0), ALU(AND, 0x1f), ALU(XOR, 0x7f), TAX, LDB_X(10), RET_A)},
	{"X by a shift by X",
	 FILTER(LDB(60), LDB(0), ALU(MOD, 33), TAX, LD_K(1), LSH_X, TAX, LDB_X(10), RET_A)},
	{"X by SUB, negative", FILTER(LDB(60), LDB(0), ALU(SUB, 100), TAX, LDB_X(10), RET_A)},
	{"X by ADD, around", FILTER(LDB(60), LDB(0), ALU(ADD, 0xffffff80), TAX, LDB_X(120), RET_A)},
	{"header lengths with options",
	 FILTER(LDB(0), MSH(0), LDH_X(0), LDH_X(2), LDB_X(20), RET_A)},
	{"header length cut off",
	 FILTER(MSH(14), LDH_X(14), LDH_X(16), JSET(1, 0, 1), RET(9), RET(20))},
	{"a return of 0 only", FILTER(JA(1), RET(7), JA(0), RET(0))},
	{"both ways the same", FILTER(LDB(3), JSET(1, 1, 1), RET(4), RET(5))},
};

static bool same(size_t number, bool plain)
{
	const struct sock_filter *insns = cases[number].insns;
	int classic[2], translated[2];
	int program = load_translated(insns, cases[number].count, plain, NULL, 0);
	bool good = program >= 0;

	unix_pair(classic);
	unix_pair(translated);
	if (!good || attach_classic(classic[1], insns, cases[number].count) ||
	    attach_program(translated[1], program))
		die(cases[number].what);
	close(program);
	for (int i = 0; i < 3000 && good; i++) {
		unsigned char packet[300];
		size_t size = (size_t)i % sizeof(packet);
		long expected, got;

		for (size_t at = 0; at < size; at++)
			packet[at] = (unsigned char)(random_u32() >> random_below(28));
		expected = unix_verdict(classic, packet, size);
		got = unix_verdict(translated, packet, size);
		if (expected == 0 && to_the_end && size)
			expected = 1;
		good = expected == got;
		if (!good)
			printf("# the kernel says %ld, the translation %ld, for %zu bytes\n",
			       expected, got, size);
	}
	for (int i = 0; i < 2; i++) {
		close(classic[i]);
		close(translated[i]);
	}
	return good;
}

int main(void)
{
	unsigned long seed = from_environment("SEED", (unsigned long)time(NULL));

	printf("# SEED=%lu\n", seed);
	random_seed(seed);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		bool good = true;

		for (int way = 0; way < 4; way++) {
			to_the_end = way & 1;
			good &= same(i, way & 2);
		}
		ok(good, "%s", cases[i].what);
	}
	done_testing();
}
