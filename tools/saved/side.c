// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
#include "tools/content/content.h"
#include "tools/saved/side.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* As many as a meter takes. */
#define CLASSES_MAX 65536

static struct saved_class *find_class(const struct saved_side *side, const char *name)
{
	for (size_t i = 0; i < side->class_count; i++) {
		if (!strcmp(side->class[i].name, name))
			return &side->class[i];
	}
	return NULL;
}

int saved_class_add(struct saved_side *side, const char *name, const char *expression,
		    const struct socktally_counts *counts)
{
	struct saved_class *class = find_class(side, name);

	if (class) {
		report_counts_add(&class->counts, counts);
		return 0;
	}
	if (side->class_count == CLASSES_MAX)
		return -E2BIG;
	class = reallocarray(side->class, side->class_count + 1, sizeof(*class));
	if (!class)
		return -ENOMEM;
	side->class = class;
	class = &side->class[side->class_count];
	*class = (struct saved_class){
		.name = strdup(name),
		.expression = strdup(expression ? expression : ""),
		.counts = *counts,
	};
	side->class_count++;
	return class->name && class->expression ? 0 : -ENOMEM;
}

void saved_side_free(struct saved_side *side)
{
	for (size_t i = 0; i < side->class_count; i++) {
		free(side->class[i].name);
		free(side->class[i].expression);
	}
	free(side->class);
	for (size_t i = 0; i < side->note_count; i++) {
		free(side->notes[i].event);
		free(side->notes[i].text);
	}
	saved_table_free(&side->paths);
	saved_table_free(&side->groups);
	*side = (struct saved_side){0};
}
