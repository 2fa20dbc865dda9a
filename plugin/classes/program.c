// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * From the start of the packet to the counters of its classes: load its first bytes, decide by the
 * kind of its link, and count what was met. The loops below have one condition each, the one that ends
 * them, and compute the rest: so the verifier has one way through a round.
 */
#include "plugin/classes/program.h"
#include "plugin/translate/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define REG_CELL BPF_REG_3
#define REG_NUMBER BPF_REG_0
#define REG_REGION BPF_REG_7
#define REG_LISTS BPF_REG_8
#define REG_LEFT BPF_REG_9  /* lists that the packet has still to go through */
#define REG_ROUND BPF_REG_6 /* the context is on the stack meanwhile */

#define REGION(MEMBER) ((int)offsetof(struct st_class_region, MEMBER))
#define CELLS ((int)sizeof(struct st_class_region))
_Static_assert(CELLS + sizeof(struct st_class_cell) <= 32767, "offsets have 16 bits");

#define CONTEXT (-16) /* where it is on the stack */

/* In the meter's region: what the chain knows of the packet. */
#define CHAIN(MEMBER) ((int)offsetof(struct st_region, chain.MEMBER))
#define PACKET(MEMBER) CHAIN(packet.MEMBER)
/* And what the parser knows of it. */
#define WALK(MEMBER) ((int)(offsetof(struct st_region, walk) + offsetof(struct st_walk, MEMBER)))

#define REG(OP, DST, SRC) st_insn(BPF_ALU64 | (OP) | BPF_X, DST, SRC, 0, 0)
#define NUM(OP, DST, IMM) st_insn(BPF_ALU64 | (OP) | BPF_K, DST, 0, 0, IMM)

static void emit(struct st_code *code, struct bpf_insn insn)
{
	st_code_emit(code, insn);
}

/* An instruction whose jump is set by land() */
static size_t jump(struct st_code *code, struct bpf_insn insn)
{
	emit(code, insn);
	return code->count - 1;
}

static void land(struct st_code *code, size_t from)
{
	size_t off = code->count - from - 1;

	if (off > INT16_MAX)
		code->error = -E2BIG;
	if (!code->error)
		code->insns[from].off = (__s16)off;
}

int st_class_data_make(struct st_class_plan *plan, struct st_class_data *data)
{
	size_t words = 0, lists = plan->numbers;
	uint32_t *list;

	*data = (struct st_class_data){0};
	for (size_t i = 0; i < plan->link_count; i++) {
		plan->links[i].place = (struct st_ruleset_place){
			.words = (uint32_t)(8 * words),
			.lists = (uint32_t)lists,
		};
		words += plan->links[i].ruleset.word_count;
		lists += plan->links[i].ruleset.list_count;
	}
	data->list_count = 2;
	while (data->list_count < lists)
		data->list_count *= 2;
	data->lists = 8 * words;
	data->size = data->lists + 4 * data->list_count;
	if (data->size > 256u << 20)
		return -E2BIG;
	data->value = calloc(1, data->size);
	if (!data->value)
		return -ENOMEM;
	list = (uint32_t *)(data->value + words);
	for (uint32_t i = 0; i < plan->numbers; i++)
		list[i] = plan->cells[i] | ST_LIST_END;
	for (size_t i = 0; i < plan->link_count; i++) {
		const struct st_ruleset *ruleset = &plan->links[i].ruleset;

		if (ruleset->word_count)
			memcpy((char *)data->value + plan->links[i].place.words, ruleset->words,
			       8 * ruleset->word_count);
		if (ruleset->list_count)
			memcpy(list + plan->links[i].place.lists, ruleset->lists,
			       4 * ruleset->list_count);
	}
	return 0;
}

/*
 * reg = this CPU's element of a map. There is one for each: what to do without is there for the
 * verifier.
 */
static void emit_own_region(struct st_code *code, int map, int reg)
{
	size_t found;

	st_emit_region(code, map, reg, 1);
	found = jump(code, ST_JA(0));
	emit(code, ST_SKB(BPF_REG_0, cb[ST_CB_VERDICT]));
	emit(code, ST_EXIT());
	land(code, found);
}

