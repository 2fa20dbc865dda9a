// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* Fields of the packet as a whole: its length, its path, what the kernel knows of it. */
#include "plugin/groups/emit.h"

static void alu(struct st_group_emission *e, int op, int reg, uint32_t value)
{
	st_group_emit(e, st_insn(BPF_ALU64 | op | BPF_K, reg, 0, 0, value));
}

static void alu_reg(struct st_group_emission *e, int op, int reg, int other)
{
	st_group_emit(e, st_insn(BPF_ALU64 | op | BPF_X, reg, other, 0, 0));
}

/* R1 becomes the number of bits that it needs: 0 for 0, 1 for 1, 2 for 2 and 3. */
static void emit_powers(struct st_group_emission *e)
{
	st_group_emit(e, ST_SET_W(BPF_REG_0, 0));
	for (uint32_t bits = 16; bits; bits /= 2) {
		size_t over = st_group_jump(e, ST_JUMP(BPF_JLT, BPF_REG_1, 1u << bits, 0));

		alu(e, BPF_RSH, BPF_REG_1, bits);
		alu(e, BPF_ADD, BPF_REG_0, bits);
		st_group_land(e, over);
	}
	alu_reg(e, BPF_ADD, BPF_REG_1, BPF_REG_0);
}

static void emit_length(struct st_group_emission *e, const struct st_group_key_field *field)
{
	st_group_emit(e, ST_READ(BPF_W, BPF_REG_1, REG_CHAIN, ST_GROUP_PACKET(length)));
	st_group_emit(e, ST_READ(BPF_W, BPF_REG_0, REG_CHAIN, ST_GROUP_PACKET(tag_length)));
	alu_reg(e, BPF_ADD, BPF_REG_1, BPF_REG_0);
	if (field->powers)
		emit_powers(e);
	st_group_emit_value(e, field);
}

/* reg = a half of the path */
static void emit_path(struct st_group_emission *e, int reg, bool low)
{
	st_group_emit(e, ST_READ(BPF_DW, reg, REG_CHAIN,
				 ST_GROUP_PACKET(path) +
					 (int)(low ? offsetof(struct socktally_path_key, lo)
						   : offsetof(struct socktally_path_key, hi))));
}

static void put_path(struct st_group_emission *e, const struct st_group_key_field *field)
{
	for (int low = 0; low < 2; low++) {
		emit_path(e, BPF_REG_1, low);
		st_group_emit_put(e, &(struct st_group_key_place){
					     .word = (uint8_t)(field->place.word + low)});
	}
}

/* R1 = the path's lower half, R0 the name three layers from its end, which says that a number follows. */
static void emit_end(struct st_group_emission *e)
{
	emit_path(e, BPF_REG_1, true);
	st_group_emit(e, ST_MOV(BPF_REG_0, BPF_REG_1));
	alu(e, BPF_RSH, BPF_REG_0, 16);
	alu(e, BPF_AND, BPF_REG_0, 0xff);
}

_Static_assert(SOCKTALLY_TYPE0 == SOCKTALLY_NUMBER + 1 && SOCKTALLY_TYPE3 == SOCKTALLY_NUMBER + 4,
	       "names of numbers in a row");

static void emit_app(struct st_group_emission *e, const struct st_group_key_field *field)
{
	size_t dlt, number, done;

	emit_end(e);
	dlt = st_group_jump(e, ST_JUMP(BPF_JEQ, BPF_REG_0, SOCKTALLY_DLT, 0));
	alu(e, BPF_SUB, BPF_REG_0, SOCKTALLY_NUMBER);
	number = st_group_jump(e, ST_JUMP(BPF_JLE, BPF_REG_0, 4, 0));
	alu(e, BPF_AND, BPF_REG_1, 0xff);
	done = st_group_jump(e, ST_JA(0));
	st_group_land(e, dlt);
	st_group_land(e, number);
	alu(e, BPF_AND, BPF_REG_1, 0xffffff);
	st_group_land(e, done);
	st_group_emit_value(e, field);
}

/* The number at the path's end, in two bytes of seven bits, as what R0 must be. */
static void emit_unread(struct st_group_emission *e, const struct st_group_key_field *field)
{
	const bool proto = field->field->read == ST_READ_UNREAD_PROTO;

	emit_end(e);
	if (proto) {
		st_group_none(e, ST_JUMP(BPF_JNE, BPF_REG_0, SOCKTALLY_NUMBER, 0));
	} else {
		alu(e, BPF_SUB, BPF_REG_0, SOCKTALLY_TYPE0);
		st_group_none(e, ST_JUMP(BPF_JGT, BPF_REG_0, 3, 0));
	}
	st_group_emit(e, ST_MOV(BPF_REG_2, BPF_REG_1));
	alu(e, BPF_AND, BPF_REG_1, 0x7f);
	alu(e, BPF_RSH, BPF_REG_2, 8);
	alu(e, BPF_AND, BPF_REG_2, 0x7f);
	alu(e, BPF_LSH, BPF_REG_2, 7);
	alu_reg(e, BPF_OR, BPF_REG_1, BPF_REG_2);
	if (!proto) {
		alu(e, BPF_LSH, BPF_REG_0, 14);
		alu_reg(e, BPF_OR, BPF_REG_1, BPF_REG_0);
	}
	st_group_emit_value(e, field);
}

/* 0: rejected, 1: accepted, 2: cut */
static void emit_verdict(struct st_group_emission *e, const struct st_group_key_field *field)
{
	size_t rejected, whole;

	st_group_emit(e, ST_READ(BPF_W, BPF_REG_2, REG_CHAIN, ST_GROUP_PACKET(tool_verdict)));
	st_group_emit(e, ST_READ(BPF_W, BPF_REG_0, REG_CHAIN, ST_GROUP_PACKET(length)));
	st_group_emit(e, ST_SET_W(BPF_REG_1, 0));
	rejected = st_group_jump(e, ST_JUMP(BPF_JEQ, BPF_REG_2, 0, 0));
	st_group_emit(e, ST_SET_W(BPF_REG_1, 1));
	whole = st_group_jump(e, st_insn(BPF_JMP | BPF_JGE | BPF_X, BPF_REG_2, BPF_REG_0, 0, 0));
	st_group_emit(e, ST_SET_W(BPF_REG_1, 2));
	st_group_land(e, rejected);
	st_group_land(e, whole);
	st_group_emit_value(e, field);
}

void st_group_emit_packet(struct st_group_emission *e, const struct st_group_key_field *field)
{
	switch (field->field->read) {
	case ST_READ_LENGTH:
		emit_length(e, field);
		return;
	case ST_READ_PATH:
		put_path(e, field);
		return;
	case ST_READ_APP:
		emit_app(e, field);
		return;
	case ST_READ_UNREAD_TYPE:
	case ST_READ_UNREAD_PROTO:
		emit_unread(e, field);
		return;
	case ST_READ_VERDICT:
		emit_verdict(e, field);
		return;
	case ST_READ_CONTEXT:
		st_group_emit(e, ST_READ(BPF_W, BPF_REG_1, REG_CTX, field->field->offset));
		break;
	case ST_READ_CPU:
		st_group_emit(e, ST_READ(BPF_W, BPF_REG_1, BPF_REG_10, ST_GROUP_STACK_CPU));
		break;
	case ST_READ_DIRECTION:
		st_group_emit(e, ST_READ(BPF_H, BPF_REG_1, REG_CHAIN, ST_GROUP_PACKET(direction)));
		break;
	}
	st_group_emit_value(e, field);
}
