// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* The classes as a hook in the chain. */
#include "bpf/class_count.bpf.h"
#include "plugin/bpf/syscall.h"
#include "plugin/classes/classes.h"
#include "plugin/meter/maps.h"
#include "plugin/meter/meter.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct class_hook {
	struct socktally *meter;
	int parts_map; /* the programs after the first one; -1: not made */
};

/* The chain has removed the hook, for the classes or for the user. */
static void hook_free(struct st_hook *hook)
{
	struct class_hook *own = hook->own;
	struct socktally *meter = own->meter;

	if (meter->classes && meter->classes->hook == hook)
		meter->classes->hook = NULL;
	if (own->parts_map >= 0)
		close(own->parts_map);
	free(own);
}

static const struct st_hook_ops class_hook_ops = {.name = "classes", .free = hook_free};

/*
 * The cell of each number. With `first` numbers are places in the list, and the last one is "none".
 */
static int plan_make(const struct st_classes *classes, struct st_class_plan *plan, uint32_t **cells)
{
	size_t count = classes->first ? classes->count : 0;

	*cells = calloc(count + 1, sizeof(**cells));
	plan->links = calloc(classes->ruleset_count + 1, sizeof(*plan->links));
	if (!*cells || !plan->links)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		(*cells)[i] = classes->class[i].cell;
	for (size_t i = 0; i < classes->ruleset_count; i++) {
		plan->links[i].link = classes->rulesets[i].target.link;
		plan->links[i].ruleset = classes->rulesets[i].ruleset;
	}
	plan->link_count = classes->ruleset_count;
	plan->cells = *cells;
	plan->numbers = (uint32_t)count + 1;
	plan->slots = classes->counters.slots;
	plan->first = classes->first;
	plan->regions_map = classes->counters.map;
	plan->parts = st_class_parts(plan);
	return 0;
}

/* plain: see st_translate() */
static int part_load(const struct st_class_plan *plan, unsigned int part, bool plain,
		     const char **what, bool *functions)
{
	struct st_code code = {.plain = plain,
			       .header_buffer = plan->header_buffer,
			       .headers_are_loaded = true};
	int result = st_class_program_emit(&code, plan, part, what);

	*functions = code.function_count;
	if (!result && code.function_count)
		result = st_bpf_prog_load_functions("socktally_class", code.insns, code.count,
						    code.functions, code.function_count, NULL, 0);
	else if (!result)
		result = st_bpf_prog_load("socktally_class", code.insns, code.count, NULL, 0);
	st_code_free(&code);
	return result;
}

static int part_set(const struct st_class_plan *plan, uint32_t part, int prog)
{
	const uint32_t value = (uint32_t)prog;

	return st_bpf_map_update(plan->parts_map, &part, &value);
}

/* The descriptor of the first part; the others are in the map of parts. */
static int parts_load(const struct st_class_plan *plan, const char **what)
{
	int first = -1;

	for (unsigned int part = 0; part < plan->parts; part++) {
		bool functions = false;
		int result = part_load(plan, part, false, what, &functions);

		/* older kernels refuse a program with functions and a tail call */
		if (result < 0 && functions)
			result = part_load(plan, part, true, what, &functions);
		if (result >= 0 && part) {
			int prog = result;

			result = part_set(plan, part, prog);
			close(prog);
		} else if (result >= 0) {
			first = result;
		}
		if (result < 0) {
			if (first >= 0)
				close(first);
			return result;
		}
	}
	return first;
}

/* --- the program that counts */

/*
 * Above so many steps the program for many is loaded. The verifier goes through 260 instructions for
 * each step of the other one, and a million in all (Linux 6.18).
 */
#define COUNT_MANY 2048

struct count_names {
	const struct socktally *meter;
	const struct st_class_plan *plan;
	const struct st_class_data *data;
	uint32_t rounds;
};