/* From R6 and R7: the region and the header buffer are ready for the packet. */
static void emit_start(struct st_code *code, int chain_map)
{
	size_t there, empty, fits, loaded, other;

	emit(code, ST_READ(BPF_DW, BPF_REG_1, REG_REGION, REGION(packet)));
	emit(code, ST_ADD(BPF_REG_1, 1));
	emit(code, ST_WRITE(BPF_DW, REG_REGION, REGION(packet), BPF_REG_1));
	emit(code, ST_SET_W(BPF_REG_1, 0));
	emit(code, ST_WRITE(BPF_W, REG_REGION, REGION(matched), BPF_REG_1));
	emit(code, ST_SKB(BPF_REG_4, len));
	emit(code, ST_WRITE(BPF_W, REG_REGION, REGION(len), BPF_REG_4));
	/* the parser has left the packet's start there, unless it had to go further */
	emit_own_region(code, chain_map, BPF_REG_8);
	emit(code, ST_READ(BPF_W, BPF_REG_1, BPF_REG_8, WALK(base)));
	other = jump(code, ST_JUMP(BPF_JNE, BPF_REG_1, 0, 0));
	emit(code, ST_READ(BPF_W, BPF_REG_1, BPF_REG_8, WALK(len)));
	there = jump(code, ST_JUMP(BPF_JNE, BPF_REG_1, 0, 0));
	land(code, other);
	st_emit_header_buffer(code);
	emit(code, ST_READ(BPF_W, BPF_REG_4, REG_REGION, REGION(len)));
	empty = jump(code, ST_JUMP(BPF_JLT, BPF_REG_4, 1, 0));
	fits = jump(code, ST_JUMP(BPF_JLE, BPF_REG_4, ST_HEADERS_LOAD, 0));
	emit(code, ST_SET_W(BPF_REG_4, ST_HEADERS_LOAD));
	land(code, fits);
	emit(code, ST_MOV(BPF_REG_1, REG_CTX));
	emit(code, ST_SET_W(BPF_REG_2, 0));
	emit(code, ST_MOV(BPF_REG_3, REG_HEADERS));
	emit(code, ST_CALL(BPF_FUNC_skb_load_bytes));
	loaded = jump(code, ST_JUMP(BPF_JEQ, BPF_REG_0, 0, 0));
	emit(code, ST_SET_W(BPF_REG_1, 0));
	emit(code, ST_WRITE(BPF_W, REG_REGION, REGION(len), BPF_REG_1));
	land(code, loaded);
	land(code, empty);
	land(code, there);
}

/*
 * What the packet adds to a cell, from what the chain knows of it. In the region, so that the verifier
 * forgets what it may be.
 */
static void emit_facts(struct st_code *code, int chain_map)
{
	size_t none, fits;

	emit_own_region(code, chain_map, BPF_REG_8);
	emit(code, ST_READ(BPF_W, BPF_REG_1, BPF_REG_8, PACKET(segments)));
	emit(code, ST_WRITE(BPF_DW, REG_REGION, REGION(adds.segments), BPF_REG_1));
	emit(code, ST_READ(BPF_W, BPF_REG_2, BPF_REG_8, PACKET(tag_length)));
	emit(code, ST_READ(BPF_W, BPF_REG_1, BPF_REG_8, PACKET(length)));
	emit(code, ST_MOV(BPF_REG_3, BPF_REG_1));
	emit(code, REG(BPF_ADD, BPF_REG_3, BPF_REG_2));
	emit(code, ST_WRITE(BPF_DW, REG_REGION, REGION(adds.bytes), BPF_REG_3));
	emit(code, ST_READ(BPF_W, BPF_REG_4, BPF_REG_8, PACKET(verdict)));
	emit(code, ST_SET_W(BPF_REG_3, 0));
	emit(code, ST_SET_W(BPF_REG_5, 0));
	none = jump(code, ST_JUMP(BPF_JEQ, BPF_REG_4, 0, 0));
	emit(code, ST_SET_W(BPF_REG_5, 1));
	emit(code, ST_MOV(BPF_REG_3, BPF_REG_4));
	fits = jump(code, st_insn(BPF_JMP | BPF_JLE | BPF_X, BPF_REG_3, BPF_REG_1, 0, 0));
	emit(code, ST_MOV(BPF_REG_3, BPF_REG_1));
	land(code, fits);
	emit(code, REG(BPF_ADD, BPF_REG_3, BPF_REG_2));
	land(code, none);
	emit(code, ST_WRITE(BPF_DW, REG_REGION, REGION(adds.accepted_packets), BPF_REG_5));
	emit(code, ST_WRITE(BPF_DW, REG_REGION, REGION(adds.accepted_bytes), BPF_REG_3));
	emit(code, ST_READ(BPF_H, BPF_REG_1, BPF_REG_8, PACKET(direction)));
	emit(code, NUM(BPF_MUL, BPF_REG_1, sizeof(struct st_counts)));
	emit(code, ST_WRITE(BPF_DW, REG_REGION, REGION(out), BPF_REG_1));
	emit(code, ST_WRITE(BPF_DW, BPF_REG_10, CONTEXT, REG_CTX));
}

