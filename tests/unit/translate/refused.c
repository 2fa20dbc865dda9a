/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The translator refuses with EINVAL exactly what the kernel's setsockopt() refuses with it: a case
 * for each rule, and random filters with one or many faults. SEED, COUNT.
 */
#include "tests/unit/translate/generate.h"

#define FILTER(...) {__VA_ARGS__}, sizeof((struct sock_filter[]){__VA_ARGS__}) / 8

static const struct {
	const char *what;
	struct sock_filter insns[6];
	size_t count;
	int error;
	const char *name; /* of what can't be expressed */
} cases[] = {
	{"one return", FILTER({0x06, 0, 0, 0}), 0, NULL},
	{"return of A", FILTER({0x16, 0, 0, 0}), 0, NULL},
	{"return of X", FILTER({0x0e, 0, 0, 0}), -EINVAL, NULL},
	{"no return", FILTER({0x00, 0, 0, 0}), -EINVAL, NULL},
	{"no return at the end", FILTER({0x06, 0, 0, 0}, {0x00, 0, 0, 0}), -EINVAL, NULL},
	{"unknown opcode", FILTER({0xff, 0, 0, 0}, {0x06, 0, 0, 0}), -EINVAL, NULL},
	{"opcode past a byte", FILTER({0x100, 0, 0, 0}, {0x06, 0, 0, 0}), -EINVAL, NULL},
	{"jump over the end", FILTER({0x05, 0, 0, 1}, {0x06, 0, 0, 0}), -EINVAL, NULL},
	{"jump to the end", FILTER({0x05, 0, 0, 0}, {0x06, 0, 0, 0}), 0, NULL},
	{"jump backwards", FILTER({0x05, 0, 0, 0xffffffff}, {0x06, 0, 0, 0}), -EINVAL, NULL},
	{"condition true over the end", FILTER({0x15, 1, 0, 0}, {0x06, 0, 0, 0}), -EINVAL, NULL},
	{"condition false over the end", FILTER({0x15, 0, 1, 0}, {0x06, 0, 0, 0}), -EINVAL, NULL},
	{"division by 0", FILTER({0x34, 0, 0, 0}, {0x06, 0, 0, 0}), -EINVAL, NULL},
	{"division by X", FILTER({0x3c, 0, 0, 0}, {0x06, 0, 0, 0}), 0, NULL},
	{"modulo 0", FILTER({0x94, 0, 0, 0}, {0x06, 0, 0, 0}), -EINVAL, NULL},
	{"shift by 31", FILTER({0x64, 0, 0, 31}, {0x06, 0, 0, 0}), 0, NULL},
	{"left shift by 32", FILTER({0x64, 0, 0, 32}, {0x06, 0, 0, 0}), -EINVAL, NULL},
	{"right shift by 32", FILTER({0x74, 0, 0, 32}, {0x06, 0, 0, 0}), -EINVAL, NULL},
	{"store past scratch memory", FILTER({0x02, 0, 0, 16}, {0x06, 0, 0, 0}), -EINVAL, NULL},
	{"load past scratch memory", FILTER({0x60, 0, 0, 16}, {0x06, 0, 0, 0}), -EINVAL, NULL},
	{"load of what was never stored", FILTER({0x60, 0, 0, 0}, {0x06, 0, 0, 0}), -EINVAL, NULL},
	{"load of what was stored", FILTER({0x02, 0, 0, 3}, {0x61, 0, 0, 3}, {0x06, 0, 0, 0}), 0,
	 NULL},
	{"load of what was stored on one way",
	 FILTER({0x15, 0, 1, 0}, {0x02, 0, 0, 3}, {0x61, 0, 0, 3}, {0x06, 0, 0, 0}), -EINVAL, NULL},
	{"the same where nothing comes by",
	 FILTER({0x05, 0, 0, 1}, {0x61, 0, 0, 3}, {0x06, 0, 0, 0}), 0, NULL},
	{"ancillary load between the known", FILTER({0x20, 0, 0, 0xfffff001}, {0x06, 0, 0, 0}),
	 -EINVAL, NULL},
	{"ancillary load past the known", FILTER({0x20, 0, 0, 0xfffff040}, {0x06, 0, 0, 0}),
	 -EINVAL, NULL},
	{"ancillary load of a byte", FILTER({0x30, 0, 0, 0xfffff000}, {0x06, 0, 0, 0}), 0, NULL},
	{"the same from X", FILTER({0x40, 0, 0, 0xfffff040}, {0x06, 0, 0, 0}), 0, NULL},
	{"header length at an ancillary offset", FILTER({0xb1, 0, 0, 0xfffff040}, {0x06, 0, 0, 0}),
	 0, NULL},
	{"HATYPE", FILTER({0x28, 0, 0, 0xfffff01c}, {0x06, 0, 0, 0}), -EOPNOTSUPP, "SKF_AD_HATYPE"},
	{"NLATTR", FILTER({0x20, 0, 0, 0xfffff00c}, {0x06, 0, 0, 0}), -EOPNOTSUPP, "SKF_AD_NLATTR"},
	{"NLATTR_NEST", FILTER({0x20, 0, 0, 0xfffff010}, {0x06, 0, 0, 0}), -EOPNOTSUPP,
	 "SKF_AD_NLATTR_NEST"},
	{"PAY_OFFSET", FILTER({0x20, 0, 0, 0xfffff034}, {0x06, 0, 0, 0}), -EOPNOTSUPP,
	 "SKF_AD_PAY_OFFSET"},
	{"PAY_OFFSET where nothing comes by",
	 FILTER({0x05, 0, 0, 1}, {0x20, 0, 0, 0xfffff034}, {0x06, 0, 0, 0}), 0, NULL},
};

