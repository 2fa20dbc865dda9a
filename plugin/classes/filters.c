// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* The filters of all classes for one kind of link, and their rule set. */
#include "plugin/classes/classes.h"
#include "plugin/meter/meter.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

void st_class_ruleset_free(struct st_class_ruleset *link_ruleset)
{
	for (size_t i = 0; link_ruleset->filters && i < link_ruleset->count; i++)
		free(link_ruleset->filters[i].insns);
	free(link_ruleset->filters);
	st_ruleset_free(&link_ruleset->ruleset);
	*link_ruleset = (struct st_class_ruleset){0};
}

static int compile_all(struct socktally *meter, const struct st_classes *classes,
		       struct st_class_ruleset *link_ruleset, size_t *failed)
{
	char why[256];

	for (size_t i = 0; i < classes->count; i++) {
		const struct st_class *class = &classes->class[i];
		int result = st_class_compile(meter, class, &link_ruleset->target,
					      &link_ruleset->filters[i], why);

		if (result) {
			*failed = i;
			return result;
		}
		if (!link_ruleset->filters[i].count)
			st_log(meter, SOCKTALLY_LOG_DEBUG, "class %s: not for link type %u: %s",
			       class->name, link_ruleset->target.link, why);
	}
	return 0;
}

/* With `first` a class's number is its place in the list, else its cell. */
static int ruleset_make(struct socktally *meter, const struct st_classes *classes,
			struct st_class_ruleset *link_ruleset)
{
	struct st_filter *filters = calloc(classes->count + 1, sizeof(*filters));
	size_t count = 0;
	int result = -ENOMEM;

	if (!filters)
		return st_fail(meter, result, "no memory to decide among classes");
	for (size_t i = 0; i < classes->count; i++) {
		if (!link_ruleset->filters[i].count)
			continue;
		filters[count++] = (struct st_filter){
			.insns = link_ruleset->filters[i].insns,
			.count = link_ruleset->filters[i].count,
			.number = classes->first ? (uint32_t)i : classes->class[i].cell,
		};
	}
	result = st_ruleset_make(&link_ruleset->ruleset, filters, count, classes->first);
	free(filters);
	if (result)
		return st_fail(meter, result, "can't decide among %zu classes: %s", classes->count,
			       strerror(-result));
	return 0;
}

int st_class_ruleset_make(struct socktally *meter, const struct st_classes *classes,
			  const struct st_class_target *target,
			  struct st_class_ruleset *link_ruleset, size_t *failed)
{
	int result;

	*link_ruleset = (struct st_class_ruleset){.target = *target, .count = classes->count};
	link_ruleset->filters = calloc(classes->count + 1, sizeof(*link_ruleset->filters));
	if (!link_ruleset->filters)
		return st_fail(meter, -ENOMEM, "no memory for the filters of classes");
	result = compile_all(meter, classes, link_ruleset, failed);
	if (!result)
		result = ruleset_make(meter, classes, link_ruleset);
	if (result)
		st_class_ruleset_free(link_ruleset);
	return result;
}
