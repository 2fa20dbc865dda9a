// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * Symbolic execution of a classic filter. Registers hold fields of the packet instead of numbers;
 * at a comparison of a field, both branches are taken, each with its condition. Each path that ends
 * in "accept" gives a conjunction.
 */
#include "plugin/classes/ruleset/ruleset.h"
#include "plugin/translate/internal.h"

#include <errno.h>
#include <string.h>

/*
 * Bounds of time and of the stack. No filter of `make bench` takes more than 1,000 steps; a state has
 * some 640 bytes, and each depth puts one on the stack.
 */
#define STEPS_MAX 20000
#define DEPTH_MAX 48

enum symbolic_kind { CONSTANT, FIELD, UNKNOWN };

/* A constant; or a field & mask, shifted (left if positive), plus a constant. */
struct symbolic_value {
	enum symbolic_kind kind;
	struct st_field field;
	int shift;
	uint32_t constant;
};

struct symexec_state {
	struct symbolic_value a, x, mem[BPF_MEMWORDS];
	struct st_conjunction conjunction;
};

struct symexec {
	struct st_fields *fields;
	const struct sock_filter *insns;
	struct st_conjunctions *conjunctions;
	size_t first; /* index of the filter's first conjunction */
	uint32_t steps;
	bool failed; /* the filter can't be followed and stays a filter */
	int error;
};

static struct symbolic_value constant(uint32_t number)
{
	return (struct symbolic_value){.kind = CONSTANT, .constant = number};
}

static struct symbolic_value field(uint8_t kind, uint8_t size, uint16_t base, uint32_t offset)
{
	return (struct symbolic_value){
		.kind = FIELD,
		.field = {.kind = kind,
			  .size = size,
			  .base = base,
			  .offset = offset,
			  .mask = size == 4 ? 0xffffffff : (1u << (8 * size)) - 1},
	};
}

static const struct symbolic_value unknown = {.kind = UNKNOWN};

static struct symbolic_value shifted(struct symbolic_value value, int by)
{
	if (value.kind == CONSTANT)
		return constant(by < 0 ? value.constant >> -by : value.constant << by);
	if (value.kind != FIELD || value.constant)
		return unknown;
	/* bits that were shifted out are lost, so no shift back */
	if ((by > 0 && value.shift < 0) || (by < 0 && value.shift > 0))
		return unknown;
	value.shift += by;
	if (value.shift <= -32)
		return constant(0);
	if (value.shift > 0 && (value.shift >= 32 || value.field.mask > 0xffffffffu >> value.shift))
		return unknown;
	return value;
}

static struct symbolic_value masked(struct symbolic_value value, uint32_t mask)
{
	if (value.kind == CONSTANT)
		return constant(value.constant & mask);
	if (value.kind != FIELD || value.constant)
		return unknown;
	value.field.mask &= value.shift < 0 ? mask << -value.shift : mask >> value.shift;
	return value.field.mask ? value : constant(0);
}

static struct symbolic_value sum(struct symbolic_value a, struct symbolic_value b)
{
	if (a.kind == UNKNOWN || b.kind == UNKNOWN || (a.kind == FIELD && b.kind == FIELD))
		return unknown;
	if (b.kind == FIELD) {
		b.constant += a.constant;
		return b;
	}
	a.constant += b.constant;
	return a;
}

static struct symbolic_value folded(int op, uint32_t a, uint32_t b)
{
	switch (op) {
	case BPF_SUB:
		return constant(a - b);
	case BPF_MUL:
		return constant(a * b);
	case BPF_DIV:
		return b ? constant(a / b) : unknown;
	case BPF_MOD:
		return b ? constant(a % b) : unknown;
	case BPF_OR:
		return constant(a | b);
	case BPF_XOR:
		return constant(a ^ b);
	case BPF_NEG:
		return constant(0 - a);
	}
	return unknown;
}

static struct symbolic_value computed(const struct sock_filter *insn, struct symbolic_value a,
				      struct symbolic_value x)
{
	struct symbolic_value b = BPF_SRC(insn->code) == BPF_X ? x : constant(insn->k);
	int op = BPF_OP(insn->code);

