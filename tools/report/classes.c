// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
#include "tools/report/classes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void report_classes_free(struct report_classes *classes)
{
	for (size_t i = 0; i < classes->count; i++) {
		free(classes->class[i].name);
		free(classes->class[i].expression);
	}
	free(classes->class);
	*classes = (struct report_classes){0};
}

static int add(struct report_classes *classes, const char *name, const char *expression,
	       const struct socktally_counts *counts)
{
	struct report_class *class;

	if (classes->count == classes->room) {
		size_t room = classes->room ? 2 * classes->room : 16;

		class = reallocarray(classes->class, room, sizeof(*class));
		if (!class)
			return -ENOMEM;
		classes->class = class;
		classes->room = room;
	}
	class = &classes->class[classes->count];
	*class = (struct report_class){.name = strdup(name),
				       .expression = strdup(expression ? expression : ""),
				       .counts = *counts};
	classes->count++;
	return class->name && class->expression ? 0 : -ENOMEM;
}

static int add_class(void *ctx, const struct socktally_class_counts *class)
{
	struct socktally_counts sum = class->in;

	report_counts_add(&sum, &class->out);
	return add(ctx, class->name, class->expression, &sum);
}

int report_classes_read(struct report_classes *classes, const struct socktally *meter)
{
	return socktally_classes(meter, add_class, classes);
}

int report_classes_since(const struct report_classes *now, const struct report_classes *last,
			 struct report_classes *since)
{
	for (size_t i = 0; i < now->count; i++) {
		struct socktally_counts counts = now->class[i].counts;
		int error;

		if (i < last->count)
			report_counts_subtract(&counts, &last->class[i].counts);
		error = add(since, now->class[i].name, now->class[i].expression, &counts);
		if (error)
			return error;
	}
	return 0;
}
