// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* Which layer of a packet has a field, and the whole code of a group around that. */
#include "plugin/groups/emit.h"

static void add_layer(struct st_group_emission *e, uint32_t scale)
{
	st_group_emit(e, ST_MOV(BPF_REG_1, BPF_REG_5));
	st_group_emit(e, st_insn(BPF_ALU64 | BPF_AND | BPF_K, BPF_REG_1, 0, 0,
				 SOCKTALLY_PACKET_LAYERS - 1));
	if (scale)
		st_group_emit(e, st_insn(BPF_ALU64 | BPF_LSH | BPF_K, BPF_REG_1, 0, 0, scale));
	st_group_emit(e, st_insn(BPF_ALU64 | BPF_ADD | BPF_X, BPF_REG_1, REG_CHAIN, 0, 0));
}

void st_group_emit_layer_offset(struct st_group_emission *e, int reg)
{
	add_layer(e, 1);
	st_group_emit(e, ST_READ(BPF_H, reg, BPF_REG_1, ST_GROUP_PACKET(offsets)));
}

void st_group_emit_layer(struct st_group_emission *e, int reg)
{
	add_layer(e, 0);
	st_group_emit(e, ST_READ(BPF_B, reg, BPF_REG_1, ST_GROUP_PACKET(layers)));
}

static void note(struct st_group_emission *e, int member, uint32_t value)
{
	st_group_emit(e, ST_SET_W(BPF_REG_0, value));
	st_group_emit(e, ST_WRITE(BPF_W, REG_REGION, member, BPF_REG_0));
}

/* R4 is a layer's protocol. The jumps of those that are the field's; returns how many. */
static size_t jump_if_has(struct st_group_emission *e, const struct st_group_field *field,
			  size_t *hits)
{
	size_t count = 0;

	for (size_t i = 0; i < ST_GROUP_FIELD_LAYERS && field->layers[i]; i++)
		hits[count++] = st_group_jump(e, ST_JUMP(BPF_JEQ, BPF_REG_4, field->layers[i], 0));
	return count;
}

/* Notes, of TCP, in which IP layer it is: the last one before it. */
static void note_ip(struct st_group_emission *e, uint32_t layer)
{
	size_t ip = st_group_jump(e, ST_JUMP(BPF_JEQ, BPF_REG_4, SOCKTALLY_IP, 0));
	size_t other = st_group_jump(e, ST_JUMP(BPF_JNE, BPF_REG_4, SOCKTALLY_IPV6, 0));

	st_group_land(e, ip);
	note(e, ST_GROUP_REGION(last_ip), layer + 1);
	st_group_land(e, other);
}

/*
 * R5 becomes the number of a layer with the field: XOR with a 0 that the verifier does not know (R3), so
 * that it does not know the number either.
 */
static void note_hit(struct st_group_emission *e, const struct st_group_key_field *field,
		     uint32_t layer)
{
	st_group_emit(e, ST_MOV(BPF_REG_5, BPF_REG_3));
	st_group_emit(e, st_insn(BPF_ALU64 | BPF_XOR | BPF_K, BPF_REG_5, 0, 0, layer));
	if (field->field->read != ST_READ_TCP_LENGTH)
		return;
	st_group_emit(e, ST_READ(BPF_W, BPF_REG_0, REG_REGION, ST_GROUP_REGION(last_ip)));
	st_group_emit(e, ST_WRITE(BPF_W, REG_REGION, ST_GROUP_REGION(below), BPF_REG_0));
}

#define NO_LAYER 0xff

/* The first layer with the field ends the search; of inner ones the last counts. */
void st_group_emit_search(struct st_group_emission *e, const struct st_group_key_field *field)
{
	size_t found[SOCKTALLY_MAX_LAYERS + 1], ends[SOCKTALLY_MAX_LAYERS];
	size_t found_count = 0, end_count = 0;

	st_group_emit(e,
		      ST_READ(BPF_W, BPF_REG_3, REG_CHAIN, (int)offsetof(struct st_region, zero)));
	note_hit(e, &(struct st_group_key_field){.field = &st_group_fields[0]}, NO_LAYER);
	if (field->field->read == ST_READ_TCP_LENGTH)
		note(e, ST_GROUP_REGION(last_ip), 0);
	for (uint32_t layer = 0; layer < SOCKTALLY_MAX_LAYERS; layer++) {
		size_t hits[ST_GROUP_FIELD_LAYERS], count, over;

		st_group_emit(e, ST_READ(BPF_B, BPF_REG_4, REG_CHAIN,
					 ST_GROUP_PACKET(layers) + (int)layer));
		if (field->field->read == ST_READ_TCP_LENGTH)
			note_ip(e, layer);
		count = jump_if_has(e, field->field, hits);
		ends[end_count++] = st_group_jump(e, ST_JUMP(BPF_JEQ, BPF_REG_4, 0, 0));
		over = st_group_jump(e, ST_JA(0));
		for (size_t i = 0; i < count; i++)
			st_group_land(e, hits[i]);
		note_hit(e, field, layer);
		if (!field->inner)
			found[found_count++] = st_group_jump(e, ST_JA(0));
		st_group_land(e, over);
	}
	for (size_t i = 0; i < end_count; i++)
		st_group_land(e, ends[i]);
	st_group_none(e, ST_JUMP(BPF_JEQ, BPF_REG_5, NO_LAYER, 0));
	for (size_t i = 0; i < found_count; i++)
		st_group_land(e, found[i]);
	st_group_emit_layer_offset(e, BPF_REG_2);
	if (field->field->read == ST_READ_ADDRESS)
		st_group_emit_layer(e, BPF_REG_4);
	if (field->field->read == ST_READ_TAG || *field->field->layers == SOCKTALLY_ETH)
		st_group_emit(e, ST_WRITE(BPF_W, REG_REGION, ST_GROUP_REGION(layer), BPF_REG_5));
}

