// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * A packet's key in the kernel, as straight code for the fields of one group; plugin/groups/read.c says the
 * same natively. Fields of one layer are read together: the layer is looked for once, and its bytes are
 * where the parser has left them, or are loaded in one call.
 *
 * Which layer it is goes through the region: the verifier then knows nothing of it, and follows what comes
 * after once, not once for each layer.
 */
#include "plugin/groups/emit.h"

#include <errno.h>

/* --- the code and its jumps */

void st_group_emit(struct st_group_emission *e, struct bpf_insn insn)
{
	st_code_emit(e->code, insn);
}

size_t st_group_jump(struct st_group_emission *e, struct bpf_insn insn)
{
	st_group_emit(e, insn);
	return e->code->count - 1;
}

void st_group_land(struct st_group_emission *e, size_t from)
{
	size_t off = e->code->count - from - 1;

	if (off > INT16_MAX)
		e->code->error = -E2BIG;
	if (!e->code->error)
		e->code->insns[from].off = (__s16)off;
}

void st_group_none(struct st_group_emission *e, struct bpf_insn insn)
{
	if (e->none_count == ST_GROUP_NONE_JUMPS)
		e->code->error = -E2BIG;
	else
		e->none[e->none_count++] = st_group_jump(e, insn);
}

/* --- values */

void st_group_emit_and(struct st_group_emission *e, int reg, uint64_t mask)
{
	if (mask == UINT64_MAX)
		return;
	if (mask <= INT32_MAX) {
		st_group_emit(e, st_insn(BPF_ALU64 | BPF_AND | BPF_K, reg, 0, 0, (__u32)mask));
		return;
	}
	st_group_emit(e, st_insn(BPF_LD | BPF_DW | BPF_IMM, BPF_REG_0, 0, 0, (__u32)mask));
	st_group_emit(e, st_insn(0, 0, 0, 0, (__u32)(mask >> 32)));
	st_group_emit(e, st_insn(BPF_ALU64 | BPF_AND | BPF_X, reg, BPF_REG_0, 0, 0));
}

static void emit_shift(struct st_group_emission *e, int op, int reg, unsigned int bits)
{
	if (bits)
		st_group_emit(e, st_insn(BPF_ALU64 | op | BPF_K, reg, 0, 0, bits));
}

/* Puts R1, which has no bits but the value's, to its place in the key. */
void st_group_emit_put(struct st_group_emission *e, const struct st_group_key_place *place)
{
	const int at = ST_GROUP_REGION(key) + 8 * place->word;

	emit_shift(e, BPF_LSH, BPF_REG_1, place->shift);
	if (e->written[place->word]) {
		st_group_emit(e, ST_READ(BPF_DW, BPF_REG_0, REG_REGION, at));
		st_group_emit(e, st_insn(BPF_ALU64 | BPF_OR | BPF_X, BPF_REG_1, BPF_REG_0, 0, 0));
	}
	e->written[place->word] = true;
	st_group_emit(e, ST_WRITE(BPF_DW, REG_REGION, at, BPF_REG_1));
}

static void put_value(struct st_group_emission *e, const struct st_group_key_field *field)
{
	st_group_emit_and(e, BPF_REG_1, st_group_key_mask(field));
	st_group_emit_put(e, &field->place);
}

static void put_word(struct st_group_emission *e, const struct st_group_key_field *field, bool low)
{
	const struct st_group_key_place place = {.word = (uint8_t)(field->place.word + low)};

	st_group_emit_and(e, BPF_REG_1, st_group_key_mask_half(field, low));
	st_group_emit_put(e, &place);
}

static void emit_set(struct st_group_emission *e, uint32_t value)
{
	st_group_emit(e, ST_SET_W(BPF_REG_1, value));
}

/* --- bytes */

/* Loads the bytes from `from` to `to` behind R2 to where R1 becomes their address; or none. */
static void emit_load(struct st_group_emission *e, int from, int to)
{
	st_group_emit(e, ST_ADD(BPF_REG_2, (__u32)from));
	st_group_emit(e, ST_MOV(BPF_REG_1, REG_CTX));
	st_group_emit(e, ST_MOV(BPF_REG_3, REG_HEADERS));
	st_group_emit(e, ST_ADD(BPF_REG_3, ST_GROUP_BYTES));
	st_group_emit(e, ST_SET_W(BPF_REG_4, (__u32)(to - from)));
	st_group_emit(e, ST_CALL(BPF_FUNC_skb_load_bytes));
	st_group_none(e, ST_JUMP(BPF_JNE, BPF_REG_0, 0, 0));
	st_group_emit(e, ST_MOV(BPF_REG_1, REG_HEADERS));
	st_group_emit(e, ST_ADD(BPF_REG_1, ST_GROUP_BYTES));
}

