// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * Replaces the classes of a meter: cells for the new list, rule sets for its links, and the hook in
 * the chain. The hook comes last; if anything fails, all is undone.
 */
#include "plugin/meter/attachment.h"
#include "plugin/classes/classes.h"
#include "plugin/meter/meter.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* --- cells: a class that stays keeps its counts */

static bool same_class(const struct st_class *a, const struct st_class *b)
{
	if (!a->expression != !b->expression)
		return false;
	if (a->expression)
		return !strcmp(a->expression, b->expression);
	return a->linktype == b->linktype && a->given.count == b->given.count &&
	       !memcmp(a->given.insns, b->given.insns, a->given.count * sizeof(*a->given.insns));
}

/* Sets each class's cell to that of the same class in `old`, or to 0. */
static int cells_match(struct socktally *meter, struct st_classes *classes,
		       const struct st_classes *old)
{
	const struct st_class **list = old ? st_classes_sorted(old) : NULL;
	int result = old && !list ? -ENOMEM : 0;

	for (size_t i = 0; old && i < classes->count && !result; i++) {
		struct st_class *class = &classes->class[i];
		const struct st_class *key = class;
		const struct st_class **found =
			bsearch(&key, list, old->count, sizeof(*list), st_class_by_name);

		if (!found || !same_class(class, *found))
			continue;
		class->cell = (*found)->cell;
		if ((*found)->tagged.count)
			result = st_class_filter_copy(meter, (*found)->tagged.insns,
						      (*found)->tagged.count, &class->tagged);
	}
	free(list);
	return result;
}

/*
 * If the old counters have no room, classes get cells in new ones, and the counts are carried over
 * once the old program has ended.
 */
struct cell_carry {
	uint32_t *old_cells; /* of each class, malloc'ed; NULL: all cells are in the old counters */
};

static int cells_take(struct socktally *meter, struct st_classes *classes,
		      const struct st_classes *old, struct cell_carry *carry)
{
	size_t kept = 0, free_cells = old ? old->counters.slots - 1 - old->count : 0;
	int result = cells_match(meter, classes, old);

	for (size_t i = 0; i < classes->count; i++)
		kept += classes->class[i].cell != 0;
	if (!result && old && classes->count - kept <= free_cells) {
		classes->counters = old->counters;
	} else if (!result) {
		result = st_class_counters_make(&classes->counters,
						meter->userspace ? 1 : meter->region_count,
						classes->count, !meter->userspace);
		carry->old_cells = calloc(classes->count, sizeof(*carry->old_cells));
		if (!carry->old_cells && !result)
			result = -ENOMEM;
	}
	if (result)
		return st_fail(meter, result, "can't make the counters of %zu classes: %s",
			       classes->count, strerror(-result));
	for (size_t i = 0; i < classes->count; i++) {
		struct st_class *class = &classes->class[i];

		if (carry->old_cells) {
			carry->old_cells[i] = class->cell;
			class->cell = 0;
		}
		if (!class->cell)
			class->cell = st_class_cell_take(&classes->counters);
	}
	return 0;
}

/* After success: frees the cells of classes that are gone. */
static void cells_done(struct st_classes *classes, struct st_classes *old, struct cell_carry *carry)
{
	bool *used = classes->counters.used;

	for (size_t i = 0; carry->old_cells && old && i < classes->count; i++)
		if (carry->old_cells[i])
			st_class_cell_carry_on(&classes->counters, classes->class[i].cell,
					       &old->counters, carry->old_cells[i]);
	if (carry->old_cells && old)
		st_class_cell_carry_on(&classes->counters, 0, &old->counters, 0);
	memset(used, 0, classes->counters.slots * sizeof(*used));
	for (size_t i = 0; i < classes->count; i++)
		used[classes->class[i].cell] = true;
}

/* After a failure: frees the cells that were taken for the new list. */
static void cells_back(const struct st_classes *classes, struct st_classes *old)
{
	if (!old || classes->counters.used != old->counters.used)
		return;
	memset(old->counters.used, 0, old->counters.slots * sizeof(*old->counters.used));
	for (size_t i = 0; i < old->count; i++)
		old->counters.used[old->class[i].cell] = true;
}

/* --- kinds of links */

static int target_add(struct st_class_target *targets, size_t *count, size_t max, uint32_t link)
{
	for (size_t i = 0; i < *count; i++)
		if (targets[i].link == link)
			return 0;
	if (*count == max)
		return -E2BIG;
	targets[(*count)++] = (struct st_class_target){.link = link, .live = true};
	return 0;
}