	if (op == BPF_ADD)
		return sum(a, b);
	if (op == BPF_NEG)
		return a.kind == CONSTANT ? constant(0 - a.constant) : unknown;
	if (b.kind != CONSTANT)
		return unknown;
	switch (op) {
	case BPF_AND:
		return masked(a, b.constant);
	case BPF_LSH:
		return b.constant < 32 ? shifted(a, (int)b.constant) : unknown;
	case BPF_RSH:
		return b.constant < 32 ? shifted(a, -(int)b.constant) : unknown;
	case BPF_MUL:
		if (b.constant && !(b.constant & (b.constant - 1)))
			return shifted(a, __builtin_ctz(b.constant));
		break;
	case BPF_DIV:
		if (b.constant && !(b.constant & (b.constant - 1)))
			return shifted(a, -__builtin_ctz(b.constant));
		break;
	}
	return a.kind == CONSTANT ? folded(op, a.constant, b.constant) : unknown;
}

/* 4 * (a byte & 0xf) + a constant: the length of an IPv4 header */
static bool is_header_length(const struct symbolic_value *value)
{
	return value->kind == FIELD && value->field.kind == ST_FIELD_BYTES &&
	       value->field.size == 1 && value->field.mask == 0xf && value->shift == 2;
}

/* Adds a condition to the path. False: the path ends here. */
static bool add(struct symexec *exec, struct symexec_state *state, struct st_condition condition)
{
	bool full = false;
	bool possible = st_conjunction_add(exec->fields, &state->conjunction, condition, &full);

	exec->failed |= full;
	return possible && !full;
}

/* Adds the condition that there are so many bytes; without them the filter rejects. */
static bool add_length(struct symexec *exec, struct symexec_state *state, uint8_t kind,
		       uint16_t base, uint32_t length)
{
	const struct st_field wanted = {.kind = kind, .base = base, .mask = 0xffffffff};
	int number = st_field_number(exec->fields, &wanted);

	if (number < 0) {
		exec->error = number;
		return false;
	}
	return add(exec, state,
		   (struct st_condition){.field = (uint16_t)number,
					 .low = length,
					 .high = 0xffffffff});
}

/* What the kernel knows of a packet and always says the same of. */
static bool ancillary_is_known(uint32_t number)
{
	return number == SKF_AD_PROTOCOL || number == SKF_AD_PKTTYPE || number == SKF_AD_VLAN_TAG ||
	       number == SKF_AD_VLAN_TAG_PRESENT || number == SKF_AD_VLAN_TPID;
}

/* False: the filter ends here, or can't be followed. */
static bool load(struct symexec *exec, struct symexec_state *state, const struct sock_filter *insn,
		 struct symbolic_value *to)
{
	uint8_t size = (uint8_t)st_load_size(insn);
	uint64_t offset = insn->k;

	if (BPF_MODE(insn->code) == BPF_ABS && insn->k >= (uint32_t)SKF_AD_OFF) {
		uint32_t number = insn->k - (uint32_t)SKF_AD_OFF;

		exec->failed |= !ancillary_is_known(number);
		*to = field(ST_FIELD_ANCILLARY, 4, 0, number);
		return !exec->failed;
	}
	if (BPF_MODE(insn->code) == BPF_IND) {
		if (is_header_length(&state->x)) {
			uint16_t base = (uint16_t)state->x.field.offset;

			offset += state->x.constant;
			if (offset + size + 60 > ST_RULESET_HEADERS) {
				exec->failed = true;
				return false;
			}
			*to = field(ST_FIELD_BEHIND, size, base, (uint32_t)offset);
			return add_length(exec, state, ST_FIELD_ROOM, base,
					  (uint32_t)offset + size);
		}
		exec->failed |= state->x.kind != CONSTANT;
		offset += state->x.constant;
	}
	if (exec->failed || offset + size > ST_RULESET_HEADERS) {
		exec->failed = true;
		return false;
	}
	*to = field(ST_FIELD_BYTES, size, 0, (uint32_t)offset);
	return add_length(exec, state, ST_FIELD_CAPLEN, 0, (uint32_t)offset + size);
}

