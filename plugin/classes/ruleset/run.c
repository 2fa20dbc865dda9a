// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* Rule sets, and classic filters, run outside of the kernel. */
#include "plugin/classes/ruleset/ruleset.h"
#include "plugin/classes/ruleset/plan.h"

#include <arpa/inet.h>
#include <string.h>

static uint32_t load(const uint8_t *at, unsigned int size)
{
	switch (size) {
	case 4:
		return (uint32_t)at[0] << 24 | at[1] << 16 | at[2] << 8 | at[3];
	case 2:
		return (uint32_t)at[0] << 8 | at[1];
	}
	return at[0];
}

static uint32_t header_length(const struct st_ruleset_packet *packet, uint32_t base)
{
	return base < packet->caplen ? 4u * (packet->data[base] & 0xf) : 0;
}

/* 0 if it is not in the packet: the condition on the length, which each load has, fails then. */
static uint32_t field_value(const struct st_field *field, const struct st_ruleset_packet *packet)
{
	uint64_t offset = field->offset;
	uint32_t length;

	switch (field->kind) {
	case ST_FIELD_CAPLEN:
		return packet->caplen;
	case ST_FIELD_LEN:
		return packet->len & field->mask;
	case ST_FIELD_ROOM:
		length = header_length(packet, field->base);
		return packet->caplen > length ? packet->caplen - length : 0;
	case ST_FIELD_ANCILLARY:
		return packet->ancillary[offset % 64] & field->mask;
	case ST_FIELD_BEHIND:
		offset += header_length(packet, field->base);
	}
	if (offset + field->size > packet->caplen)
		return 0;
	return load(packet->data + offset, field->size) & field->mask;
}

static bool holds(const struct st_ruleset *ruleset, const struct st_condition *condition,
		  const struct st_ruleset_packet *packet)
{
	uint32_t value = field_value(&ruleset->fields.field[condition->field], packet);

	return (value >= condition->low && value <= condition->high) != condition->outside;
}

/* The index of the list plus 1; 0: none. */
static uint32_t look_up(const struct st_ruleset *ruleset, const struct st_table *table,
			const struct st_ruleset_packet *packet)
{
	const size_t stride = table->key_words + 1u;
	uint64_t key[ST_KEY_WORDS] = {0};
	const uint64_t *slot;

	for (unsigned int i = 0; i < table->field_count; i++) {
		const struct st_key_field *place = &table->fields[i];
		const struct st_field *field = &ruleset->fields.field[place->field];

		key[place->word] |= (uint64_t)st_key_part(field, field_value(field, packet))
				    << place->shift;
	}
	slot = ruleset->words + table->first +
	       stride * (st_key_hash(key, table->key_words) >> (64 - table->bits));
	for (unsigned int probe = 0; probe < table->probes; probe++, slot += stride) {
		if (!slot[table->key_words])
			return 0;
		if (!memcmp(slot, key, table->key_words * sizeof(*key)))
			return (uint32_t)slot[table->key_words];
	}
	return 0;
}

void st_ruleset_run(const struct st_ruleset *ruleset, const struct st_ruleset_packet *packet,
		    st_ruleset_fn fn, void *ctx)
{
	const struct st_filter *filter;
	uint32_t found;

	for (size_t pc = 0; pc < ruleset->op_count; pc++) {
		const struct st_op *op = &ruleset->ops[pc];

		switch (op->kind) {
		case ST_OP_TEST:
			if (!holds(ruleset, &op->condition, packet))
				pc += op->skip;
			break;
		case ST_OP_MATCH:
			fn(ctx, op->list);
			break;
		case ST_OP_LOOKUP:
			found = look_up(ruleset, &ruleset->tables[op->index], packet);
			if (found)
				fn(ctx, found - 1);
			break;
		case ST_OP_FILTER:
			filter = &ruleset->filters[op->index];
			if (st_filter_run(filter->insns, filter->count, packet))
				fn(ctx, op->list);
		}
	}
}

/* --- the classic BPF machine */

struct classic_machine {
	const struct st_ruleset_packet *packet;
	uint32_t a, x, mem[BPF_MEMWORDS];
};

