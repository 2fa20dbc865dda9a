// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* The classes of a meter: one list of them takes another's place. */
#include "class.h"
#include "meter.h"
#include "translate_internal.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void list_free(struct st_class *list, size_t count)
{
	for (size_t i = 0; list && i < count; i++) {
		free(list[i].name);
		free(list[i].expression);
		free(list[i].given.insns);
		free(list[i].tagged.insns);
	}
	free(list);
}

/* All but its hook and, if they are not its own, its counters. */
static void classes_free(struct st_classes *classes, bool counters)
{
	list_free(classes->class, classes->count);
	for (size_t i = 0; i < classes->decided_count; i++)
		st_class_decided_free(&classes->decided[i]);
	free(classes->decided);
	if (counters)
		st_class_counters_free(&classes->counters);
	free(classes);
}

/* The hook goes with the chain. */
void st_classes_free(struct socktally *meter)
{
	if (meter->classes)
		classes_free(meter->classes, true);
	meter->classes = NULL;
	st_pcap_close(meter->pcap);
	meter->pcap = NULL;
}

/* --- what the caller says */

static int class_fail(struct socktally *meter, size_t index, size_t *failed, const char *name,
		      const char *what)
{
	*failed = index;
	return st_fail(meter, -EINVAL, "class %s: %s", name, what);
}

static int class_check(struct socktally *meter, const struct socktally_class *class, size_t index,
		       size_t *failed)
{
	size_t length = class->name ? strlen(class->name) : 0;

	if (!length || length >= ST_CLASS_NAME_MAX)
		return class_fail(meter, index, failed, length ? class->name : "''",
				  "a name has 1 to 127 characters");
	for (const char *byte = class->name; *byte; byte++)
		if ((unsigned char)*byte < ' ' || *byte == 0x7f)
			return class_fail(meter, index, failed, "'?'",
					  "a name has no control characters");
	if (!strcmp(class->name, ST_CLASS_NONE))
		return class_fail(meter, index, failed, class->name,
				  "the name stands for packets in no class");
	if (class->expression)
		return 0;
	if (st_check_classic(class->insns, class->insn_count))
		return class_fail(meter, index, failed, class->name, "not a valid filter");
	return 0;
}

static int class_copy(struct socktally *meter, struct st_class *copy,
		      const struct socktally_class *class)
{
	*copy = (struct st_class){.linktype = class->linktype};
	copy->name = strdup(class->name);
	if (!copy->name)
		return -ENOMEM;
	if (!class->expression)
		return st_class_filter_copy(meter, class->insns, class->insn_count, &copy->given);
	copy->expression = strdup(class->expression);
	return copy->expression ? 0 : -ENOMEM;
}

static int by_name(const void *one, const void *other)
{
	const struct st_class *const *a = one, *const *b = other;

	return strcmp((*a)->name, (*b)->name);
}

/* Pointers to the classes, sorted by name; malloc'ed. */
static const struct st_class **sorted(const struct st_classes *classes)
{
	const struct st_class **list = malloc((classes->count + 1) * sizeof(struct st_class *));

	for (size_t i = 0; list && i < classes->count; i++)
		list[i] = &classes->class[i];
	if (list)
		qsort(list, classes->count, sizeof(*list), by_name);
	return list;
}

static int names_check(struct socktally *meter, const struct st_classes *classes, size_t *failed)
{
	const struct st_class **list = sorted(classes);
	int result = 0;

	if (!list)
		return -ENOMEM;
	for (size_t i = 1; i < classes->count && !result; i++) {
		if (strcmp(list[i - 1]->name, list[i]->name) != 0)
			continue;
		if (list[i] < list[i - 1])
			i--;
		result = class_fail(meter, (size_t)(list[i] - classes->class), failed,
				    list[i]->name, "there are two of this name");
	}
	free(list);
	return result;
}

static int list_make(struct socktally *meter, struct st_classes *classes,
		     const struct socktally_class *given, size_t count, size_t *failed)
{
	int result = 0;

	classes->class = calloc(count, sizeof(*classes->class));
	if (!classes->class)
		result = -ENOMEM;
	for (size_t i = 0; i < count && !result; i++) {
		result = class_check(meter, &given[i], i, failed);
		if (result)
			return result;
		classes->count++;
		result = class_copy(meter, &classes->class[i], &given[i]);
	}
	if (!result)
		result = names_check(meter, classes, failed);
	if (result == -ENOMEM)
		return st_fail(meter, result, "no memory for %zu classes", count);
	return result;
}

/* --- cells: a class that was there before keeps its own */

static bool same_class(const struct st_class *a, const struct st_class *b)
{
	if (!a->expression != !b->expression)
		return false;
	if (a->expression)
		return !strcmp(a->expression, b->expression);
	return a->linktype == b->linktype && a->given.count == b->given.count &&
	       !memcmp(a->given.insns, b->given.insns, a->given.count * sizeof(*a->given.insns));
}

