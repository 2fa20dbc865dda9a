// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* All classes' filters for one kind of packets, and the decision among them. */
#include "plugin/classes/classes.h"
#include "plugin/meter/meter.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

void st_class_decided_free(struct st_class_decided *decided)
{
	for (size_t i = 0; decided->filters && i < decided->count; i++)
		free(decided->filters[i].insns);
	free(decided->filters);
	st_ruleset_free(&decided->decision);
	*decided = (struct st_class_decided){0};
}

static int compile_all(struct socktally *meter, const struct st_classes *classes,
		       struct st_class_decided *decided, size_t *failed)
{
	char why[256];

	for (size_t i = 0; i < classes->count; i++) {
		const struct st_class *class = &classes->class[i];
		int result =
			st_class_compile(meter, class, &decided->target, &decided->filters[i], why);

		if (result) {
			*failed = i;
			return result;
		}
		if (!decided->filters[i].count)
			st_log(meter, SOCKTALLY_LOG_DEBUG, "class %s: not for link type %u: %s",
			       class->name, decided->target.link, why);
	}
	return 0;
}

/* With `first` a class's number is its place in the order, else that of its cell. */
static int decide(struct socktally *meter, const struct st_classes *classes,
		  struct st_class_decided *decided)
{
	struct st_filter *filters = calloc(classes->count + 1, sizeof(*filters));
	size_t count = 0;
	int result = -ENOMEM;

	if (!filters)
		return st_fail(meter, result, "no memory to decide among classes");
	for (size_t i = 0; i < classes->count; i++) {
		if (!decided->filters[i].count)
			continue;
		filters[count++] = (struct st_filter){
			.insns = decided->filters[i].insns,
			.count = decided->filters[i].count,
			.number = classes->first ? (uint32_t)i : classes->class[i].cell,
		};
	}
	result = st_ruleset_make(&decided->decision, filters, count, classes->first);
	free(filters);
	if (result)
		return st_fail(meter, result, "can't decide among %zu classes: %s", classes->count,
			       strerror(-result));
	return 0;
}

int st_class_decide(struct socktally *meter, const struct st_classes *classes,
		    const struct st_class_target *target, struct st_class_decided *decided,
		    size_t *failed)
{
	int result;

	*decided = (struct st_class_decided){.target = *target, .count = classes->count};
	decided->filters = calloc(classes->count + 1, sizeof(*decided->filters));
	if (!decided->filters)
		return st_fail(meter, -ENOMEM, "no memory for the filters of classes");
	result = compile_all(meter, classes, decided, failed);
	if (!result)
		result = decide(meter, classes, decided);
	if (result)
		st_class_decided_free(decided);
	return result;
}