/* Whether two fields are read together. */
static bool same_layer(const struct st_group_key_field *one, const struct st_group_key_field *other)
{
	const struct st_group_field *a = one->field, *b = other->field;

	if (one->inner != other->inner || memcmp(a->layers, b->layers, sizeof(a->layers)) != 0)
		return false;
	if (a->read == ST_READ_GRE_KEY || a->read == ST_READ_TCP_LENGTH)
		return one == other;
	/* a type is read as the other fields of its header */
	return a->read == b->read || (a->read == ST_READ_ETH_TYPE && b->read == ST_READ_HEADER) ||
	       (a->read == ST_READ_HEADER && b->read == ST_READ_ETH_TYPE);
}

static void emit_all_fields(struct st_group_emission *e)
{
	const struct st_group_key *key = e->key;
	uint32_t done = 0;

	for (size_t i = 0; i < key->count; i++) {
		const struct st_group_key_field *field = &key->field[i];
		uint32_t together = 0;

		if (done & 1u << i)
			continue;
		if (!*field->field->layers) {
			st_group_emit_packet(e, field);
			continue;
		}
		for (size_t j = i; j < key->count; j++)
			if (*key->field[j].field->layers && same_layer(field, &key->field[j]))
				together |= 1u << j;
		st_group_emit_search(e, field);
		st_group_emit_fields(e, together);
		done |= together;
	}
}

/* reg = this CPU's element of a map, whose number is on the stack. There is one for each CPU. */
static void emit_region(struct st_group_emission *e, int map, int reg)
{
	size_t found;

	st_group_emit(e, st_insn(BPF_LD | BPF_DW | BPF_IMM, BPF_REG_1, BPF_PSEUDO_MAP_FD, 0,
				 (__u32)map));
	st_group_emit(e, st_insn(0, 0, 0, 0, 0));
	st_group_emit(e, ST_MOV(BPF_REG_2, BPF_REG_10));
	st_group_emit(e, ST_ADD(BPF_REG_2, (__u32)ST_GROUP_STACK_CPU));
	st_group_emit(e, ST_CALL(BPF_FUNC_map_lookup_elem));
	found = st_group_jump(e, ST_JUMP(BPF_JNE, BPF_REG_0, 0, 0));
	st_group_emit(e, ST_SKB(BPF_REG_0, cb[ST_CB_VERDICT]));
	st_group_emit(e, ST_EXIT());
	st_group_land(e, found);
	st_group_emit(e, ST_MOV(reg, BPF_REG_0));
}

/* REG_HEADERS = this CPU's header buffer; as st_emit_header_buffer(), which asks for the CPU again. */
static void emit_header_buffer(struct st_group_emission *e)
{
	const struct st_header_buffer *buffer = e->code->header_buffer;

	st_group_emit(e, ST_READ(BPF_W, BPF_REG_0, BPF_REG_10, ST_GROUP_STACK_CPU));
	st_group_emit(e, ST_ALU_W(BPF_AND, BPF_REG_0, buffer->mask));
	st_group_emit(e, ST_ALU_W(BPF_LSH, BPF_REG_0, __builtin_ctz(ST_HEADER_BUFFER)));
	st_group_emit(e, st_insn(BPF_LD | BPF_DW | BPF_IMM, REG_HEADERS, BPF_PSEUDO_MAP_VALUE, 0,
				 (__u32)buffer->map));
	st_group_emit(e, st_insn(0, 0, 0, 0, 0));
	st_group_emit(e, st_insn(BPF_ALU64 | BPF_ADD | BPF_X, REG_HEADERS, BPF_REG_0, 0, 0));
}

int st_group_program_emit(struct st_code *code, const struct st_group_key *key,
			  const struct st_group_maps *maps)
{
	struct st_group_emission e = {.code = code, .key = key};

	st_group_emit(&e, ST_MOV(REG_CTX, BPF_REG_1));
	st_group_emit(&e, ST_CALL(BPF_FUNC_get_smp_processor_id));
	st_group_emit(&e, ST_WRITE(BPF_W, BPF_REG_10, ST_GROUP_STACK_CPU, BPF_REG_0));
	emit_region(&e, maps->chain, REG_CHAIN);
	emit_region(&e, maps->regions, REG_REGION);
	emit_header_buffer(&e);
	note(&e, ST_GROUP_REGION(has_key), 0);
	st_group_emit(&e, ST_READ(BPF_H, BPF_REG_1, REG_CHAIN, ST_GROUP_PACKET(direction)));
	st_group_emit_put(&e, &key->direction);
	emit_all_fields(&e);
	note(&e, ST_GROUP_REGION(has_key), 1);
	for (size_t i = 0; i < e.none_count; i++)
		st_group_land(&e, e.none[i]);
	st_group_emit(&e, ST_MOV(BPF_REG_1, REG_CTX));
	st_group_emit(&e, ST_MOV(BPF_REG_2, REG_REGION));
	st_group_emit(&e, ST_MOV(BPF_REG_3, REG_CHAIN));
	return code->error;
}