static bool load_header_length(struct symexec *exec, struct symexec_state *state,
			       const struct sock_filter *insn)
{
	if (insn->k >= ST_RULESET_HEADERS) {
		exec->failed = true;
		return false;
	}
	state->x = shifted(masked(field(ST_FIELD_BYTES, 1, 0, insn->k), 0xf), 2);
	return add_length(exec, state, ST_FIELD_CAPLEN, 0, insn->k + 1);
}

static bool step_load(struct symexec *exec, struct symexec_state *state,
		      const struct sock_filter *insn)
{
	struct symbolic_value *to = BPF_CLASS(insn->code) == BPF_LD ? &state->a : &state->x;

	switch (BPF_MODE(insn->code)) {
	case BPF_IMM:
		*to = constant(insn->k);
		return true;
	case BPF_MEM:
		*to = state->mem[insn->k];
		return true;
	case BPF_LEN:
		*to = field(ST_FIELD_LEN, 4, 0, 0);
		return true;
	case BPF_MSH:
		return load_header_length(exec, state, insn);
	}
	return load(exec, state, insn, to);
}

static bool divides_by_x(const struct sock_filter *insn)
{
	int op = BPF_OP(insn->code);

	return BPF_SRC(insn->code) == BPF_X && (op == BPF_DIV || op == BPF_MOD);
}

/* An instruction that is no jump. False: the filter ends here, or can't be followed. */
static bool step(struct symexec *exec, struct symexec_state *state, const struct sock_filter *insn)
{
	switch (BPF_CLASS(insn->code)) {
	case BPF_LD:
	case BPF_LDX:
		return step_load(exec, state, insn);
	case BPF_ST:
		state->mem[insn->k] = state->a;
		return true;
	case BPF_STX:
		state->mem[insn->k] = state->x;
		return true;
	case BPF_ALU:
		if (divides_by_x(insn) && !(state->x.kind == CONSTANT && state->x.constant)) {
			/* a division by 0 ends the filter */
			exec->failed |= state->x.kind != CONSTANT;
			return false;
		}
		state->a = computed(insn, state->a, state->x);
		return true;
	default:
		if (BPF_MISCOP(insn->code) == BPF_TAX)
			state->x = state->a;
		else
			state->a = state->x;
		return true;
	}
}

enum outcome { NEVER, ALWAYS, DEPENDS };

/* A comparison is true for low..high of the value: for which values of its field? */
static enum outcome in_field(const struct symbolic_value *value, uint64_t low, uint64_t high,
			     struct st_condition *condition)
{
	const uint32_t max = st_field_max(&value->field);

	if (value->shift < 0) {
		low <<= -value->shift; /* bits below are not in the mask */
		high <<= -value->shift;
	} else if (value->shift > 0) {
		low = (low + (1u << value->shift) - 1) >> value->shift;
		high >>= value->shift;
	}
	if (high > max)
		high = max;
	if (low > high)
		return NEVER;
	if (!low && high == max)
		return ALWAYS;
	condition->outside = false;
	condition->low = (uint32_t)low;
	condition->high = (uint32_t)high;
	return DEPENDS;
}

static enum outcome compare_constants(int op, uint32_t a, uint32_t b)
{
	switch (op) {
	case BPF_JEQ:
		return a == b ? ALWAYS : NEVER;
	case BPF_JGT:
		return a > b ? ALWAYS : NEVER;
	case BPF_JGE:
		return a >= b ? ALWAYS : NEVER;
	}
	return a & b ? ALWAYS : NEVER;
}

/* Bits that a right shift loses are not compared. */
static void drop_lost_bits(struct symbolic_value *value)
{
	if (value->shift < 0)
		value->field.mask &= ~((1u << -value->shift) - 1);
}