/* R1 = matches[REG_LEFT - 1]: the index of a list */
static void emit_next_list(struct st_code *code, int to)
{
	emit(code, ST_MOV(to, REG_LEFT));
	emit(code, ST_ADD(to, (__u32)-1));
	emit(code, NUM(BPF_AND, to, ST_CLASS_MATCHES - 1));
	emit(code, NUM(BPF_LSH, to, 2));
	emit(code, REG(BPF_ADD, to, REG_REGION));
	emit(code, ST_READ(BPF_W, to, to, REGION(matches)));
}

/* to = lists[from] */
static void emit_list_item(struct st_code *code, int to, int from, const struct st_class_data *data)
{
	emit(code, ST_MOV(to, from));
	emit(code, NUM(BPF_AND, to, (__u32)data->list_count - 1));
	emit(code, NUM(BPF_LSH, to, 2));
	emit(code, REG(BPF_ADD, to, REG_LISTS));
	emit(code, ST_READ(BPF_W, to, to, 0));
}

static void emit_add(struct st_code *code, size_t member)
{
	int off = CELLS + (int)(offsetof(struct st_class_cell, in) + member);

	emit(code, ST_READ(BPF_DW, BPF_REG_5, REG_REGION, REGION(adds) + (int)member));
	emit(code, REG(BPF_AND, BPF_REG_5, BPF_REG_4));
	emit(code, ST_READ(BPF_DW, BPF_REG_1, REG_CELL, off));
	emit(code, REG(BPF_ADD, BPF_REG_1, BPF_REG_5));
	emit(code, ST_WRITE(BPF_DW, REG_CELL, off, BPF_REG_1));
}

/* Counts the packet in the cell of the number, with ST_LIST_END in it or not, unless it has been. */
static void emit_count(struct st_code *code, int number, const struct st_class_plan *plan)
{
	const int stamp = CELLS + (int)offsetof(struct st_class_cell, stamp);
	const int packets = CELLS + (int)(offsetof(struct st_class_cell, in.packets));

	emit(code, ST_MOV(REG_CELL, number));
	emit(code, NUM(BPF_AND, REG_CELL, plan->slots - 1));
	emit(code, NUM(BPF_MUL, REG_CELL, sizeof(struct st_class_cell)));
	emit(code, REG(BPF_ADD, REG_CELL, REG_REGION));
	emit(code, ST_READ(BPF_DW, BPF_REG_4, REG_CELL, stamp));
	emit(code, ST_READ(BPF_DW, BPF_REG_5, REG_REGION, REGION(packet)));
	emit(code, ST_WRITE(BPF_DW, REG_CELL, stamp, BPF_REG_5));
	/* R4 = the stamp is another one: all bits, else none */
	emit(code, REG(BPF_XOR, BPF_REG_4, BPF_REG_5));
	emit(code, ST_MOV(BPF_REG_5, BPF_REG_4));
	emit(code, NUM(BPF_NEG, BPF_REG_5, 0));
	emit(code, REG(BPF_OR, BPF_REG_4, BPF_REG_5));
	emit(code, NUM(BPF_ARSH, BPF_REG_4, 63));
	emit(code, ST_READ(BPF_DW, BPF_REG_5, REG_REGION, REGION(out)));
	emit(code, NUM(BPF_AND, BPF_REG_5, sizeof(struct st_counts)));
	emit(code, REG(BPF_ADD, REG_CELL, BPF_REG_5));
	emit(code, ST_READ(BPF_DW, BPF_REG_1, REG_CELL, packets));
	emit(code, REG(BPF_SUB, BPF_REG_1, BPF_REG_4));
	emit(code, ST_WRITE(BPF_DW, REG_CELL, packets, BPF_REG_1));
	emit_add(code, offsetof(struct st_counts, segments));
	emit_add(code, offsetof(struct st_counts, bytes));
	emit_add(code, offsetof(struct st_counts, accepted_packets));
	emit_add(code, offsetof(struct st_counts, accepted_bytes));
}

