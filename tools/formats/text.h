/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* The parts of the text report. */
#ifndef SOCKTALLY_TOOLS_FORMATS_TEXT_H
#define SOCKTALLY_TOOLS_FORMATS_TEXT_H

#include "tools/content/content.h"

#include <stdio.h>

#define REPORT_TEXT_WIDTH 80 /* columns of the plainest terminal */

/* -ENOMEM if there is no room for the tree. */
int report_text_tree(FILE *out, const struct report_content *content);

/* A table, if there are any; its last line has the number of classes without packets. */
void report_text_classes(FILE *out, const struct report_content *content);

/* A table for each group; nothing if there are none. */
void report_text_groups(FILE *out, const struct report_content *content);

/* Nothing if there are none. */
void report_text_hooks(FILE *out, const struct report_content *content);

#endif