/* False: past the end of the packet. */
static bool machine_load(struct classic_machine *machine, const struct sock_filter *insn,
			 uint32_t *value)
{
	const struct st_ruleset_packet *packet = machine->packet;
	uint32_t offset = insn->k;
	unsigned int size = BPF_SIZE(insn->code) == BPF_W   ? 4
			    : BPF_SIZE(insn->code) == BPF_H ? 2
							    : 1;

	if (BPF_MODE(insn->code) == BPF_ABS && offset >= (uint32_t)SKF_AD_OFF) {
		*value = packet->ancillary[(offset - (uint32_t)SKF_AD_OFF) % 64];
		return true;
	}
	if (BPF_MODE(insn->code) == BPF_IND)
		offset += machine->x;
	if ((uint64_t)offset + size > packet->caplen)
		return false;
	*value = load(packet->data + offset, size);
	return true;
}

static bool machine_ld(struct classic_machine *machine, const struct sock_filter *insn)
{
	uint32_t *to = BPF_CLASS(insn->code) == BPF_LD ? &machine->a : &machine->x;

	switch (BPF_MODE(insn->code)) {
	case BPF_IMM:
		*to = insn->k;
		return true;
	case BPF_MEM:
		*to = machine->mem[insn->k];
		return true;
	case BPF_LEN:
		*to = machine->packet->len;
		return true;
	case BPF_MSH:
		if (insn->k >= machine->packet->caplen)
			return false;
		*to = 4u * (machine->packet->data[insn->k] & 0xf);
		return true;
	}
	return machine_load(machine, insn, to);
}

/* False: a division by zero. */
static bool machine_alu(struct classic_machine *machine, const struct sock_filter *insn)
{
	uint32_t b = BPF_SRC(insn->code) == BPF_X ? machine->x : insn->k;
	uint32_t *a = &machine->a;

	switch (BPF_OP(insn->code)) {
	case BPF_ADD:
		*a += b;
		break;
	case BPF_SUB:
		*a -= b;
		break;
	case BPF_MUL:
		*a *= b;
		break;
	case BPF_DIV:
		if (!b)
			return false;
		*a /= b;
		break;
	case BPF_MOD:
		if (!b)
			return false;
		*a %= b;
		break;
	case BPF_AND:
		*a &= b;
		break;
	case BPF_OR:
		*a |= b;
		break;
	case BPF_XOR:
		*a ^= b;
		break;
	case BPF_LSH:
		*a <<= b & 31;
		break;
	case BPF_RSH:
		*a >>= b & 31;
		break;
	case BPF_NEG:
		*a = 0 - *a;
	}
	return true;
}

static bool machine_compare(const struct classic_machine *machine, const struct sock_filter *insn)
{
	uint32_t b = BPF_SRC(insn->code) == BPF_X ? machine->x : insn->k;

	switch (BPF_OP(insn->code)) {
	case BPF_JEQ:
		return machine->a == b;
	case BPF_JGT:
		return machine->a > b;
	case BPF_JGE:
		return machine->a >= b;
	}
	return machine->a & b;
}

uint32_t st_filter_run(const struct sock_filter *insns, size_t count,
		       const struct st_ruleset_packet *packet)
{
	struct classic_machine machine = {.packet = packet};

	for (size_t pc = 0; pc < count; pc++) {
		const struct sock_filter *insn = &insns[pc];

		switch (BPF_CLASS(insn->code)) {
		case BPF_LD:
		case BPF_LDX:
			if (!machine_ld(&machine, insn))
				return 0;
			break;
		case BPF_ST:
			machine.mem[insn->k] = machine.a;
			break;
		case BPF_STX:
			machine.mem[insn->k] = machine.x;
			break;
		case BPF_ALU:
			if (!machine_alu(&machine, insn))
				return 0;
			break;
		case BPF_JMP:
			if (BPF_OP(insn->code) == BPF_JA)
				pc += insn->k;
			else
				pc += machine_compare(&machine, insn) ? insn->jt : insn->jf;
			break;
		case BPF_RET:
			return BPF_RVAL(insn->code) == BPF_A ? machine.a : insn->k;
		case BPF_MISC:
			if (BPF_MISCOP(insn->code) == BPF_TAX)
				machine.x = machine.a;
			else
				machine.a = machine.x;
		}
	}
	return 0;
}