/* The jump back for another round, as long as REG_LEFT isn't 0. rounds: what can't be exceeded. */
static void emit_round_end(struct st_code *code, size_t start, size_t rounds)
{
	emit(code, ST_ADD(REG_ROUND, 1));
	emit(code, ST_JUMP(BPF_JGE, REG_ROUND, (__u32)rounds, 1));
	emit(code, ST_JUMP(BPF_JNE, REG_LEFT, 0, (int)start - (int)code->count - 1));
}

/* Every item of every list. */
static void emit_count_all(struct st_code *code, const struct st_class_plan *plan,
			   const struct st_class_data *data, size_t rounds)
{
	size_t some, start;

	/* in no class: the list at index 0, of one cell */
	some = jump(code, ST_JUMP(BPF_JNE, REG_LEFT, 0, 0));
	emit(code, ST_WRITE(BPF_W, REG_REGION, REGION(matches), REG_LEFT));
	emit(code, ST_SET_W(REG_LEFT, 1));
	emit(code, ST_WRITE(BPF_W, REG_REGION, REGION(matched), REG_LEFT));
	land(code, some);
	emit(code, ST_READ(BPF_W, REG_LEFT, REG_REGION, REGION(matched)));
	emit_next_list(code, REG_NUMBER);
	start = code->count;
	emit_list_item(code, BPF_REG_2, REG_NUMBER, data);
	emit_count(code, BPF_REG_2, plan);
	/* the next item, or if this was the last one, the first of the next list */
	emit(code, NUM(BPF_RSH, BPF_REG_2, 31));
	emit(code, REG(BPF_SUB, REG_LEFT, BPF_REG_2));
	emit_next_list(code, BPF_REG_3);
	emit(code, ST_ADD(REG_NUMBER, 1));
	emit(code, REG(BPF_SUB, BPF_REG_3, REG_NUMBER));
	emit(code, REG(BPF_MUL, BPF_REG_3, BPF_REG_2));
	emit(code, REG(BPF_ADD, REG_NUMBER, BPF_REG_3));
	emit_round_end(code, start, rounds);
}

/* Of the first items of all lists the smallest: that number's cell. */
static void emit_count_first(struct st_code *code, const struct st_class_plan *plan,
			     const struct st_class_data *data, size_t rounds)
{
	size_t none, start;

	emit(code, ST_SET_W(REG_NUMBER, plan->numbers - 1));
	none = jump(code, ST_JUMP(BPF_JEQ, REG_LEFT, 0, 0));
	start = code->count;
	emit_next_list(code, BPF_REG_1);
	emit_list_item(code, BPF_REG_2, BPF_REG_1, data);
	emit(code, NUM(BPF_AND, BPF_REG_2, ST_LIST_END - 1));
	emit(code, REG(BPF_SUB, BPF_REG_2, REG_NUMBER));
	emit(code, ST_MOV(BPF_REG_1, BPF_REG_2));
	emit(code, NUM(BPF_ARSH, BPF_REG_1, 63));
	emit(code, REG(BPF_AND, BPF_REG_2, BPF_REG_1));
	emit(code, REG(BPF_ADD, REG_NUMBER, BPF_REG_2));
	emit(code, ST_ADD(REG_LEFT, (__u32)-1));
	emit_round_end(code, start, rounds);
	land(code, none);
	emit_list_item(code, BPF_REG_2, REG_NUMBER, data);
	emit_count(code, BPF_REG_2, plan);
}

/* What packets of all kinds of links may meet at most. */
static void most(const struct st_class_plan *plan, size_t *lists, size_t *numbers)
{
	*lists = *numbers = 0;
	for (size_t i = 0; i < plan->link_count; i++) {
		if (*lists < plan->links[i].ruleset.pushes)
			*lists = plan->links[i].ruleset.pushes;
		if (*numbers < plan->links[i].ruleset.longest)
			*numbers = plan->links[i].ruleset.longest;
	}
}