/* R1 is R2 + to. From the header buffer, if the parser has left them there: it does where it uses that. */
static void emit_bytes_buffered(struct st_group_emission *e, int from, int to)
{
	size_t over, far, ready;

	st_group_emit(e, ST_READ(BPF_W, BPF_REG_0, REG_CHAIN, ST_GROUP_CHAIN(headers)));
	over = st_group_jump(e, st_insn(BPF_JMP | BPF_JGT | BPF_X, BPF_REG_1, BPF_REG_0, 0, 0));
	/* for the verifier */
	far = st_group_jump(e, ST_JUMP(BPF_JGT, BPF_REG_1, ST_HEADERS_LOAD, 0));
	st_group_emit(e, st_insn(BPF_ALU64 | BPF_ADD | BPF_X, BPF_REG_1, REG_HEADERS, 0, 0));
	st_group_emit(e, ST_ADD(BPF_REG_1, (__u32)(from - to)));
	ready = st_group_jump(e, ST_JA(0));
	st_group_land(e, over);
	st_group_land(e, far);
	emit_load(e, from, to);
	st_group_land(e, ready);
	st_group_emit(e, ST_MOV(BPF_REG_3, BPF_REG_1));
}

/* R1 is R2 + to. In place, as bpf/parse/packet_direct.h: behind the limit a window may leave the linear part. */
static void emit_bytes_direct(struct st_group_emission *e, int from, int to)
{
	const struct st_direct *direct = e->code->direct;
	size_t beyond, ready;

	st_group_emit(e, ST_READ(BPF_W, BPF_REG_0, REG_CHAIN, ST_GROUP_PACKET(length)));
	st_group_none(e, st_insn(BPF_JMP | BPF_JGT | BPF_X, BPF_REG_1, BPF_REG_0, 0, 0));
	st_group_emit(e, ST_READ(BPF_DW, BPF_REG_0, REG_CHAIN,
				 (int)offsetof(struct st_region, linear_limit)));
	beyond = st_group_jump(e, st_insn(BPF_JMP | BPF_JSGT | BPF_X, BPF_REG_2, BPF_REG_0, 0, 0));
	st_group_emit(e, ST_READ(BPF_DW, BPF_REG_1, REG_CHAIN,
				 (int)offsetof(struct st_region, linear_data)));
	st_group_emit(e, st_insn(BPF_ALU64 | BPF_ADD | BPF_X, BPF_REG_1, BPF_REG_2, 0, 0));
	st_group_emit(e, ST_ADD(BPF_REG_1, (__u32)from));
	ready = st_group_jump(e, ST_JA(0));
	st_group_land(e, beyond);
	emit_load(e, from, to);
	st_group_land(e, ready);
	st_group_emit(e, ST_SET_W(BPF_REG_2, direct->bytes));
	st_group_emit(e, st_direct_call(direct->cast_readonly));
	st_group_emit(e, ST_MOV(BPF_REG_3, BPF_REG_0));
}

/*
 * The bytes from `from` to `to` of the header that starts at R2: R3 becomes their address; or none. R2
 * stays, R0, R1, R4 and R5 are lost. This is the only place where a group reads a packet.
 */
static void emit_bytes(struct st_group_emission *e, int from, int to)
{
	st_group_emit(e, ST_WRITE(BPF_DW, BPF_REG_10, ST_GROUP_STACK_OFFSET, BPF_REG_2));
	st_group_emit(e, ST_MOV(BPF_REG_1, BPF_REG_2));
	st_group_emit(e, ST_ADD(BPF_REG_1, (__u32)to));
	if (e->code->direct)
		emit_bytes_direct(e, from, to);
	else
		emit_bytes_buffered(e, from, to);
	st_group_emit(e, ST_READ(BPF_DW, BPF_REG_2, BPF_REG_10, ST_GROUP_STACK_OFFSET));
}

