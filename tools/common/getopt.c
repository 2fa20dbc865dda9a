// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* The command line of a subcommand: getopt_long(), and in words what is wrong. */
#include "tools/common/command.h"

#include <getopt.h>
#include <string.h>

#define SHORT_MAX 64
#define SEEN_MAX 64

/* What command_bad_option() needs to know of the command line that is read. */
static struct {
	const struct option *options;
	int seen[SEEN_MAX]; /* options with one value that were given */
	size_t seen_count;
	int again; /* the one that was given twice */
} line;

static const struct option *find_option(int value)
{
	for (const struct option *option = line.options; option->name; option++)
		if (option->val == value)
			return option;
	return NULL;
}

/* Whether an option that holds one value has one already. */
static bool is_again(int value)
{
	static const char *const lists[] = {"hook", "class", "classes", "by", "port", "lost"};
	const struct option *option = find_option(value);

	if (option && option->has_arg == no_argument)
		return false;
	for (size_t i = 0; option && i < sizeof(lists) / sizeof(*lists); i++)
		if (!strcmp(option->name, lists[i]))
			return false;
	for (size_t i = 0; i < line.seen_count; i++)
		if (line.seen[i] == value)
			return true;
	if (line.seen_count < SEEN_MAX)
		line.seen[line.seen_count++] = value;
	return false;
}

int command_getopt(int argc, char **argv, const char *short_options, const struct option *options)
{
	char with_help[SHORT_MAX];
	int option;

	line.options = options;
	line.again = 0;
	snprintf(with_help, sizeof(with_help), "%sh", short_options);
	opterr = 0;
	option = getopt_long(argc, argv, with_help, options, NULL);
	if (option == 'h')
		return OPTION_HELP;
	if (option == -1 || option == '?' || option == ':' || !is_again(option))
		return option;
	line.again = option;
	return '?';
}

/* "--packets, --paths": what a beginning of a name may stand for; returns how many. */
static unsigned int candidates(const char *given, char *names, size_t size)
{
	size_t length = strcspn(given, "="), used = 0;
	unsigned int count = 0;

	*names = 0;
	for (const struct option *option = line.options; option->name; option++) {
		if (strncmp(option->name, given, length) != 0)
			continue;
		count++;
		if (used < size)
			used += (size_t)snprintf(names + used, size - used, "%s--%s",
						 used ? ", " : "", option->name);
	}
	return count;
}

static int say_again(void)
{
	const struct option *option = find_option(line.again);

	if (option && line.again < OPTION_LONG)
		return command_usage("-%c (--%s) is given twice: it takes one value", line.again,
				     option->name);
	if (option)
		return command_usage("--%s is given twice: it takes one value", option->name);
	return command_usage("-%c is given twice: it takes one value", line.again);
}

int command_bad_option(int result, char **argv)
{
	/* optopt: a short option's letter, or a long one's number, or 0 for an unknown long one */
	const char *given = argv[optind - 1];
	char names[256];

	if (line.again)
		return say_again();
	if (result == ':') {
		if (optopt < OPTION_LONG && strncmp(given, "--", 2))
			return command_usage("option '-%c' needs an argument", optopt);
		return command_usage("option '%s' needs an argument", given);
	}
	if (optopt && optopt < OPTION_LONG && strncmp(given, "--", 2) != 0)
		return command_usage("unknown option '-%c'", optopt);
	if (optopt)
		return command_usage("option '%s' takes no argument", given);
	if (candidates(given + 2, names, sizeof(names)) > 1)
		return command_usage("option '%s' is ambiguous: %s", given, names);
	return command_usage("unknown option '%s'", given);
}