static void emit_tail_call(struct st_code *code, int map)
{
	st_code_tail_call(code, map);
	/* there is no meter any more: the tool's own verdict holds */
	emit(code, ST_SKB(BPF_REG_0, cb[ST_CB_VERDICT]));
	emit(code, ST_EXIT());
}

/* On along the chain. */
static void emit_end(struct st_code *code, const struct st_class_plan *plan)
{
	emit_own_region(code, plan->chain_map, REG_REGION);
	emit(code, ST_READ(BPF_W, BPF_REG_3, REG_REGION, CHAIN(next)));
	emit(code, ST_MOV(BPF_REG_1, BPF_REG_3));
	emit(code, ST_ADD(BPF_REG_1, 1));
	emit(code, ST_WRITE(BPF_W, REG_REGION, CHAIN(next), BPF_REG_1));
	emit_tail_call(code, plan->programs_map);
}

static int emit_counting(struct st_code *code, const struct st_class_plan *plan,
			 const struct st_class_data *data)
{
	size_t lists, numbers;

	most(plan, &lists, &numbers);
	if (lists > ST_CLASS_MATCHES)
		return -E2BIG;
	emit_own_region(code, plan->regions_map, REG_REGION);
	emit_facts(code, plan->chain_map);
	emit(code, st_insn(BPF_LD | BPF_DW | BPF_IMM, REG_LISTS, BPF_PSEUDO_MAP_VALUE, 0,
			   (__u32)plan->data_map));
	emit(code, st_insn(0, 0, 0, 0, (__u32)data->lists));
	emit(code, ST_READ(BPF_W, REG_LEFT, REG_REGION, REGION(matched)));
	emit(code, ST_SET_W(REG_ROUND, 0));
	if (plan->first)
		emit_count_first(code, plan, data, lists + 1);
	else
		emit_count_all(code, plan, data, numbers + 1);
	emit(code, ST_READ(BPF_DW, REG_CTX, BPF_REG_10, CONTEXT));
	emit_end(code, plan);
	return 0;
}

#define PART_FILTERS 96

unsigned int st_class_parts(const struct st_class_plan *plan)
{
	size_t filters = 0, parts;

	for (size_t i = 0; i < plan->link_count; i++)
		filters += plan->links[i].ruleset.filter_count;
	parts = (filters + PART_FILTERS - 1) / PART_FILTERS;
	return parts < 1                    ? 1
	       : parts > ST_CLASS_PARTS_MAX ? ST_CLASS_PARTS_MAX
					    : (unsigned int)parts;
}

/* The ops of a part: all that aren't filters are in the first. */
static int emit_ruleset(struct st_code *code, const struct st_class_plan *plan,
			const struct st_class_link *link, unsigned int part, const char **what)
{
	struct st_ruleset_place place = link->place;
	size_t filters = link->ruleset.filter_count;
	size_t others = link->ruleset.op_count - filters;

	place.data_map = plan->data_map;
	place.regions_map = plan->regions_map;
	place.first_op = part ? others + part * filters / plan->parts : 0;
	place.end_op = others + (part + 1) * filters / plan->parts;
	if (place.first_op == place.end_op)
		return 0;
	return st_ruleset_emit(code, &link->ruleset, link->link, &place, what);
}

int st_class_program_emit(struct st_code *code, const struct st_class_plan *plan,
			  const struct st_class_data *data, unsigned int part, const char **what)
{
	int result = 0;

	emit(code, ST_MOV(REG_CTX, BPF_REG_1));
	if (!part) {
		emit_own_region(code, plan->regions_map, REG_REGION);
		emit_start(code, plan->chain_map);
	}
	for (size_t i = 0; i < plan->link_count && !result; i++)
		result = emit_ruleset(code, plan, &plan->links[i], part, what);
	if (!result && part + 1 < plan->parts) {
		emit(code, ST_SET_W(BPF_REG_3, part + 1));
		emit_tail_call(code, plan->parts_map);
	} else if (!result) {
		result = emit_counting(code, plan, data);
	}
	return result ? result : st_code_finish(code);
}