/* R1 = the number of `bytes` bytes at R3 + at. */
static void emit_number(struct st_group_emission *e, int at, unsigned int bytes)
{
	switch (bytes) {
	case 1:
		st_group_emit(e, ST_READ(BPF_B, BPF_REG_1, BPF_REG_3, at));
		break;
	case 2:
		st_group_emit(e, ST_READ(BPF_H, BPF_REG_1, BPF_REG_3, at));
		st_group_emit(e, ST_FROM_BE(BPF_REG_1, 16));
		break;
	case 4:
		st_group_emit(e, ST_READ(BPF_W, BPF_REG_1, BPF_REG_3, at));
		st_group_emit(e, ST_FROM_BE(BPF_REG_1, 32));
		break;
	case 6:
		st_group_emit(e, ST_READ(BPF_W, BPF_REG_1, BPF_REG_3, at));
		st_group_emit(e, ST_FROM_BE(BPF_REG_1, 32));
		st_group_emit(e, ST_READ(BPF_H, BPF_REG_0, BPF_REG_3, at + 4));
		st_group_emit(e, ST_FROM_BE(BPF_REG_0, 16));
		emit_shift(e, BPF_LSH, BPF_REG_1, 16);
		st_group_emit(e, st_insn(BPF_ALU64 | BPF_OR | BPF_X, BPF_REG_1, BPF_REG_0, 0, 0));
		break;
	default:
		st_group_emit(e, ST_READ(BPF_DW, BPF_REG_1, BPF_REG_3, at));
		st_group_emit(e, ST_FROM_BE(BPF_REG_1, 64));
	}
}

/* Both halves of the 16 bytes at R3 + at. */
static void put_halves(struct st_group_emission *e, const struct st_group_key_field *field, int at)
{
	emit_number(e, at, 8);
	put_word(e, field, false);
	emit_number(e, at + 8, 8);
	put_word(e, field, true);
}

/* --- fields of a layer's header, whose offset is in R2 */

static void emit_guard(struct st_group_emission *e, const struct st_guard *guard, int from)
{
	if (!guard->bytes)
		return;
	emit_number(e, guard->offset - from, guard->bytes);
	st_group_emit_and(e, BPF_REG_1, guard->mask);
	st_group_none(e, ST_JUMP_W(BPF_JNE, BPF_REG_1, guard->value, 0));
}

/* Skips what follows unless the layer has number `layer` and there is a tag in the metadata. */
struct tag_test {
	size_t other, untagged;
};

static struct tag_test emit_tag_test(struct st_group_emission *e, uint32_t layer)
{
	struct tag_test test;

	st_group_emit(e, ST_READ(BPF_W, BPF_REG_5, REG_REGION, ST_GROUP_REGION(layer)));
	test.other = st_group_jump(e, ST_JUMP(BPF_JNE, BPF_REG_5, layer, 0));
	st_group_emit(e, ST_READ(BPF_W, BPF_REG_0, REG_CHAIN, ST_GROUP_PACKET(tag_length)));
	test.untagged = st_group_jump(e, ST_JUMP(BPF_JEQ, BPF_REG_0, 0, 0));
	return test;
}

static void land_tag_test(struct st_group_emission *e, struct tag_test test)
{
	st_group_land(e, test.other);
	st_group_land(e, test.untagged);
}

/* The type in R1: of an outer Ethernet header whose tag is in the metadata it is the tag's. */
static void emit_eth_type(struct st_group_emission *e)
{
	struct tag_test test = emit_tag_test(e, 0);

	st_group_emit(e, ST_SKB(BPF_REG_1, vlan_proto));
	st_group_emit(e, ST_FROM_BE(BPF_REG_1, 16));
	land_tag_test(e, test);
	st_group_none(e, ST_JUMP(BPF_JLE, BPF_REG_1, ST_GROUP_LENGTH_MAX, 0));
}

static void emit_header_field(struct st_group_emission *e, const struct st_group_key_field *field,
			      int from)
{
	const struct st_group_field *what = field->field;

	emit_guard(e, &what->guard, from);
	if (what->bits == 128) {
		put_halves(e, field, what->offset - from);
		return;
	}
	emit_number(e, what->offset - from, what->bytes);
	emit_shift(e, BPF_RSH, BPF_REG_1, what->shift);
	if (what->read == ST_READ_ETH_TYPE)
		emit_eth_type(e);
	put_value(e, field);
}