static int pair[2];

static int translate(const struct sock_filter *insns, size_t count, const char **name)
{
	struct st_code code = {0};
	int error = st_translate(&code, insns, count, name);

	st_code_free(&code);
	return error;
}

/* The kernel accepts what only eBPF can't express. */
static bool agree(const struct sock_filter *insns, size_t count, int *ours)
{
	int kernel = attach_classic(pair[1], insns, count);

	*ours = translate(insns, count, NULL);
	return kernel == (*ours == -EOPNOTSUPP ? 0 : *ours);
}

static void try_lengths(void)
{
	static struct sock_filter insns[4097];
	const char *name = "";
	struct st_code code = {0};

	for (size_t i = 0; i < 4097; i++)
		insns[i] = (struct sock_filter){BPF_RET | BPF_K, 0, 0, 1};
	/* the kernel may say ENOMEM */
	ok(translate(insns, 4096, NULL) == 0 && attach_classic(pair[1], insns, 4096) != -EINVAL,
	   "4096 instructions are accepted");
	ok(translate(insns, 4097, NULL) == -EINVAL &&
		   attach_classic(pair[1], insns, 4097) == -EINVAL,
	   "4097 are not");
	ok(st_translate(&code, NULL, 0, &name) == 0 && code.count && !name,
	   "none at all is no filter");
	st_code_free(&code);
	ok(translate(NULL, 3, NULL) == -EINVAL, "no array is refused");
}

/* With known and unknown ancillary loads. */
static __u32 any_operand(void)
{
	return random_percent(20) ? (__u32)SKF_AD_OFF + random_below(80) : odd_number();
}

/* Mostly known instructions, with any operands. */
static void scramble(struct sock_filter *insns, __u32 count)
{
	for (__u32 i = 0; i < count; i++) {
		insns[i].code = (__u16)(random_percent(95) ? random_below(0xb8) : random_u32());
		insns[i].jt = (__u8)random_below(random_percent(80) ? count : 256);
		insns[i].jf = (__u8)random_below(random_percent(80) ? count : 256);
		insns[i].k = any_operand();
	}
}

static void spoil(struct filter *f)
{
	struct sock_filter *insn = &f->insns[random_below(f->count)];

	switch (random_below(5)) {
	case 0:
		insn->code ^= (__u16)(1u << random_below(9));
		break;
	case 1:
		insn->jt = (__u8)random_below(f->count + 3);
		break;
	case 2:
		insn->jf = (__u8)random_below(f->count + 3);
		break;
	case 3:
		insn->k = any_operand();
		break;
	case 4:
		f->count = 1 + random_below(f->count);
	}
}

static void try_random(unsigned long count)
{
	static struct filter f;
	unsigned long wrong = 0, refused = 0, inexpressible = 0;

	for (unsigned long i = 0; i < count && wrong < 5; i++) {
		int ours;

		if (random_percent(40)) {
			f.count = 1 + random_below(random_percent(70) ? 3 : 12);
			scramble(f.insns, f.count);
			if (random_percent(80))
				f.insns[f.count - 1].code = BPF_RET;
		} else {
			generate(&f, 11 + random_below(40), 60, true);
			spoil(&f);
		}
		if (!agree(f.insns, f.count, &ours)) {
			wrong++;
			printf("# ours: %s\n", strerror(-ours));
			print_filter(f.insns, f.count);
		}
		refused += ours == -EINVAL;
		inexpressible += ours == -EOPNOTSUPP;
	}
	ok(wrong == 0, "%lu random filters, %lu of them refused (and %lu that eBPF can't express)",
	   count, refused, inexpressible);
	ok(refused > count / 5 && count - refused > count / 5, "there are many of both");
}

int main(void)
{
	unsigned long seed = from_environment("SEED", (unsigned long)time(NULL));
	unsigned long count = from_environment("COUNT", 200000);
	int ours;

	printf("# SEED=%lu COUNT=%lu\n", seed, count);
	random_seed(seed);
	unix_pair(pair);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const char *name = "";
		int error = translate(cases[i].insns, cases[i].count, &name);
		bool right = name == cases[i].name ||
			     (name && cases[i].name && !strcmp(name, cases[i].name));

		ok(error == cases[i].error && (error == -EINVAL || right) &&
			   agree(cases[i].insns, cases[i].count, &ours),
		   "%s: %s", cases[i].what, error ? strerror(-error) : "accepted");
	}
	try_lengths();
	try_random(count);
	done_testing();
}