static bool count_name(const void *ctx, const char *name, struct bpf_insn insn[2])
{
	const struct count_names *names = ctx;
	const struct {
		const char *name;
		uint8_t pseudo;
		uint32_t value, offset; /* offset: in a map's value */
	} known[] = {
		{"class_regions", BPF_PSEUDO_MAP_FD, (uint32_t)names->plan->regions_map, 0},
		{"class_lists", BPF_PSEUDO_MAP_VALUE, (uint32_t)names->plan->data_map,
		 (uint32_t)names->data->lists},
		{"class_list_mask", 0, (uint32_t)names->data->list_count - 1, 0},
		{"class_cell_mask", 0, names->plan->slots - 1, 0},
		{"class_none", 0, names->plan->numbers - 1, 0},
		{"class_rounds", 0, names->rounds, 0},
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		if (strcmp(name, known[i].name) != 0)
			continue;
		insn[0].src_reg = known[i].pseudo & 0xf;
		insn[0].imm = (int32_t)known[i].value;
		insn[1].imm = (int32_t)known[i].offset;
		return true;
	}
	return st_symbol_resolve(names->meter, name, insn);
}

/* Loads it as what comes after the last part. 0, or -errno that is noted. */
static int count_load(struct socktally *meter, const struct st_class_plan *plan,
		      const struct st_class_data *data)
{
	struct count_names names = {.meter = meter, .plan = plan, .data = data};
	int prog = -1, result = st_class_rounds(plan, &names.rounds);
	const struct st_own_program program = {
		.name = plan->first                 ? "class_count_first"
			: names.rounds > COUNT_MANY ? "class_count_many"
						    : "class_count_all",
		.prog = &prog,
		.resolve = count_name,
		.ctx = &names,
	};

	if (!result)
		result = st_own_programs_load(meter, st_object_class_count,
					      sizeof(st_object_class_count), &program, 1);
	if (!result)
		result = part_set(plan, plan->parts, prog);
	if (prog >= 0)
		close(prog);
	return result;
}

static int parts_map_make(struct st_class_plan *plan)
{
	plan->parts_map = st_bpf_map_create(BPF_MAP_TYPE_PROG_ARRAY, "socktally_part",
					    sizeof(uint32_t), sizeof(uint32_t), plan->parts + 1, 0);
	return plan->parts_map < 0 ? plan->parts_map : 0;
}

static int program_make(struct socktally *meter, const struct st_classes *classes,
			struct st_class_plan *plan)
{
	struct st_class_data data = {0};
	const char *what = NULL;
	int result = st_class_data_make(plan, &data);

	if (!result)
		result = parts_map_make(plan);
	if (!result) {
		result = plan->data_map =
			st_bpf_map_constant("socktally_data", data.value, data.size);
		if (result >= 0)
			result = count_load(meter, plan, &data);
		if (!result)
			result = parts_load(plan, &what);
		if (plan->data_map >= 0)
			close(plan->data_map);
	}
	free(data.value);
	if (result == -E2BIG)
		return st_fail(meter, result,
			       "%zu classes are more than the kernel takes: they differ too much, "
			       "or too many accept the same packets",
			       classes->count);
	if (result == -EOPNOTSUPP)
		return st_fail(meter, result, "a class uses %s, which eBPF can't express",
			       what ? what : "what");
	if (result < 0)
		return st_fail(meter, result, "the kernel refused the program for %zu classes: %s",
			       classes->count, strerror(-result));
	return result;
}

struct st_hook *st_class_hook_new(struct socktally *meter, const struct st_classes *classes,
				  const struct st_hook *replaces, int *error)
{
	struct st_class_plan plan = {.chain_map = meter->cells_map,
				     .header_buffer = &meter->header_buffer,
				     .data_map = -1,
				     .parts_map = -1};
	struct class_hook *own;
	struct st_hook *hook;
	uint32_t *cells = NULL;

	hook = st_hook_new(meter, &class_hook_ops, "classes", classes->priority, replaces, error);
	if (!hook)
		return NULL;
	own = malloc(sizeof(*own));
	if (own)
		*own = (struct class_hook){.meter = meter, .parts_map = -1};
	hook->own = own;
	*error = own ? plan_make(classes, &plan, &cells) : -ENOMEM;
	if (*error)
		st_fail(meter, *error, "no memory for classes");
	else
		*error = program_make(meter, classes, &plan);
	if (own)
		own->parts_map = plan.parts_map;
	free(plan.links);
	free(cells);
	if (*error < 0) {
		st_hook_free(meter, hook);
		return NULL;
	}
	hook->prog = *error;
	hook->inner_calls = plan.parts; /* from each to the next one, or to the one that counts */
	*error = 0;
	return hook;
}