/* The bytes that fields of one layer need. */
static void range_of(const struct st_group_emission *e, uint32_t fields, int *from, int *to)
{
	*from = INT16_MAX;
	*to = 0;
	for (size_t i = 0; i < e->key->count; i++) {
		const struct st_group_field *what = e->key->field[i].field;
		const int parts[2][2] = {{what->offset, what->bytes},
					 {what->guard.offset, what->guard.bytes}};

		for (int part = 0; fields & 1u << i && part < 2; part++) {
			if (!parts[part][1])
				continue;
			if (parts[part][0] < *from)
				*from = parts[part][0];
			if (parts[part][0] + parts[part][1] > *to)
				*to = parts[part][0] + parts[part][1];
		}
	}
}

static void emit_header(struct st_group_emission *e, uint32_t fields)
{
	int from, to;

	range_of(e, fields, &from, &to);
	emit_bytes(e, from, to);
	for (size_t i = 0; i < e->key->count; i++)
		if (fields & 1u << i)
			emit_header_field(e, &e->key->field[i], from);
}

/*
 * A VLAN tag that is in the metadata, and else in the bytes. A tag without bytes that is not in the
 * metadata, in front of a packet that was sent on a cooked socket, is not read.
 */
static void emit_tags(struct st_group_emission *e, uint32_t fields)
{
	struct tag_test test = emit_tag_test(e, 1);
	bool written[ST_GROUP_WORDS];
	size_t done, inside;

	memcpy(written, e->written, sizeof(written));
	for (size_t i = 0; i < e->key->count; i++) {
		if (!(fields & 1u << i))
			continue;
		st_group_emit(e, ST_SKB(BPF_REG_1, vlan_tci));
		emit_shift(e, BPF_RSH, BPF_REG_1, e->key->field[i].field->shift);
		put_value(e, &e->key->field[i]);
	}
	done = st_group_jump(e, ST_JA(0));
	land_tag_test(e, test);
	memcpy(e->written, written, sizeof(written));
	/* at the packet's start, behind a layer without bytes: only if the next one starts elsewhere */
	inside = st_group_jump(e, ST_JUMP(BPF_JNE, BPF_REG_2, 0, 0));
	st_group_emit(e, ST_ADD(BPF_REG_5, 1));
	st_group_emit_layer(e, BPF_REG_0);
	st_group_none(e, ST_JUMP(BPF_JEQ, BPF_REG_0, 0, 0));
	st_group_emit_layer_offset(e, BPF_REG_0);
	st_group_none(e, ST_JUMP(BPF_JEQ, BPF_REG_0, 0, 0));
	st_group_land(e, inside);
	emit_header(e, fields);
	st_group_land(e, done);
}

static void emit_gre_key(struct st_group_emission *e, const struct st_group_key_field *field)
{
	emit_bytes(e, 0, 2);
	emit_guard(e, &field->field->guard, 0);
	st_group_emit(e, ST_READ(BPF_B, BPF_REG_1, BPF_REG_3, 0));
	/* 4 bytes of checksum where the highest bit says so */
	emit_shift(e, BPF_RSH, BPF_REG_1, 7);
	emit_shift(e, BPF_LSH, BPF_REG_1, 2);
	st_group_emit(e, st_insn(BPF_ALU64 | BPF_ADD | BPF_X, BPF_REG_2, BPF_REG_1, 0, 0));
	emit_bytes(e, field->field->offset, field->field->offset + 4);
	emit_number(e, 0, 4);
	put_value(e, field);
}

/* Addresses of either family; R4 is the layer's protocol. */
static void emit_addresses(struct st_group_emission *e, uint32_t fields)
{
	size_t v6 = st_group_jump(e, ST_JUMP(BPF_JEQ, BPF_REG_4, SOCKTALLY_IPV6, 0)), done;
	bool written[ST_GROUP_WORDS];

	memcpy(written, e->written, sizeof(written));
	emit_bytes(e, 0, 20);
	emit_guard(e, &(struct st_guard){0, 1, 0xf0, 0x40}, 0);
	for (size_t i = 0; i < e->key->count; i++) {
		const struct st_group_key_field *field = &e->key->field[i];

		if (!(fields & 1u << i))
			continue;
		emit_set(e, 4);
		st_group_emit_put(e, &field->version);
		emit_number(e, field->field->offset ? 16 : 12, 4);
		emit_shift(e, BPF_LSH, BPF_REG_1, 32);
		put_word(e, field, false);
		emit_set(e, 0);
		put_word(e, field, true);
	}
	done = st_group_jump(e, ST_JA(0));
	st_group_land(e, v6);
	memcpy(e->written, written, sizeof(written));
	emit_bytes(e, 8, 40);
	for (size_t i = 0; i < e->key->count; i++) {
		const struct st_group_key_field *field = &e->key->field[i];

		if (!(fields & 1u << i))
			continue;
		emit_set(e, 6);
		st_group_emit_put(e, &field->version);
		put_halves(e, field, field->field->offset ? 16 : 0);
	}
	st_group_land(e, done);
}

