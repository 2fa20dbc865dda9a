// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* Groups from the command line. */
#include "tools/options/groups.h"
#include "tools/common/command.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define KEYS_MAX 65536
#define ROWS_MAX 1000000

struct group_option {
	const char *argument;
	char *name, *fields;
	unsigned int rows; /* 0: not given */
};

/* A number from 1 to `most`, or 0. */
static unsigned int parse_number(const char *text, unsigned long most)
{
	unsigned long number;
	char *end;

	errno = 0;
	number = strtoul(text, &end, 10);
	return errno || *text < '0' || *text > '9' || *end || number > most ? 0
									    : (unsigned int)number;
}

int group_option(struct group_options *options, const char *argument)
{
	struct group_option *group =
		reallocarray(options->group, options->count + 1, sizeof(*group));
	const char *fields = strchr(argument, '='), *at = strrchr(argument, '@');

	if (!group)
		return command_fail("no memory for --by");
	options->group = group;
	group += options->count;
	*group = (struct group_option){.argument = argument};
	fields = fields ? fields + 1 : argument;
	if (at && at < fields)
		at = NULL;
	if (at) {
		group->rows = parse_number(at + 1, ROWS_MAX);
		if (!group->rows)
			return command_usage(
				"--by '%s': behind the @ must be a number of rows, 1 to %d",
				argument, ROWS_MAX);
	}
	group->fields = at ? strndup(fields, (size_t)(at - fields)) : strdup(fields);
	group->name = fields > argument ? strndup(argument, (size_t)(fields - argument - 1))
					: strdup(group->fields ? group->fields : "");
	if (!group->name || !group->fields)
		return command_fail("no memory for --by");
	options->count++;
	return 0;
}

int group_keys_option(struct group_options *options, const char *argument)
{
	options->keys = parse_number(argument, KEYS_MAX);
	if (!options->keys)
		return command_usage("--keys '%s': must be a number from 1 to %d", argument,
				     KEYS_MAX);
	return 0;
}

int group_options_add(const struct group_options *options, struct socktally *meter)
{
	for (size_t i = 0; i < options->count; i++) {
		const struct group_option *group = &options->group[i];
		int error = socktally_group_add(meter,
						&(struct socktally_group_opts){
							.sz = sizeof(struct socktally_group_opts),
							.name = group->name,
							.fields = group->fields,
							.keys = options->keys,
							.rows = group->rows,
						});

		if (error == -EINVAL || error == -EEXIST)
			return command_usage("--by '%s': %s", group->argument,
					     socktally_error(meter));
		if (error)
			return command_fail("--by '%s': %s", group->argument,
					    socktally_error(meter));
	}
	return 0;
}
