// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * A rule set as eBPF. Two rules keep the verifier's work small.
 *
 * All data of a packet is in this CPU's region, where the verifier knows no values. So all paths to
 * an instruction have the same state for the verifier, and it checks the instruction once.
 *
 * Of each condition, the branch that leaves comes first ("if it holds, jump over the jump that
 * leaves"). The verifier follows the fall-through first and keeps the other branch for later; it
 * keeps 8192 of these at most, and with the other order each condition would add one.
 */
#include "bpf/classes.h"
#include "plugin/classes/ruleset/ruleset.h"
#include "plugin/classes/ruleset/plan.h"
#include "plugin/translate/internal.h"

#include <errno.h>
#include <stdlib.h>

#define REG_REGION BPF_REG_7
#define REG_DATA BPF_REG_8
#define REG_KEY BPF_REG_1 /* and the following ones */
#define REG_SLOT BPF_REG_0
#define REG_TEMP BPF_REG_5

#define REGION(MEMBER) ((int)offsetof(struct st_class_region, MEMBER))

struct ruleset_emission {
	struct st_translation jumps; /* its labels: one for each op, then these */
	struct st_code *code;
	const struct st_ruleset *ruleset;
	const struct st_ruleset_place *place;
};

enum label { LABEL_END, LABEL_NEXT, LABEL_HIT, LABEL_DONE, LABELS };

static __u32 label(const struct ruleset_emission *e, enum label which)
{
	return (__u32)e->ruleset->op_count + which;
}

static void emit(struct ruleset_emission *e, struct bpf_insn insn)
{
	st_code_emit(e->code, insn);
}

/* Falls through if the jump's condition holds, else goes to the label. */
static void unless(struct ruleset_emission *e, struct bpf_insn jump, __u32 to)
{
	jump.off = 1;
	emit(e, jump);
	st_jump(&e->jumps, ST_JA(0), to);
	e->jumps.fixed = e->code->count;
}

void st_emit_region(struct st_code *code, int map, int reg, int skip)
{
	st_code_emit(code, ST_CALL(BPF_FUNC_get_smp_processor_id));
	st_code_emit(code, ST_WRITE(BPF_W, BPF_REG_10, -4, BPF_REG_0));
	st_code_emit(code, st_insn(BPF_LD | BPF_DW | BPF_IMM, BPF_REG_1, BPF_PSEUDO_MAP_FD, 0,
				   (__u32)map));
	st_code_emit(code, st_insn(0, 0, 0, 0, 0));
	st_code_emit(code, ST_MOV(BPF_REG_2, BPF_REG_10));
	st_code_emit(code, ST_ADD(BPF_REG_2, (__u32)-4));
	st_code_emit(code, ST_CALL(BPF_FUNC_map_lookup_elem));
	st_code_emit(code, ST_JUMP(BPF_JEQ, BPF_REG_0, 0, skip + 1));
	st_code_emit(code, ST_MOV(reg, BPF_REG_0));
}

static int bpf_size(const struct st_field *field)
{
	return field->size == 4 ? BPF_W : field->size == 2 ? BPF_H : BPF_B;
}

/* reg = length of the header that has its length in 32-bit words at `base` */
static void emit_header_length(struct ruleset_emission *e, int reg, __u32 base)
{
	emit(e, ST_READ(BPF_B, reg, REG_HEADERS, (int)base));
	emit(e, ST_ALU_W(BPF_AND, reg, 0xf));
	emit(e, ST_ALU_W(BPF_LSH, reg, 2));
}

static void emit_ancillary(struct ruleset_emission *e, int reg, __u32 number)
{
	switch (number) {
	case SKF_AD_PROTOCOL:
		emit(e, ST_SKB(reg, protocol));
		emit(e, ST_FROM_BE(reg, 16));
		break;
	case SKF_AD_PKTTYPE:
		emit(e, ST_SKB(reg, pkt_type));
		break;
	case SKF_AD_VLAN_TAG:
		emit(e, ST_SKB(reg, vlan_tci));
		break;
	case SKF_AD_VLAN_TAG_PRESENT:
		emit(e, ST_SKB(reg, vlan_present));
		break;
	case SKF_AD_VLAN_TPID:
		emit(e, ST_SKB(reg, vlan_proto));
		emit(e, ST_FROM_BE(reg, 16));
		break;
	}
}

/* reg = the field; temp is lost. raw: in the byte order of the packet. */
static void emit_field(struct ruleset_emission *e, const struct st_field *field, int reg, int temp,
		       bool raw)
{
	bool bytes = field->kind == ST_FIELD_BYTES || field->kind == ST_FIELD_BEHIND;
	__u32 all = field->size == 4 ? 0xffffffff : (1u << (8 * field->size)) - 1,
	      mask = field->mask;
	int off = (int)field->offset;

	switch (field->kind) {
	case ST_FIELD_BYTES:
		emit(e, ST_READ(bpf_size(field), reg, REG_HEADERS, off));
		break;
	case ST_FIELD_BEHIND:
		emit_header_length(e, temp, field->base);
		emit(e, st_insn(BPF_ALU64 | BPF_ADD | BPF_X, temp, REG_HEADERS, 0, 0));
		emit(e, ST_READ(bpf_size(field), reg, temp, off));
		break;
	case ST_FIELD_ANCILLARY:
		emit_ancillary(e, reg, field->offset);
		break;
	default: /* CAPLEN and LEN; there are only tests of ROOM, see emit_room() */
		emit(e, ST_READ(BPF_W, reg, REG_REGION, REGION(len)));
		all = 0xffffffff;
	}
	if (bytes && !raw && field->size > 1)
		emit(e, ST_FROM_BE(reg, 8u * field->size));
	if (mask != all)
		emit(e, ST_ALU_W(BPF_AND, reg, raw ? st_key_part(field, mask) : mask));
}

/* Tests that `room` bytes follow a header of variable length. */
static void emit_room(struct ruleset_emission *e, const struct st_field *field, __u32 room,
		      __u32 to)
{
	emit_header_length(e, BPF_REG_2, field->base);
	emit(e, ST_ALU_W(BPF_ADD, BPF_REG_2, room));
	emit(e, ST_READ(BPF_W, BPF_REG_1, REG_REGION, REGION(len)));
	unless(e, ST_JUMP_W_REG(BPF_JGE, BPF_REG_1, BPF_REG_2, 0), to);
}

static void emit_test(struct ruleset_emission *e, const struct st_condition *condition, __u32 to)
{
	const struct st_field *field = &e->ruleset->fields.field[condition->field];
	bool value = condition->low == condition->high;
	__u32 low = condition->low, high = condition->high;

	if (field->kind == ST_FIELD_ROOM) {
		emit_room(e, field, low, to);
		return;
	}
	emit_field(e, field, BPF_REG_1, BPF_REG_2, value);
	if (value) {
		unless(e,
		       ST_JUMP_W(condition->outside ? BPF_JNE : BPF_JEQ, BPF_REG_1,
				 st_key_part(field, low), 0),
		       to);
	} else if (high == 0xffffffff) {
		unless(e, ST_JUMP_W(condition->outside ? BPF_JLT : BPF_JGE, BPF_REG_1, low, 0), to);
	} else {
		if (low)
			emit(e, ST_ALU_W(BPF_SUB, BPF_REG_1, low));
		unless(e,
		       ST_JUMP_W(condition->outside ? BPF_JGT : BPF_JLE, BPF_REG_1, high - low, 0),
		       to);
	}
}

/* Adds the list whose index is in REG_TEMP to what the packet has met. */
static void emit_push(struct ruleset_emission *e)
{
	emit(e, ST_READ(BPF_W, BPF_REG_1, REG_REGION, REGION(matched)));
	emit(e, ST_ALU_W(BPF_AND, BPF_REG_1, ST_CLASS_MATCHES - 1));
	emit(e, ST_MOV(BPF_REG_2, BPF_REG_1));
	emit(e, st_insn(BPF_ALU64 | BPF_LSH | BPF_K, BPF_REG_2, 0, 0, 2));
	emit(e, st_insn(BPF_ALU64 | BPF_ADD | BPF_X, BPF_REG_2, REG_REGION, 0, 0));
	emit(e, ST_WRITE(BPF_W, BPF_REG_2, REGION(matches), REG_TEMP));
	emit(e, ST_ADD(BPF_REG_1, 1));
	emit(e, ST_WRITE(BPF_W, REG_REGION, REGION(matched), BPF_REG_1));
}

static void emit_match(struct ruleset_emission *e, __u32 list)
{
	emit(e, ST_SET_W(REG_TEMP, list + e->place->lists));
	emit_push(e);
}

/* REG_KEY and following = the key's words */
static void emit_key(struct ruleset_emission *e, const struct st_table *table)
{
	for (unsigned int i = 0; i < table->field_count; i++) {
		const struct st_key_field *place = &table->fields[i];
		const struct st_field *field = &e->ruleset->fields.field[place->field];
		int word = REG_KEY + place->word;

		if (!place->shift) {
			emit_field(e, field, word, REG_SLOT, true);
			continue;
		}
		emit_field(e, field, REG_TEMP, REG_SLOT, true);
		emit(e, st_insn(BPF_ALU64 | BPF_LSH | BPF_K, REG_TEMP, 0, 0, place->shift));
		emit(e, st_insn(BPF_ALU64 | BPF_OR | BPF_X, word, REG_TEMP, 0, 0));
	}
}

/* REG_SLOT *= ST_KEY_FACTOR */
static void emit_multiply(struct ruleset_emission *e)
{
	emit(e, st_insn(BPF_LD | BPF_DW | BPF_IMM, REG_TEMP, 0, 0, (__u32)ST_KEY_FACTOR));
	emit(e, st_insn(0, 0, 0, 0, (__u32)(ST_KEY_FACTOR >> 32)));
	emit(e, st_insn(BPF_ALU64 | BPF_MUL | BPF_X, REG_SLOT, REG_TEMP, 0, 0));
}

/* REG_SLOT = the key's first slot, see st_key_hash() */
static void emit_slot(struct ruleset_emission *e, const struct st_table *table)
{
	emit(e, ST_MOV(REG_SLOT, REG_KEY));
	emit_multiply(e);
	for (int i = 1; i < table->key_words; i++) {
		emit(e, ST_MOV(REG_TEMP, REG_SLOT));
		emit(e, st_insn(BPF_ALU64 | BPF_RSH | BPF_K, REG_TEMP, 0, 0, 32));
		emit(e, st_insn(BPF_ALU64 | BPF_XOR | BPF_X, REG_SLOT, REG_TEMP, 0, 0));
		emit(e, st_insn(BPF_ALU64 | BPF_XOR | BPF_X, REG_SLOT, REG_KEY + i, 0, 0));
		emit_multiply(e);
	}
	emit(e, st_insn(BPF_ALU64 | BPF_RSH | BPF_K, REG_SLOT, 0, 0, 64u - table->bits));
	emit(e, st_insn(BPF_ALU64 | BPF_MUL | BPF_K, REG_SLOT, 0, 0, 8u * (table->key_words + 1u)));
	emit(e, st_insn(BPF_ALU64 | BPF_ADD | BPF_X, REG_SLOT, REG_DATA, 0, 0));
	emit(e, ST_ADD(REG_SLOT, e->place->words + 8 * table->first));
}

static void emit_lookup(struct ruleset_emission *e, const struct st_table *table)
{
	emit_key(e, table);
	emit_slot(e, table);
	for (int probe = 0; probe < table->probes; probe++) {
		bool last = probe == table->probes - 1;
		int slot = probe * 8 * (table->key_words + 1);

		for (int i = 0; i < table->key_words; i++) {
			emit(e, ST_READ(BPF_DW, REG_TEMP, REG_SLOT, slot + 8 * i));
			unless(e, st_insn(BPF_JMP | BPF_JEQ | BPF_X, REG_TEMP, REG_KEY + i, 0, 0),
			       label(e, last ? LABEL_DONE : LABEL_NEXT));
		}
		emit(e, ST_READ(BPF_DW, REG_TEMP, REG_SLOT, slot + 8 * table->key_words));
		if (!last)
			st_jump(&e->jumps, ST_JA(0), label(e, LABEL_HIT));
		st_bind(&e->jumps, label(e, LABEL_NEXT));
	}
	st_bind(&e->jumps, label(e, LABEL_HIT));
	/* an empty slot equals a key of zeros */
	unless(e, ST_JUMP(BPF_JNE, REG_TEMP, 0, 0), label(e, LABEL_DONE));
	emit(e, ST_ADD(REG_TEMP, e->place->lists - 1));
	emit_push(e);
	st_bind(&e->jumps, label(e, LABEL_DONE));
}

/*
 * The translated filter overwrites all registers but the context, and the stack: so filters are the
 * last ops.
 */
static int emit_filter(struct ruleset_emission *e, const struct st_op *op, const char **what)
{
	const struct st_filter *filter = &e->ruleset->filters[op->index];
	size_t over;
	int result;

	emit(e, ST_MOV(BPF_REG_1, REG_CTX));
	result = st_translate(e->code, filter->insns, filter->count, what);
	if (result)
		return result;
	unless(e, ST_JUMP(BPF_JNE, BPF_REG_0, 0, 0), label(e, LABEL_DONE));
	st_emit_region(e->code, e->place->regions_map, REG_REGION, 0);
	if (e->code->error)
		return e->code->error;
	over = e->code->count - 2; /* the jump that is taken if the map has no such element */
	emit_match(e, op->list);
	if (!e->code->error)
		e->code->insns[over].off = (__s16)(e->code->count - over - 1);
	e->jumps.fixed = e->code->count;
	st_bind(&e->jumps, label(e, LABEL_DONE));
	return 0;
}

static int emit_op(struct ruleset_emission *e, __u32 pc, const char **what)
{
	const struct st_op *op = &e->ruleset->ops[pc];

	switch (op->kind) {
	case ST_OP_TEST:
		emit_test(e, &op->condition, pc + op->skip + 1);
		return 0;
	case ST_OP_MATCH:
		emit_match(e, op->list);
		return 0;
	case ST_OP_LOOKUP:
		emit_lookup(e, &e->ruleset->tables[op->index]);
		return 0;
	default:
		return emit_filter(e, op, what);
	}
}

/* Sets all registers, and leaves if the packet is of another kind of link. */
static void emit_start(struct ruleset_emission *e, __u32 link)
{
	emit(e, ST_SKB(BPF_REG_1, cb[ST_CB_LINK]));
	unless(e, ST_JUMP_W(BPF_JEQ, BPF_REG_1, link, 0), label(e, LABEL_END));
	st_emit_region(e->code, e->place->regions_map, REG_REGION, 1);
	emit(e, ST_JA(1));
	st_jump(&e->jumps, ST_JA(0), label(e, LABEL_END));
	emit(e, st_insn(BPF_LD | BPF_DW | BPF_IMM, REG_DATA, BPF_PSEUDO_MAP_VALUE, 0,
			(__u32)e->place->data_map));
	emit(e, st_insn(0, 0, 0, 0, 0));
	st_emit_header_buffer(e->code);
	e->jumps.fixed = e->code->count;
}

int st_ruleset_emit(struct st_code *code, const struct st_ruleset *ruleset, uint32_t link,
		    const struct st_ruleset_place *place, const char **what)
{
	size_t labels = ruleset->op_count + LABELS;
	struct ruleset_emission e = {
		.jumps = {.code = code, .count = (__u32)labels},
		.code = code,
		.ruleset = ruleset,
		.place = place,
	};
	int result = 0;

	e.jumps.waiting = malloc((labels + ST_LABELS) * sizeof(*e.jumps.waiting));
	if (!e.jumps.waiting)
		return -ENOMEM;
	for (size_t i = 0; i < labels + ST_LABELS; i++)
		e.jumps.waiting[i] = ST_NO_FIXUP;
	emit_start(&e, link);
	for (__u32 pc = (__u32)place->first_op; pc < place->end_op && !result && !code->error;
	     pc++) {
		st_bind(&e.jumps, pc);
		st_island(&e.jumps);
		result = emit_op(&e, pc, what);
	}
	if (place->end_op < ruleset->op_count)
		st_bind(&e.jumps, (__u32)place->end_op);
	st_bind(&e.jumps, label(&e, LABEL_END));
	free(e.jumps.waiting);
	free(e.jumps.fixups);
	return result ? result : code->error;
}
