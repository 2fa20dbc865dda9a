/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Names of interfaces and the like as one text. */
#ifndef SOCKTALLY_TOOLS_COMMON_NAME_LIST_H
#define SOCKTALLY_TOOLS_COMMON_NAME_LIST_H

/* Each once and in order, as "eth0,eth1". Empty when all zero. */
struct name_list {
	char text[256];
};

/* Puts the name in its place, unless it is there or the text is full. */
void name_list_add(struct name_list *names, const char *name);

#endif