int st_class_targets(struct st_class_target *targets, size_t *count,
		     const struct st_socket_link *socket_link)
{
	int result;

	if (socket_link->link != ST_LINK_ANY)
		return target_add(targets, count, ST_CLASS_TARGETS_MAX, socket_link->link);
	result = target_add(targets, count, ST_CLASS_TARGETS_MAX, ST_LINK_ETH);
	return result ? result : target_add(targets, count, ST_CLASS_TARGETS_MAX, ST_LINK_RAW);
}

/*
 * The links of all sockets, and of the one that is coming. Without sockets Ethernet, which is the
 * most likely one.
 */
static int targets_find(struct socktally *meter, const struct st_socket_link *coming,
			struct st_class_target *targets, size_t *count)
{
	int result = 0;

	*count = 0;
	for (size_t i = 0; i < meter->attachment_count && !result; i++)
		result = st_class_targets(targets, count, &meter->attachments[i]->socket_link);
	if (!result && coming)
		result = st_class_targets(targets, count, coming);
	if (!result && !*count)
		result = target_add(targets, count, ST_CLASS_TARGETS_MAX, ST_LINK_ETH);
	if (result)
		return st_fail(meter, result, "classes can be of %d kinds of links at most",
			       ST_CLASS_TARGETS_MAX);
	return 0;
}

/* Each class must have a filter for some kind of link, even if no socket has that. */
static int classes_check(struct socktally *meter, const struct st_classes *classes, size_t *failed)
{
	/* LINKTYPE_ numbers of Ethernet, raw IP, Linux cooked */
	const bool live = !meter->userspace;
	const struct st_class_target targets[] = {
		{.link = live ? ST_LINK_ETH : 1, .live = live},
		{.link = live ? ST_LINK_RAW : 101, .live = live},
		{.link = live ? ST_LINK_SLL : 276, .live = live},
	};
	char why[256], first[256];

	for (size_t i = 0; i < classes->count; i++) {
		const struct st_class *class = &classes->class[i];
		bool good = !class->expression;

		for (size_t at = 0; at < classes->ruleset_count && !good; at++)
			good = classes->rulesets[at].filters[i].count;
		for (size_t at = 0; at < sizeof(targets) / sizeof(*targets) && !good; at++) {
			struct st_class_filter filter;
			int result = st_class_compile(meter, class, &targets[at], &filter, why);

			free(filter.insns);
			if (result == -ENODATA && at + 1 < sizeof(targets) / sizeof(*targets))
				continue; /* not on this link, but a file of another link may say it */
			if (result) {
				*failed = i;
				return result;
			}
			good = filter.count;
			if (!at)
				memcpy(first, why, sizeof(first));
		}
		if (!good)
			return st_class_fail(meter, i, failed, class->name, first);
	}
	return 0;
}

static int rulesets_make(struct socktally *meter, struct st_classes *classes,
			 const struct st_socket_link *coming, size_t *failed)
{
	struct st_class_target targets[ST_CLASS_TARGETS_MAX];
	size_t count;
	int result = targets_find(meter, coming, targets, &count);

	if (result)
		return result;
	classes->rulesets = calloc(count + 1, sizeof(*classes->rulesets));
	if (!classes->rulesets)
		return st_fail(meter, -ENOMEM, "no memory for classes");
	for (size_t i = 0; i < count && !result; i++) {
		result = st_class_ruleset_make(meter, classes, &targets[i], &classes->rulesets[i],
					       failed);
		classes->ruleset_count += !result;
	}
	return result;
}

/* --- all together */

static int hook_commit(struct socktally *meter, struct st_classes *classes, struct st_classes *old)
{
	struct st_hook *before = old ? old->hook : NULL;
	int result;

	if (meter->userspace)
		return 0;
	classes->hook = st_class_hook_new(meter, classes, before, &result);
	if (!classes->hook)
		return result;
	result = st_hook_insert(meter, classes->hook, before);
	if (result)
		st_hook_free(meter, classes->hook);
	return result;
}

int st_classes_commit(struct socktally *meter, struct st_classes *classes,
		      const struct st_socket_link *coming, size_t *failed)
{
	struct st_classes *old = meter->classes;
	struct cell_carry carry = {0};
	int result = cells_take(meter, classes, old, &carry);
	bool shared;

	if (!result && !meter->userspace)
		result = st_class_compile_tagged(meter, classes->class, classes->count, failed);
	if (!result && !meter->userspace)
		result = rulesets_make(meter, classes, coming, failed);
	if (!result)
		result = classes_check(meter, classes, failed);
	if (!result)
		result = hook_commit(meter, classes, old);
	if (result) {
		cells_back(classes, old);
	} else {
		cells_done(classes, old, &carry);
		shared = old && old->counters.used == classes->counters.used;
		meter->classes = classes;
		if (old)
			st_classes_delete(old, !shared);
	}
	free(carry.old_cells);
	return result;
}
