// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * Finds a hook that returns 1, as a socket filter's author would to say "yes": it cuts packets to one
 * byte. What is looked for is the number 1 that comes, by way of registers, to the store of the verdict
 * in hook.bpf.h. It is only good for a warning: a value that is kept on the stack meanwhile is missed.
 */
#include "bpf/table.h"
#include "plugin/hooks/object.h"
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* A larger program is not looked at. */
#define INSNS_MAX 8192

#define VERDICT_AT                                                                                 \
	(int)(offsetof(struct socktally_chain, packet) + offsetof(struct socktally_packet, verdict))

/* What is known of the registers before an instruction, a bit each. */
struct state {
	uint16_t one;   /* may be 1 */
	uint16_t at;    /* is where the chain's scratch is in a region */
	uint16_t chain; /* points to that scratch */
	bool reached;
};

static void join(struct state *to, const struct state *from)
{
	if (!to->reached) {
		*to = *from;
		return;
	}
	to->one |= from->one;
	to->at &= from->at;
	to->chain &= from->chain;
}

static void forget(struct state *state, uint16_t registers)
{
	state->one &= (uint16_t)~registers;
	state->at &= (uint16_t)~registers;
	state->chain &= (uint16_t)~registers;
}

static void alu(struct state *state, const struct bpf_insn *insn)
{
	const uint16_t to = (uint16_t)(1 << insn->dst_reg), from = (uint16_t)(1 << insn->src_reg);
	const struct state before = *state;

	forget(state, to);
	if (BPF_OP(insn->code) == BPF_ADD && BPF_SRC(insn->code) == BPF_X &&
	    before.at & (to | from)) {
		state->chain |= to;
	} else if (BPF_OP(insn->code) == BPF_MOV && BPF_SRC(insn->code) == BPF_X) {
		state->one |= before.one & from ? to : 0;
		state->at |= before.at & from ? to : 0;
		state->chain |= before.chain & from ? to : 0;
	} else if (BPF_OP(insn->code) == BPF_MOV && insn->imm == 1) {
		state->one |= to;
	}
}

static bool stores_one(const struct state *state, const struct bpf_insn *insn)
{
	if (BPF_SIZE(insn->code) != BPF_W || BPF_MODE(insn->code) != BPF_MEM ||
	    insn->off != VERDICT_AT || !(state->chain & 1 << insn->dst_reg))
		return false;
	return BPF_CLASS(insn->code) == BPF_ST ? insn->imm == 1 : state->one & 1 << insn->src_reg;
}

/* The state behind the instruction. */
static void step(struct state *state, const struct bpf_insn *insn)
{
	switch (BPF_CLASS(insn->code)) {
	case BPF_ALU:
	case BPF_ALU64:
		alu(state, insn);
		return;
	case BPF_LD:
		forget(state, (uint16_t)(1 << insn->dst_reg));
		if (!insn->src_reg && insn->imm == (int)offsetof(struct st_region, chain))
			state->at |= (uint16_t)(1 << insn->dst_reg);
		return;
	case BPF_LDX:
		forget(state, (uint16_t)(1 << insn->dst_reg));
		return;
	case BPF_JMP:
		if (BPF_OP(insn->code) == BPF_CALL)
			forget(state, 0x3f);
		return;
	}
}

static bool is_jump(const struct bpf_insn *insn)
{
	const int class = BPF_CLASS(insn->code), op = BPF_OP(insn->code);

	return (class == BPF_JMP || class == BPF_JMP32) && op != BPF_CALL && op != BPF_EXIT;
}

/* Backward jumps, of loops, are not followed. */
bool st_hook_returns_one(const struct st_assembly *assembly)
{
	const uint32_t count = assembly->count;
	struct state *states = count <= INSNS_MAX ? calloc(count + 1, sizeof(*states)) : NULL;
	bool found = false;

	if (!states)
		return false;
	states[0].reached = true;
	for (uint32_t i = 0; i < count && !found; i++) {
		const struct bpf_insn *insn = &assembly->insns[i];
		const int64_t target = (int64_t)i + 1 + insn->off;
		const bool always = is_jump(insn) && BPF_OP(insn->code) == BPF_JA;
		struct state after = states[i];

		if (!after.reached)
			continue;
		found = (BPF_CLASS(insn->code) == BPF_STX || BPF_CLASS(insn->code) == BPF_ST) &&
			stores_one(&after, insn);
		step(&after, insn);
		if (is_jump(insn) && target > i && target < count)
			join(&states[target], &after);
		i += insn->code == (BPF_LD | BPF_DW | BPF_IMM);
		if (!always && insn->code != (BPF_JMP | BPF_EXIT) && i < count)
			join(&states[i + 1], &after);
	}
	free(states);
	return found;
}
