// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* The socktally command: finds the subcommand. */
#include "command.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct {
	const char *name;
	int (*main)(int argc, char **argv);
} subcommands[] = {
	{"run", command_run},
	{"watch", command_watch},
	{"read", command_read},
	{"broker", command_broker},
};

static const char help[] =
	"socktally: exact protocol counts for the capture socket you already have\n"
	"\n"
	"  socktally run [OPTIONS] -- TOOL [ARGUMENTS]    run a capture tool, metered\n"
	"  socktally watch -i INTERFACE [-f FILTER] [-c SECONDS] [OPTIONS]\n"
	"                                                 count without any tool\n"
	"  socktally read [--packets] [OPTIONS] FILE|-    count a pcap or pcapng file\n"
	"\n"
	"  socktally COMMAND --help                       the options of one of them\n"
	"  socktally --version\n"
	"\n"
	"Exit status: that of the tool for run; else 0, 1 after a failure, 2 for wrong usage.\n";

/*
 * A descriptor that the caller had closed must not be taken by a file of ours: the report would go
 * into it. The stand-in can't be written to, so that output to a closed stdout still fails, and a
 * tool that is run doesn't inherit it.
 */
static void hold_standard_descriptors(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (fcntl(fd, F_GETFD) >= 0)
			continue;
		/* the lowest free number: all below it are open by now */
		if (open("/dev/null", (fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) | O_CLOEXEC) != fd)
			abort();
	}
}

static int say_version(void)
{
	return command_print("socktally %s: tells a capture socket's packets apart, and counts them\n",
			     socktally_version());
}

int main(int argc, char **argv)
{
	hold_standard_descriptors();

	if (argc < 2)
		return command_usage("no command given: run, watch or read");
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help"))
		return command_print("%s", help);
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V"))
		return say_version();

	for (size_t i = 0; i < sizeof(subcommands) / sizeof(*subcommands); i++) {
		if (strcmp(argv[1], subcommands[i].name))
			continue;
		command_name(subcommands[i].name);
		return subcommands[i].main(argc - 1, argv + 1);
	}
	if (argv[1][0] == '-')
		return command_usage("unknown option '%s'", argv[1]);
	return command_usage("unknown command '%s'", argv[1]);
}
