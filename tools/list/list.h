/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* How `socktally list` shows what it found. */
#ifndef SOCKTALLY_TOOLS_LIST_LIST_H
#define SOCKTALLY_TOOLS_LIST_LIST_H

#include "tools/list/captures.h"
#include <stdio.h>

/* The expression of the filter, malloc'ed; NULL: none is found. */
char *list_filter_name(const struct capture *capture);
/* The name of a user, or the number. */
const char *list_user(uid_t uid, char text[64]);
/* "own" for ours, the name that `ip netns` gave it, or "". */
const char *list_namespace(const struct captures *captures, const struct capture *capture);
/* "hash", "cpu", ... of a fanout group. */
const char *list_fanout(uint32_t fanout);
/* What is not shown, item `number` from 0; NULL: no more. *root: root would see it. */
const char *list_hidden(const struct captures *captures, unsigned int number, bool *root);

/* A failure is left in the error flag of out. */
void list_text(FILE *out, const struct captures *captures, bool verbose);
void list_json(FILE *out, const struct captures *captures);

#endif