/* Sets each class's cell to that of the same one in `old`, or to 0. */
static int cells_match(struct socktally *meter, struct st_classes *classes,
		       const struct st_classes *old)
{
	const struct st_class **list = old ? sorted(old) : NULL;
	int result = old && !list ? -ENOMEM : 0;

	for (size_t i = 0; old && i < classes->count && !result; i++) {
		struct st_class *class = &classes->class[i];
		const struct st_class *key = class;
		const struct st_class **found =
			bsearch(&key, list, old->count, sizeof(*list), by_name);

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

/* What the old classes' cells have goes on in new ones, once nothing counts in them any more. */
struct carry {
	uint32_t *old_cells; /* of each class, malloc'ed; NULL: they stay in the same cells */
};

static int cells_take(struct socktally *meter, struct st_classes *classes,
		      const struct st_classes *old, struct carry *carry)
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

/* The new classes are in use: nothing counts in what only the old ones had. */
static void cells_done(struct st_classes *classes, struct st_classes *old, struct carry *carry)
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

/* The new ones are not in use: the cells that were taken for them are free again. */
static void cells_back(const struct st_classes *classes, struct st_classes *old)
{
	if (!old || classes->counters.used != old->counters.used)
		return;
	memset(old->counters.used, 0, old->counters.slots * sizeof(*old->counters.used));
	for (size_t i = 0; i < old->count; i++)
		old->counters.used[old->class[i].cell] = true;
}

/* --- for which kinds of links */

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

#define TARGETS_MAX 16

static int targets_of_tap(struct st_class_target *targets, size_t *count, const struct st_tap *tap)
{
	int result;

	if (tap->link)
		return target_add(targets, count, TARGETS_MAX, tap->link);
	result = target_add(targets, count, TARGETS_MAX, ST_LINK_ETH);
	for (unsigned int i = 0; i < tap->other_count && !result; i++)
		result = target_add(targets, count, TARGETS_MAX, tap->others[i].link);
	return result;
}

/* Of all sockets, and of the one that is about to come, if there is one. */
static int targets_find(struct socktally *meter, const struct st_tap *coming,
			struct st_class_target *targets, size_t *count)
{
	int result = 0;

	*count = 0;
	for (size_t i = 0; i < meter->attachment_count && !result; i++)
		result = targets_of_tap(targets, count, &meter->attachments[i]->tap);
	if (!result && coming)
		result = targets_of_tap(targets, count, coming);
	if (result)
		return st_fail(meter, result, "classes can be of %d kinds of links at most",
			       TARGETS_MAX);
	return 0;
}

/* Each class is one for some kind of link, if not for those that are there. */
static int classes_check(struct socktally *meter, const struct st_classes *classes, size_t *failed)
{
	/* LINKTYPE_ numbers for files: Ethernet, raw IP, Linux cooked */
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

		for (size_t at = 0; at < classes->decided_count && !good; at++)
			good = classes->decided[at].filters[i].count;
		for (size_t at = 0; at < sizeof(targets) / sizeof(*targets) && !good; at++) {
			struct st_class_filter filter;
			int result = st_class_compile(meter, class, &targets[at], &filter, why);

			free(filter.insns);
			if (result == -ENODATA && at + 1 < sizeof(targets) / sizeof(*targets))
				continue; /* of such files; of others there is more to know */
			if (result) {
				*failed = i;
				return result;
			}
			good = filter.count;
			if (!at)
				memcpy(first, why, sizeof(first));
		}
		if (!good)
			return class_fail(meter, i, failed, class->name, first);
	}
	return 0;
}

static int decide_all(struct socktally *meter, struct st_classes *classes,
		      const struct st_tap *coming, size_t *failed)
{
	struct st_class_target targets[TARGETS_MAX];
	size_t count;
	int result = targets_find(meter, coming, targets, &count);

	if (result)
		return result;
	classes->decided = calloc(count + 1, sizeof(*classes->decided));
	if (!classes->decided)
		return st_fail(meter, -ENOMEM, "no memory for classes");
	for (size_t i = 0; i < count && !result; i++) {
		result = st_class_decide(meter, classes, &targets[i], &classes->decided[i], failed);
		classes->decided_count += !result;
	}
	return result;
}

/* --- one list takes another's place */

static int hook_use(struct socktally *meter, struct st_classes *classes, struct st_classes *old)
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

static int classes_use(struct socktally *meter, struct st_classes *classes,
		       const struct st_tap *coming, size_t *failed)
{
	struct st_classes *old = meter->classes;
	struct carry carry = {0};
	int result = cells_take(meter, classes, old, &carry);
	bool shared;

	if (!result && !meter->userspace)
		result = st_class_compile_tagged(meter, classes->class, classes->count, failed);
	if (!result && !meter->userspace)
		result = decide_all(meter, classes, coming, failed);
	if (!result)
		result = classes_check(meter, classes, failed);
	if (!result)
		result = hook_use(meter, classes, old);
	if (result) {
		cells_back(classes, old);
	} else {
		cells_done(classes, old, &carry);
		shared = old && old->counters.used == classes->counters.used;
		meter->classes = classes;
		if (old)
			classes_free(old, !shared);
	}
	free(carry.old_cells);
	return result;
}

static int classes_remove(struct socktally *meter)
{
	int result;

	if (!meter->classes)
		return 0;
	if (meter->classes->hook) {
		result = socktally_hook_remove(meter, "classes", NULL);
		if (result)
			return result;
	}
	classes_free(meter->classes, true);
	meter->classes = NULL;
	return 0;
}

static int set_classes(struct socktally *meter, const struct socktally_class *given, size_t count,
		       const struct socktally_classes_opts *opts, size_t *failed)
{
	struct st_classes *classes;
	bool shared;
	int result;

	if (!count)
		return classes_remove(meter);
	if (meter->broker >= 0)
		return st_fail(meter, -EOPNOTSUPP,
			       "a broker loads nobody's own programs: no classes");
	if (!given || count > ST_CLASSES_MAX || opts->flags & ~SOCKTALLY_CLASSES_FIRST)
		return st_fail(meter, -EINVAL, "a list of classes that makes no sense");
	classes = calloc(1, sizeof(*classes));
	if (!classes)
		return st_fail(meter, -ENOMEM, "no memory for classes");
	classes->counters.map = -1;
	classes->first = opts->flags & SOCKTALLY_CLASSES_FIRST;
	classes->priority = opts->priority ? opts->priority : SOCKTALLY_PRIORITY_TAKEN;
	result = list_make(meter, classes, given, count, failed);
	if (!result)
		result = classes_use(meter, classes, NULL, failed);
	if (result) {
		shared = meter->classes && meter->classes->counters.used == classes->counters.used;
		classes_free(classes, !shared);
	}
	return result;
}

int socktally_set_classes(struct socktally *meter, const struct socktally_class *classes,
			  size_t count, const struct socktally_classes_opts *callers)
{
	struct socktally_classes_opts opts;
	size_t failed = SIZE_MAX;
	int result, saved = errno;

	if (!st_is_live(meter))
		return -EINVAL;
	result = st_options(&opts, sizeof(opts), callers);
	if (!result)
		result = set_classes(meter, classes, count, &opts, &failed);
	if (result && failed != SIZE_MAX && opts.failed)
		*opts.failed = failed;
	errno = saved;
	return result;
}

static int class_report(const struct st_classes *classes, const char *name, const char *expression,
			uint32_t cell, socktally_class_fn fn, void *ctx)
{
	const struct socktally_class_counts counts = {
		.name = name,
		.expression = expression,
		.in = st_class_cell_read(&classes->counters, cell, SOCKTALLY_IN),
		.out = st_class_cell_read(&classes->counters, cell, SOCKTALLY_OUT),
	};

	return fn(ctx, &counts);
}

int socktally_classes(const struct socktally *meter, socktally_class_fn fn, void *ctx)
{
	const struct st_classes *classes;
	int result = 0;

	if (!st_is_live(meter) || !fn)
		return -EINVAL;
	classes = meter->classes;
	if (!classes)
		return 0;
	for (size_t i = 0; i < classes->count && !result; i++)
		result = class_report(classes, classes->class[i].name, classes->class[i].expression,
				      classes->class[i].cell, fn, ctx);
	if (!result && classes->first)
		result = class_report(classes, ST_CLASS_NONE, NULL, 0, fn, ctx);
	return result;
}

/* --- sockets that come later */

static bool is_decided(const struct st_classes *classes, uint32_t link)
{
	for (size_t i = 0; i < classes->decided_count; i++)
		if (classes->decided[i].target.link == link)
			return true;
	return false;
}

int st_classes_serve(struct socktally *meter, const struct st_tap *tap)
{
	struct st_class_target targets[TARGETS_MAX];
	struct st_classes *classes;
	struct socktally_class *given;
	size_t count = 0, failed;
	bool missing = false;
	int result;

	if (!meter->classes || !meter->classes->hook)
		return 0;
	result = targets_of_tap(targets, &count, tap);
	for (size_t i = 0; i < count; i++)
		missing |= !is_decided(meter->classes, targets[i].link);
	if (result || !missing)
		return result;
	/* the same list once more */
	classes = calloc(1, sizeof(*classes));
	given = calloc(meter->classes->count, sizeof(*given));
	if (!classes || !given) {
		free(classes);
		free(given);
		return st_fail(meter, -ENOMEM, "no memory for classes");
	}
	classes->counters.map = -1;
	classes->first = meter->classes->first;
	classes->priority = meter->classes->hook->priority;
	for (size_t i = 0; i < meter->classes->count; i++) {
		const struct st_class *class = &meter->classes->class[i];

		given[i] = (struct socktally_class){.name = class->name,
						    .expression = class->expression,
						    .insns = class->given.insns,
						    .insn_count = class->given.count,
						    .linktype = class->linktype};
	}
	result = list_make(meter, classes, given, meter->classes->count, &failed);
	if (!result)
		result = classes_use(meter, classes, tap, &failed);
	free(given);
	if (result)
		classes_free(classes, meter->classes->counters.used != classes->counters.used);
	return result;
}
