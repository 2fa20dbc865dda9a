/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Classes in a report. */
#ifndef SOCKTALLY_TOOLS_REPORT_CLASSES_H
#define SOCKTALLY_TOOLS_REPORT_CLASSES_H

#include <socktally/socktally.h>
#include <stdio.h>

struct report_class {
	char *name, *expression;
	struct socktally_counts counts; /* of both directions */
};

/* In the order in which they were given. */
struct report_classes {
	struct report_class *class;
	size_t count, room;
};

/* The classes of the meter with their counts since it was opened. -errno. */
int report_classes_read(struct report_classes *classes, const struct socktally *meter);
void report_classes_free(struct report_classes *classes);

/* The same list with the counts since `last`. -errno. */
int report_classes_since(const struct report_classes *now, const struct report_classes *last,
			 struct report_classes *since);

/* A member `,"classes":[...]`, if there are any. */
void report_classes_json(FILE *out, const struct report_classes *classes);

/* A table, if there are any; its last line has the number of classes without packets. */
void report_classes_text(FILE *out, const struct report_classes *classes,
			 const struct socktally_counts *totals);

#endif