static enum outcome compare(struct symexec *exec, const struct symexec_state *state,
			    const struct sock_filter *insn, struct st_condition *condition)
{
	struct symbolic_value a = state->a;
	struct symbolic_value b = BPF_SRC(insn->code) == BPF_X ? state->x : constant(insn->k);
	int op = BPF_OP(insn->code), number;
	enum outcome outcome;

	if (a.kind == CONSTANT && b.kind == CONSTANT)
		return compare_constants(op, a.constant, b.constant);
	if (a.kind != FIELD || b.kind != CONSTANT || a.constant) {
		exec->failed = true;
		return NEVER;
	}
	if (op == BPF_JSET) {
		a = masked(a, b.constant);
		if (a.kind == CONSTANT)
			return NEVER;
	}
	drop_lost_bits(&a);
	if (!a.field.mask)
		return compare_constants(op, 0, b.constant);
	if (op == BPF_JSET)
		outcome = in_field(&(struct symbolic_value){.field = a.field}, 1, 0xffffffff,
				   condition);
	else if (op == BPF_JEQ)
		outcome = in_field(&a, b.constant, b.constant, condition);
	else
		outcome =
			in_field(&a, (uint64_t)b.constant + (op == BPF_JGT), 0xffffffff, condition);
	if (outcome != DEPENDS)
		return outcome;
	if (op == BPF_JEQ && condition->low == condition->high && condition->low & ~a.field.mask)
		return NEVER;
	number = st_field_number(exec->fields, &a.field);
	if (number < 0)
		exec->error = number;
	condition->field = (uint16_t)number;
	return number < 0 ? NEVER : DEPENDS;
}

static void accept(struct symexec *exec, const struct st_conjunction *conjunction)
{
	struct st_conjunctions *conjunctions = exec->conjunctions;

	if (conjunctions->count - exec->first == ST_FILTER_CONJUNCTIONS) {
		exec->failed = true;
		return;
	}
	if (!st_grow(&conjunctions->items, conjunctions->count, &conjunctions->room,
		     sizeof(*conjunctions->items))) {
		exec->error = -ENOMEM;
		return;
	}
	conjunctions->items[conjunctions->count++] = *conjunction;
}

static void end(struct symexec *exec, const struct symexec_state *state,
		const struct sock_filter *insn)
{
	struct symbolic_value verdict =
		insn->code == (BPF_RET | BPF_A) ? state->a : constant(insn->k);

	if (verdict.kind != CONSTANT)
		exec->failed = true;
	else if (verdict.constant)
		accept(exec, &state->conjunction);
}

static void execute(struct symexec *exec, uint32_t pc, struct symexec_state *state, int depth);

/*
 * Takes both branches, the first one with a copy of the state. False: the second one can't be
 * taken.
 */
static bool branch(struct symexec *exec, uint32_t pc, struct symexec_state *state, uint32_t *next,
		   int depth)
{
	const struct sock_filter *insn = &exec->insns[pc];
	struct st_condition condition = {0};
	enum outcome outcome = compare(exec, state, insn, &condition);
	struct symexec_state yes;

	if (exec->failed || exec->error)
		return false;
	if (outcome == DEPENDS && insn->jt != insn->jf) {
		yes = *state;
		if (add(exec, &yes, condition))
			execute(exec, pc + 1 + insn->jt, &yes, depth + 1);
		condition.outside = true;
		if (exec->failed || exec->error || !add(exec, state, condition))
			return false;
	}
	*next = pc + 1 + (outcome == ALWAYS ? insn->jt : insn->jf);
	return true;
}

static void execute(struct symexec *exec, uint32_t pc, struct symexec_state *state, int depth)
{
	exec->failed |= depth > DEPTH_MAX;
	while (!exec->failed && !exec->error) {
		const struct sock_filter *insn = &exec->insns[pc];

		if (++exec->steps > STEPS_MAX) {
			exec->failed = true;
			return;
		}
		switch (BPF_CLASS(insn->code)) {
		case BPF_RET:
			end(exec, state, insn);
			return;
		case BPF_JMP:
			if (BPF_OP(insn->code) == BPF_JA)
				pc += 1 + insn->k;
			else if (!branch(exec, pc, state, &pc, depth))
				return;
			break;
		default:
			if (!step(exec, state, insn))
				return;
			pc++;
		}
	}
}

bool st_filter_symexec(struct st_fields *fields, const struct sock_filter *insns, uint32_t filter,
		       struct st_conjunctions *conjunctions, int *error)
{
	struct symexec exec = {
		.fields = fields,
		.insns = insns,
		.conjunctions = conjunctions,
		.first = conjunctions->count,
	};
	struct symexec_state state;

	memset(&state, 0, sizeof(state));
	state.conjunction.filter = filter;
	execute(&exec, 0, &state, 0);
	*error = exec.error;
	if (exec.failed || exec.error)
		conjunctions->count = exec.first;
	return !exec.failed && !exec.error;
}
