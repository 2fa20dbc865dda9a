// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* The classes as a hook in the chain. */
#include "plugin/bpf/syscall.h"
#include "plugin/classes/classes.h"
#include "plugin/meter/meter.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct class_hook {
	struct socktally *meter;
	int parts_map; /* the programs after the first; -1: there are none */
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
static int part_load(const struct st_class_plan *plan, const struct st_class_data *data,
		     unsigned int part, bool plain, const char **what, bool *functions)
{
	struct st_code code = {.plain = plain,
			       .header_buffer = plan->header_buffer,
			       .headers_are_loaded = true};
	int result = st_class_program_emit(&code, plan, data, part, what);

	*functions = code.function_count;
	if (!result && code.function_count)
		result = st_bpf_prog_load_functions("socktally_class", code.insns, code.count,
						    code.functions, code.function_count, NULL, 0);
	else if (!result)
		result = st_bpf_prog_load("socktally_class", code.insns, code.count, NULL, 0);
	st_code_free(&code);
	return result;
}

/* The descriptor of the first part; the others are in the map of parts. */
static int parts_load(const struct st_class_plan *plan, const struct st_class_data *data,
		      const char **what)
{
	int first = -1;

	for (unsigned int part = 0; part < plan->parts; part++) {
		bool functions = false;
		int result = part_load(plan, data, part, false, what, &functions);

		/* older kernels refuse a program with functions and a tail call */
		if (result < 0 && functions)
			result = part_load(plan, data, part, true, what, &functions);
		if (result >= 0 && part) {
			const uint32_t index = part, value = (uint32_t)result;
			int prog = result;

			result = st_bpf_map_update(plan->parts_map, &index, &value);
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

static int parts_map_make(struct st_class_plan *plan)
{
	if (plan->parts == 1)
		return 0;
	plan->parts_map = st_bpf_map_create(BPF_MAP_TYPE_PROG_ARRAY, "socktally_part",
					    sizeof(uint32_t), sizeof(uint32_t), plan->parts, 0);
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
			result = parts_load(plan, &data, &what);
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
				     .programs_map = meter->chain_map,
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
	*error = 0;
	return hook;
}
