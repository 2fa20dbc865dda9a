// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * How often the verifier may have to look at a filter's instructions. It follows each path, but for one that
 * comes to a place with the same values in the registers as another one before. A filter can't loop; but
 * branches that meet again with different values, and branch again, make the paths twice as many each time.
 *
 * So each register has, at each instruction, a number of values that are told apart there: it becomes 1
 * where the register is loaded, and where paths meet they add up. Registers that were set at one and the same
 * place have the same value on all paths; but the accumulator is what branches compare, so the verifier knows
 * more of it on one path than on the other. A register that is set before it is read again does not count.
 */
#include "tools/server/server.h"

#include <string.h>

enum { ACCUMULATOR, INDEX, SCRATCH, REGISTERS = SCRATCH + BPF_MEMWORDS };

/* An instruction that can be reached, with what is known of the registers before it. */
struct values {
	uint32_t live;              /* a bit for each register that is still to be read */
	uint32_t set_at[REGISTERS]; /* 1 + the instruction; 0: at the start */
	uint32_t count[REGISTERS];
	bool reached;
};

static uint32_t add(uint32_t a, uint32_t b)
{
	return a + b < SERVER_WORK ? a + b : SERVER_WORK;
}

static void meet(struct values *at, const struct values *from, uint32_t pc)
{
	if (!at->reached) {
		memcpy(at->set_at, from->set_at, sizeof(at->set_at));
		memcpy(at->count, from->count, sizeof(at->count));
		at->reached = true;
		return;
	}
	for (int i = 0; i < REGISTERS; i++) {
		if (!(at->live >> i & 1) || (i != ACCUMULATOR && at->set_at[i] == from->set_at[i]))
			continue;
		at->set_at[i] = pc + 1;
		at->count[i] = add(at->count[i], from->count[i]);
	}
}

static void set(struct values *values, int to, uint32_t pc, uint32_t count)
{
	values->set_at[to] = pc + 1;
	values->count[to] = count;
}

static void run(struct values *values, const struct sock_filter *insn, uint32_t pc)
{
	const uint32_t slot = SCRATCH + insn->k % BPF_MEMWORDS;
	const bool memory = BPF_MODE(insn->code) == BPF_MEM;

	switch (BPF_CLASS(insn->code)) {
	case BPF_LD:
		set(values, ACCUMULATOR, pc, memory ? values->count[slot] : 1);
		break;
	case BPF_LDX:
		set(values, INDEX, pc, memory ? values->count[slot] : 1);
		break;
	case BPF_ST:
		set(values, (int)slot, pc, values->count[ACCUMULATOR]);
		break;
	case BPF_STX:
		set(values, (int)slot, pc, values->count[INDEX]);
		break;
	case BPF_MISC:
		if (BPF_MISCOP(insn->code) == BPF_TAX)
			set(values, INDEX, pc, values->count[ACCUMULATOR]);
		else
			set(values, ACCUMULATOR, pc, values->count[INDEX]);
		break;
	default:
		break;
	}
}

static uint32_t all_values(const struct values *values)
{
	uint64_t product = 1;

	for (int i = 0; i < REGISTERS && product < SERVER_WORK; i++)
		product *= values->live >> i & 1 ? values->count[i] : 1;
	return product < SERVER_WORK ? (uint32_t)product : SERVER_WORK;
}

/* Where the filter goes on after an instruction: up to two places, which may be beyond its end. */
static int find_next(const struct sock_filter *insn, uint64_t pc, uint64_t next[2])
{
	next[0] = pc + 1;
	if (BPF_CLASS(insn->code) == BPF_RET)
		return 0;
	if (BPF_CLASS(insn->code) != BPF_JMP)
		return 1;
	if (BPF_OP(insn->code) == BPF_JA) {
		next[0] += insn->k;
		return 1;
	}
	next[1] = next[0] + insn->jf;
	next[0] += insn->jt;
	return next[0] == next[1] ? 1 : 2;
}

/* What is to be read before an instruction, from what is after it. */
static uint32_t live_before(const struct sock_filter *insn, uint32_t live)
{
	const uint32_t a = 1u << ACCUMULATOR, x = 1u << INDEX;
	const uint32_t slot = 1u << (SCRATCH + insn->k % BPF_MEMWORDS);

	switch (BPF_CLASS(insn->code)) {
	case BPF_LD:
		live &= ~a;
		break;
	case BPF_LDX:
		live &= ~x;
		break;
	case BPF_ST:
		return (live & ~slot) | a;
	case BPF_STX:
		return (live & ~slot) | x;
	case BPF_RET:
		return BPF_RVAL(insn->code) == BPF_A ? a : 0;
	case BPF_MISC:
		return BPF_MISCOP(insn->code) == BPF_TAX ? (live & ~x) | a : (live & ~a) | x;
	default: /* ALU and jumps */
		if (insn->code == (BPF_JMP | BPF_JA))
			return live;
		return live | a | (BPF_SRC(insn->code) == BPF_X ? x : 0);
	}
	if (BPF_MODE(insn->code) == BPF_MEM)
		return live | slot;
	return live | (BPF_MODE(insn->code) == BPF_IND ? x : 0);
}

static void find_live(struct values *at, const struct sock_filter *insns, size_t count)
{
	for (size_t pc = count; pc-- > 0;) {
		uint64_t next[2];
		uint32_t live = 0;

		for (int i = find_next(&insns[pc], pc, next) - 1; i >= 0; i--)
			if (next[i] < count)
				live |= at[next[i]].live;
		at[pc].live = live_before(&insns[pc], live);
	}
}

uint32_t server_work(const struct sock_filter *insns, size_t count)
{
	static struct values at[BROKER_MAX_INSNS];
	uint32_t work = 0;

	if (!count)
		return 0;
	memset(at, 0, count * sizeof(*at));
	find_live(at, insns, count);
	for (int i = 0; i < REGISTERS; i++)
		at[0].count[i] = 1;
	at[0].reached = true;
	for (uint32_t pc = 0; pc < count; pc++) {
		struct values after = at[pc];
		uint64_t next[2];

		if (!after.reached)
			continue;
		work = add(work, all_values(&after));
		run(&after, &insns[pc], pc);
		/* what leaves the filter is refused by the translation */
		for (int i = find_next(&insns[pc], pc, next) - 1; i >= 0; i--)
			if (next[i] < count)
				meet(&at[next[i]], &after, (uint32_t)next[i]);
	}
	return work;
}
