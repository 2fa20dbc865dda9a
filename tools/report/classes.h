/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Classes in a report. */
#ifndef SOCKTALLY_TOOLS_REPORT_CLASSES_H
#define SOCKTALLY_TOOLS_REPORT_CLASSES_H

#include "tools/content/content.h"

/* The classes of the meter with their counts since it was opened. -errno. */
int report_classes_read(struct report_classes *classes, const struct socktally *meter);
void report_classes_free(struct report_classes *classes);

/* The same list with the counts since `last`. -errno. */
int report_classes_since(const struct report_classes *now, const struct report_classes *last,
			 struct report_classes *since);

#endif