/* The IP header around the TCP header has number `below` - 1 in the region. */
static void emit_tcp_length(struct st_group_emission *e, const struct st_group_key_field *field)
{
	size_t v6, zero4, zero6, known4, known6;

	/* where the payload starts */
	emit_bytes(e, 12, 13);
	emit_number(e, 0, 1);
	emit_shift(e, BPF_RSH, BPF_REG_1, 4);
	emit_shift(e, BPF_LSH, BPF_REG_1, 2);
	st_group_emit(e, st_insn(BPF_ALU64 | BPF_ADD | BPF_X, BPF_REG_1, BPF_REG_2, 0, 0));
	st_group_emit(e, ST_WRITE(BPF_DW, BPF_REG_10, ST_GROUP_STACK_START, BPF_REG_1));
	/* and where the IP packet ends */
	st_group_emit(e, ST_READ(BPF_W, BPF_REG_5, REG_REGION, ST_GROUP_REGION(below)));
	st_group_none(e, ST_JUMP(BPF_JEQ, BPF_REG_5, 0, 0));
	st_group_emit(e, ST_ADD(BPF_REG_5, (__u32)-1));
	st_group_emit_layer(e, BPF_REG_4);
	st_group_emit_layer_offset(e, BPF_REG_2);
	v6 = st_group_jump(e, ST_JUMP(BPF_JEQ, BPF_REG_4, SOCKTALLY_IPV6, 0));
	emit_bytes(e, 2, 4);
	emit_number(e, 0, 2);
	zero4 = st_group_jump(e, ST_JUMP(BPF_JEQ, BPF_REG_1, 0, 0));
	known4 = st_group_jump(e, ST_JA(0));
	st_group_land(e, v6);
	emit_bytes(e, 4, 6);
	emit_number(e, 0, 2);
	zero6 = st_group_jump(e, ST_JUMP(BPF_JEQ, BPF_REG_1, 0, 0));
	st_group_emit(e, ST_ADD(BPF_REG_1, 40));
	known6 = st_group_jump(e, ST_JA(0));
	/* longer than the field can say: to the packet's end */
	st_group_land(e, zero4);
	st_group_land(e, zero6);
	st_group_emit(e, ST_READ(BPF_W, BPF_REG_1, REG_CHAIN, ST_GROUP_PACKET(length)));
	st_group_emit(e, st_insn(BPF_ALU64 | BPF_SUB | BPF_X, BPF_REG_1, BPF_REG_2, 0, 0));
	st_group_land(e, known4);
	st_group_land(e, known6);
	st_group_emit(e, st_insn(BPF_ALU64 | BPF_ADD | BPF_X, BPF_REG_1, BPF_REG_2, 0, 0));
	st_group_emit(e, ST_READ(BPF_DW, BPF_REG_0, BPF_REG_10, ST_GROUP_STACK_START));
	st_group_none(e, st_insn(BPF_JMP | BPF_JGT | BPF_X, BPF_REG_0, BPF_REG_1, 0, 0));
	st_group_emit(e, st_insn(BPF_ALU64 | BPF_SUB | BPF_X, BPF_REG_1, BPF_REG_0, 0, 0));
	put_value(e, field);
}

void st_group_emit_fields(struct st_group_emission *e, uint32_t fields)
{
	const struct st_group_key_field *first = &e->key->field[__builtin_ctz(fields)];

	switch (first->field->read) {
	case ST_READ_TAG:
		emit_tags(e, fields);
		break;
	case ST_READ_GRE_KEY:
		emit_gre_key(e, first);
		break;
	case ST_READ_ADDRESS:
		emit_addresses(e, fields);
		break;
	case ST_READ_TCP_LENGTH:
		emit_tcp_length(e, first);
		break;
	default:
		emit_header(e, fields);
	}
}

void st_group_emit_value(struct st_group_emission *e, const struct st_group_key_field *field)
{
	put_value(e, field);
}
