// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * The generated program: loads the start of the packet, and runs the rule set for its kind of link,
 * which notes the lists that the packet meets. Then bpf/class_count.bpf.c counts it in their classes.
 */
#include "plugin/classes/program.h"
#include "plugin/translate/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define REG_REGION BPF_REG_7

#define REGION(MEMBER) ((int)offsetof(struct st_class_region, MEMBER))
/* What the parser has left in the meter's region. */
#define WALK(MEMBER) ((int)(offsetof(struct st_region, walk) + offsetof(struct st_walk, MEMBER)))

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

/* reg = this CPU's element of a map. There is one for each CPU: the exit is for the verifier. */
static void emit_own_region(struct st_code *code, int map, int reg)
{
	size_t found;

	st_emit_region(code, map, reg, 1);
	found = jump(code, ST_JA(0));
	emit(code, ST_SKB(BPF_REG_0, cb[ST_CB_VERDICT]));
	emit(code, ST_EXIT());
	land(code, found);
}

/*
 * Prepares the region (R7), and copies the start of the packet (R6) to the header buffer, unless the
 * parser has left it there.
 */
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
	/* the parser reads further parts of a packet into the same buffer: base is then not 0 */
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

int st_class_rounds(const struct st_class_plan *plan, uint32_t *rounds)
{
	size_t lists = 0, numbers = 0;

	for (size_t i = 0; i < plan->link_count; i++) {
		const struct st_ruleset *ruleset = &plan->links[i].ruleset;

		lists = lists < ruleset->pushes ? ruleset->pushes : lists;
		numbers = numbers < ruleset->longest ? ruleset->longest : numbers;
	}
	*rounds = (uint32_t)(plan->first ? lists : numbers) + 1;
	return lists > ST_CLASS_MATCHES || numbers > INT32_MAX ? -E2BIG : 0;
}

static void emit_tail_call(struct st_code *code, int map)
{
	st_code_tail_call(code, map);
	/* the meter has ended: the tool's own verdict holds */
	emit(code, ST_SKB(BPF_REG_0, cb[ST_CB_VERDICT]));
	emit(code, ST_EXIT());
}

/*
 * With more, the program is divided. It runs as fast in one part, but the verifier refuses 1,000
 * filters in one.
 */
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

/* The filters of a part; all other ops are in the first part. */
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

int st_class_program_emit(struct st_code *code, const struct st_class_plan *plan, unsigned int part,
			  const char **what)
{
	int result = 0;

	emit(code, ST_MOV(REG_CTX, BPF_REG_1));
	if (!part) {
		emit_own_region(code, plan->regions_map, REG_REGION);
		emit_start(code, plan->chain_map);
	}
	for (size_t i = 0; i < plan->link_count && !result; i++)
		result = emit_ruleset(code, plan, &plan->links[i], part, what);
	emit(code, ST_SET_W(BPF_REG_3, part + 1));
	emit_tail_call(code, plan->parts_map);
	return result ? result : st_code_finish(code);
}
