// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* The classes of a meter: checked, set, and reported. */
#include "plugin/classes/classes.h"
#include "plugin/meter/meter.h"
#include "plugin/meter/visit.h"
#include "plugin/translate/internal.h"
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

void st_classes_delete(struct st_classes *classes, bool counters)
{
	list_free(classes->class, classes->count);
	for (size_t i = 0; i < classes->ruleset_count; i++)
		st_class_ruleset_free(&classes->rulesets[i]);
	free(classes->rulesets);
	if (counters)
		st_class_counters_free(&classes->counters);
	free(classes);
}

/* The hook is freed with the chain. */
void st_classes_free(struct socktally *meter)
{
	if (meter->classes)
		st_classes_delete(meter->classes, true);
	meter->classes = NULL;
	st_pcap_close(meter->pcap);
	meter->pcap = NULL;
}

/* --- a caller's list of classes */

int st_class_fail(struct socktally *meter, size_t index, size_t *failed, const char *name,
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
		return st_class_fail(meter, index, failed, length ? class->name : "''",
				     "a name has 1 to 127 characters");
	for (const char *byte = class->name; *byte; byte++)
		if ((unsigned char)*byte < ' ' || *byte == 0x7f)
			return st_class_fail(meter, index, failed, "'?'",
					     "a name has no control characters");
	if (!strcmp(class->name, ST_CLASS_NONE))
		return st_class_fail(meter, index, failed, class->name,
				     "the name stands for packets in no class");
	if (class->expression)
		return 0;
	if (st_check_classic(class->insns, class->insn_count))
		return st_class_fail(meter, index, failed, class->name, "not a valid filter");
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

int st_class_by_name(const void *one, const void *other)
{
	const struct st_class *const *a = one, *const *b = other;

	return strcmp((*a)->name, (*b)->name);
}

const struct st_class **st_classes_sorted(const struct st_classes *classes)
{
	const struct st_class **list = malloc((classes->count + 1) * sizeof(struct st_class *));

	for (size_t i = 0; list && i < classes->count; i++)
		list[i] = &classes->class[i];
	if (list)
		qsort(list, classes->count, sizeof(*list), st_class_by_name);
	return list;
}

static int names_check(struct socktally *meter, const struct st_classes *classes, size_t *failed)
{
	const struct st_class **list = st_classes_sorted(classes);
	int result = 0;

	if (!list)
		return -ENOMEM;
	for (size_t i = 1; i < classes->count && !result; i++) {
		if (strcmp(list[i - 1]->name, list[i]->name) != 0)
			continue;
		if (list[i] < list[i - 1])
			i--;
		result = st_class_fail(meter, (size_t)(list[i] - classes->class), failed,
				       list[i]->name, "there are two of this name");
	}
	free(list);
	return result;
}

static struct st_classes *list_new(struct socktally *meter, bool first, int32_t priority)
{
	struct st_classes *classes = calloc(1, sizeof(*classes));

	if (!classes) {
		st_fail(meter, -ENOMEM, "no memory for classes");
		return NULL;
	}
	classes->counters.map = -1;
	classes->first = first;
	classes->priority = priority;
	return classes;
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
	st_classes_delete(meter->classes, true);
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
	if (meter->remote >= 0)
		return st_fail(meter, -EOPNOTSUPP,
			       "a broker loads nobody's own programs: no classes");
	if (!given || count > ST_CLASSES_MAX || opts->flags & ~SOCKTALLY_CLASSES_FIRST)
		return st_fail(meter, -EINVAL, "a list of classes that makes no sense");
	classes = list_new(meter, opts->flags & SOCKTALLY_CLASSES_FIRST,
			   opts->priority ? opts->priority : SOCKTALLY_PRIORITY_TAKEN);
	if (!classes)
		return -ENOMEM;
	result = list_make(meter, classes, given, count, failed);
	if (!result)
		result = st_classes_commit(meter, classes, NULL, failed);
	if (result) {
		shared = meter->classes && meter->classes->counters.used == classes->counters.used;
		st_classes_delete(classes, !shared);
	}
	return result;
}

int socktally_set_classes(struct socktally *meter, const struct socktally_class *classes,
			  size_t count, const struct socktally_classes_opts *callers)
{
	struct socktally_classes_opts opts;
	size_t failed = SIZE_MAX;
	int result, saved = errno;

	if (!st_registry_has(meter))
		return -EINVAL;
	st_meter_hold(meter);
	result = st_visit_refuse(meter, ST_LIST_HOOKS | ST_LIST_CLASSES);
	if (!result) {
		result = st_options(&opts, sizeof(opts), callers);
		if (result)
			st_fail(meter, result, "classes: options of an unknown size");
	}
	if (!result)
		result = set_classes(meter, classes, count, &opts, &failed);
	st_meter_release(meter);
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

	if (!st_registry_has(meter))
		return -EINVAL;
	if (!fn)
		return st_fail((struct socktally *)meter, -EINVAL, "classes: no callback");
	classes = meter->classes;
	if (!classes)
		return 0;
	st_visit_begin(meter, ST_LIST_CLASSES);
	for (size_t i = 0; i < classes->count && !result; i++)
		result = st_visit_result(meter, class_report(classes, classes->class[i].name,
							     classes->class[i].expression,
							     classes->class[i].cell, fn, ctx));
	if (!result && classes->first)
		result = st_visit_result(meter,
					 class_report(classes, ST_CLASS_NONE, NULL, 0, fn, ctx));
	st_visit_end(meter, ST_LIST_CLASSES);
	return result;
}

/* --- sockets that are attached later */

static bool has_ruleset(const struct st_classes *classes, uint32_t link)
{
	for (size_t i = 0; i < classes->ruleset_count; i++)
		if (classes->rulesets[i].target.link == link)
			return true;
	return false;
}

/* A copy of the meter's list, without rule sets. */
static int list_copy(struct socktally *meter, struct st_classes *classes)
{
	const struct st_classes *old = meter->classes;
	struct socktally_class *given = calloc(old->count, sizeof(*given));
	size_t failed;
	int result;

	if (!given)
		return st_fail(meter, -ENOMEM, "no memory for classes");
	for (size_t i = 0; i < old->count; i++)
		given[i] = (struct socktally_class){.name = old->class[i].name,
						    .expression = old->class[i].expression,
						    .insns = old->class[i].given.insns,
						    .insn_count = old->class[i].given.count,
						    .linktype = old->class[i].linktype};
	result = list_make(meter, classes, given, old->count, &failed);
	free(given);
	return result;
}

int st_classes_serve(struct socktally *meter, const struct st_socket_link *socket_link)
{
	struct st_class_target targets[ST_CLASS_TARGETS_MAX];
	struct st_classes *classes, *old = meter->classes;
	size_t count = 0, failed;
	bool missing = false;
	int result;

	if (!old || !old->hook)
		return 0;
	result = st_class_targets(targets, &count, socket_link);
	if (result)
		return st_fail(meter, result, "%s: classes can be of %d kinds of links at most",
			       meter->socket_label, ST_CLASS_TARGETS_MAX);
	for (size_t i = 0; i < count; i++)
		missing |= !has_ruleset(old, targets[i].link);
	if (!missing)
		return 0;
	classes = list_new(meter, old->first, old->hook->priority);
	if (!classes)
		return -ENOMEM;
	result = list_copy(meter, classes);
	if (!result)
		result = st_classes_commit(meter, classes, socket_link, &failed);
	if (result)
		st_classes_delete(classes, old->counters.used != classes->counters.used);
	return result;
}
