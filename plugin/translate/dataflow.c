/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Data flow: what holds before each instruction, whatever path led to it. Is it reachable (the
 * verifier refuses unreachable code), how long is the packet at least, how large are A and X at
 * most? Classic BPF jumps forward only, so one pass in order is enough.
 */
#include "plugin/translate/internal.h"

/* The final target of a jump to pc: follows further jumps; a return of 0 is ST_LABEL_REJECT. */
__u32 st_resolve(const struct st_translation *t, size_t pc)
{
	while (t->insns[pc].code == (BPF_JMP | BPF_JA))
		pc += 1 + (size_t)t->insns[pc].k;
	if (t->insns[pc].code == (BPF_RET | BPF_K) && t->insns[pc].k == 0)
		return st_label(t, ST_LABEL_REJECT);
	return (__u32)pc;
}

__u32 st_load_size(const struct sock_filter *insn)
{
	switch (BPF_SIZE(insn->code)) {
	case BPF_W:
		return 4;
	case BPF_H:
		return 2;
	}
	return 1;
}

/* Negative offsets below all areas: such a load always rejects. */
bool st_never_loads(const struct sock_filter *insn)
{
	bool absolute = (BPF_CLASS(insn->code) == BPF_LD && BPF_MODE(insn->code) == BPF_ABS) ||
			insn->code == (BPF_LDX | BPF_B | BPF_MSH);

	return absolute && insn->k >= 0x80000000u && insn->k < (__u32)SKF_LL_OFF;
}

static void merge(struct st_dataflow *to, const struct st_dataflow *from)
{
	if (!to->reached) {
		*to = *from;
		return;
	}
	to->a_is_set &= from->a_is_set;
	to->x_is_set &= from->x_is_set;
	if (to->len_min > from->len_min)
		to->len_min = from->len_min;
	if (to->a_max < from->a_max)
		to->a_max = from->a_max;
	if (to->x_max < from->x_max)
		to->x_max = from->x_max;
	for (int i = 0; i < BPF_MEMWORDS; i++) {
		if (to->mem_max[i] < from->mem_max[i])
			to->mem_max[i] = from->mem_max[i];
	}
}

static __u32 clamp(__u64 value)
{
	return value > 0xffffffff ? 0xffffffff : (__u32)value;
}

/* The smallest 2^n - 1 that is not below value. */
static __u32 all_ones(__u32 value)
{
	for (int shift = 1; shift < 32; shift *= 2)
		value |= value >> shift;
	return value;
}

static __u32 alu_max(const struct sock_filter *insn, __u32 a, __u32 x)
{
	bool by_x = BPF_SRC(insn->code) == BPF_X;
	__u32 b = by_x ? x : insn->k;

	switch (BPF_OP(insn->code)) {
	case BPF_ADD:
		return clamp((__u64)a + b);
	case BPF_MUL:
		return clamp((__u64)a * b);
	case BPF_DIV:
		return by_x ? a : a / b;
	case BPF_MOD:
		return by_x || a < b ? a : b - 1;
	case BPF_AND:
		return a < b ? a : b;
	case BPF_OR:
	case BPF_XOR:
		return all_ones(a | b);
	case BPF_LSH:
		return by_x ? 0xffffffff : clamp((__u64)a << b);
	case BPF_RSH:
		return by_x ? a : a >> b;
	}
	return 0xffffffff; /* SUB and NEG wrap */
}

static __u32 ancillary_max(const struct sock_filter *insn, const struct st_dataflow *dataflow)
{
	switch (insn->k - (__u32)SKF_AD_OFF) {
	case SKF_AD_PROTOCOL:
	case SKF_AD_QUEUE:
	case SKF_AD_VLAN_TAG:
	case SKF_AD_VLAN_TPID:
		return 0xffff;
	case SKF_AD_PKTTYPE:
		return 7;
	case SKF_AD_VLAN_TAG_PRESENT:
		return 1;
	case SKF_AD_ALU_XOR_X:
		return all_ones(dataflow->a_max | dataflow->x_max);
	}
	return 0xffffffff;
}

static void pass_load(const struct sock_filter *insn, struct st_dataflow *dataflow)
{
	__u32 size = st_load_size(insn);
	__u64 last = (__u64)insn->k + (BPF_MODE(insn->code) == BPF_IND ? dataflow->x_max : 0);

	/* a load at X + k that does not wrap shows that k + size bytes are there */
	if (last < 0x80000000u && dataflow->len_min < insn->k + size)
		dataflow->len_min = insn->k + size;
	dataflow->a_max = size == 4 ? 0xffffffff : (1u << (8 * size)) - 1;
}

