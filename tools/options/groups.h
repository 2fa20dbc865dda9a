/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* --by, --keys: the groups of the command's meter. */
#ifndef SOCKTALLY_TOOLS_OPTIONS_GROUPS_H
#define SOCKTALLY_TOOLS_OPTIONS_GROUPS_H

#include <socktally/socktally.h>
#include <stddef.h>

struct group_option;

/* The strings are never freed. */
struct group_options {
	struct group_option *group;
	size_t count;
	unsigned int keys; /* 0: the default */
};

/* [NAME=]FIELD[/BITS][,FIELD...][@N]: 0, or EXIT_USAGE or EXIT_FAILED after a message. */
int group_option(struct group_options *options, const char *argument);
int group_keys_option(struct group_options *options, const char *argument);

/* Adds all of them to the meter, before it has sockets: 0, or EXIT_USAGE or EXIT_FAILED after a message. */
int group_options_add(const struct group_options *options, struct socktally *meter);

#endif
