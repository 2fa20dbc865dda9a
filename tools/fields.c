// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* socktally fields: what packets can be grouped by. */
#include <socktally/socktally.h>
#include "tools/common/command.h"

#include <getopt.h>
#include <stdio.h>

static const char help[] =
	"socktally fields\n"
	"\n"
	"Lists the fields that --by takes, with a word on each. \"inner.\" before the name\n"
	"of a header's field takes the innermost such header, not the outermost.\n"
	"\n"
	"  -h, --help              this text\n";

static int print_field(void *ctx, const char *name, const char *words)
{
	return fprintf(ctx, "%-22s %s\n", name, words) < 0;
}

int command_fields(int argc, char **argv)
{
	static const struct option long_options[] = {
		{"help", no_argument, NULL, OPTION_HELP},
		{0},
	};
	int option = command_getopt(argc, argv, ":", long_options);

	if (option == OPTION_HELP)
		return command_print(help);
	if (option != -1)
		return command_bad_option(option, argv);
	if (optind < argc)
		return command_usage("'%s' is too much", argv[optind]);
	socktally_group_fields(print_field, stdout);
	return 0;
}