/* dataflow: before the instruction; becomes that after it. */
static void pass(const struct sock_filter *insn, struct st_dataflow *dataflow)
{
	struct st_dataflow before = *dataflow;

	switch (BPF_CLASS(insn->code)) {
	case BPF_LD:
		dataflow->a_is_set = true;
		switch (BPF_MODE(insn->code)) {
		case BPF_IMM:
			dataflow->a_max = insn->k;
			break;
		case BPF_MEM:
			dataflow->a_max = before.mem_max[insn->k];
			break;
		case BPF_LEN:
			dataflow->a_max = 0xffffffff;
			break;
		default:
			if (st_is_ancillary(insn))
				dataflow->a_max = ancillary_max(insn, &before);
			else
				pass_load(insn, dataflow);
		}
		break;
	case BPF_LDX:
		dataflow->x_is_set = true;
		switch (BPF_MODE(insn->code)) {
		case BPF_IMM:
			dataflow->x_max = insn->k;
			break;
		case BPF_MEM:
			dataflow->x_max = before.mem_max[insn->k];
			break;
		case BPF_LEN:
			dataflow->x_max = 0xffffffff;
			break;
		default:
			pass_load(insn, dataflow);
			dataflow->a_max = before.a_max;
			dataflow->x_max = ST_MSH_MAX;
		}
		break;
	case BPF_ST:
		dataflow->mem_max[insn->k] = before.a_max;
		break;
	case BPF_STX:
		dataflow->mem_max[insn->k] = before.x_max;
		break;
	case BPF_ALU:
		dataflow->a_max = alu_max(insn, before.a_max, before.x_max);
		break;
	case BPF_MISC:
		if (BPF_MISCOP(insn->code) == BPF_TAX) {
			dataflow->x_max = before.a_max;
			dataflow->x_is_set = true;
		} else {
			dataflow->a_max = before.x_max;
			dataflow->a_is_set = true;
		}
		break;
	}
}

static bool reads_a(const struct sock_filter *insn)
{
	switch (BPF_CLASS(insn->code)) {
	case BPF_LD:
		/* without a device A becomes the verdict */
		return st_is_ancillary(insn) && (insn->k == (__u32)SKF_AD_OFF + SKF_AD_ALU_XOR_X ||
						 insn->k == (__u32)SKF_AD_OFF + SKF_AD_IFINDEX);
	case BPF_LDX:
		return BPF_MODE(insn->code) == BPF_MSH; /* saves it around the load */
	case BPF_ST:
	case BPF_ALU:
		return true;
	case BPF_JMP:
		return BPF_OP(insn->code) != BPF_JA;
	case BPF_MISC:
		return BPF_MISCOP(insn->code) == BPF_TAX;
	case BPF_RET:
		return insn->code == (BPF_RET | BPF_A);
	}
	return false;
}

static bool reads_x(const struct sock_filter *insn)
{
	switch (BPF_CLASS(insn->code)) {
	case BPF_LD:
		return BPF_MODE(insn->code) == BPF_IND ||
		       (st_is_ancillary(insn) && insn->k == (__u32)SKF_AD_OFF + SKF_AD_ALU_XOR_X);
	case BPF_STX:
		return true;
	case BPF_ALU:
	case BPF_JMP:
		return BPF_SRC(insn->code) == BPF_X;
	case BPF_MISC:
		return BPF_MISCOP(insn->code) == BPF_TXA;
	}
	return false;
}

/* The labels that may follow pc: at most 2. Their number. */
int st_successors(const struct st_translation *t, __u32 pc, __u32 labels[2])
{
	const struct sock_filter *insn = &t->insns[pc];

	if (st_is_return(insn) || st_never_loads(insn))
		return 0;
	if (st_is_conditional(insn)) {
		labels[0] = st_resolve(t, (size_t)pc + 1 + insn->jt);
		labels[1] = st_resolve(t, (size_t)pc + 1 + insn->jf);
		return 2;
	}
	labels[0] = insn->code == (BPF_JMP | BPF_JA) ? st_resolve(t, pc) : pc + 1;
	return 1;
}

void st_dataflow_find(struct st_translation *t)
{
	t->dataflow[0] = (struct st_dataflow){.reached = true};
	for (__u32 pc = 0; pc < t->count; pc++) {
		const struct sock_filter *insn = &t->insns[pc];
		struct st_dataflow dataflow = t->dataflow[pc];
		__u32 labels[2];

		if (!dataflow.reached)
			continue;
		t->needs_a |= reads_a(insn) && !dataflow.a_is_set;
		t->needs_x |= reads_x(insn) && !dataflow.x_is_set;
		pass(insn, &dataflow);
		for (int i = st_successors(t, pc, labels) - 1; i >= 0; i--) {
			if (labels[i] < t->count)
				merge(&t->dataflow[labels[i]], &dataflow);
		}
	}
}
