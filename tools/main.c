// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* The socktally command: finds the subcommand. */
#include "tools/common/command.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct {
	const char *name;
	int (*main)(int argc, char **argv);
} subcommands[] = {
	{"run", command_run},       {"watch", command_watch},       {"read", command_read},
	{"list", command_list},     {"attach", command_attach},     {"detach", command_detach},
	{"broker", command_broker}, {"features", command_features}, {"diff", command_diff},
	{"fields", command_fields},
};

static const char help[] =
	"socktally: exact protocol counts for the capture socket you already have\n"
	"\n"
	"  socktally run [OPTIONS] -- TOOL [ARGUMENTS]   run a capture tool, metered\n"
	"  socktally watch -i INTERFACE [OPTIONS]        count without any tool\n"
	"  socktally read [OPTIONS] FILE|- ...           count pcap and pcapng files\n"
	"  socktally diff [OPTIONS] A B...               compare reports, capture files\n"
	"  socktally list [OPTIONS]                      all packet sockets of this host\n"
	"  socktally attach [OPTIONS] PID|COMMAND        meter a capture that is running\n"
	"  socktally detach PID|COMMAND                  undo what a killed meter left\n"
	"  socktally features [OPTIONS]                  what this kernel allows\n"
	"  socktally fields                              what packets can be grouped by\n"
	"  socktally broker --socket PATH --group GROUP  serve unprivileged programs\n"
	"\n"
	"  socktally COMMAND --help                      the options of one of them\n"
	"  socktally --version\n"
	"\n"
	"Exit status: the tool's own for run; else 0, 1 for a failure, 2 for wrong usage;\n"
	"of diff 0, 1 where the sides differ, 2 for trouble.\n"
	"\n"
	"Protocols are named as in Wireshark; socktally-paths(7) has all of them.\n";

/*
 * Opens /dev/null in place of a standard descriptor that the caller has closed: a file of ours must not
 * get its number, as the report would go into that file. It is opened so that output to a closed stdout
 * still fails, and a tool does not inherit it.
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
	return command_print("socktally %s\n", socktally_version());
}

int main(int argc, char **argv)
{
	int status;

	hold_standard_descriptors();

	if (argc < 2)
		return command_usage("no command given: run, watch, read, diff, list, attach, "
				     "detach, features, fields or broker");
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") ||
	    (argc == 2 && !strcmp(argv[1], "help")))
		return command_end(command_print("%s", help));
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V"))
		return command_end(say_version());

	if (!strcmp(argv[1], "help")) { /* "help COMMAND" is "COMMAND --help" */
		argv[1] = argv[2];
		argv[2] = "--help";
		argc = 3;
	}
	for (size_t i = 0; i < sizeof(subcommands) / sizeof(*subcommands); i++) {
		if (strcmp(argv[1], subcommands[i].name))
			continue;
		command_name(subcommands[i].name);
		status = subcommands[i].main(argc - 1, argv + 1);
		/* that of run is the tool's */
		return subcommands[i].main == command_run ? status : command_end(status);
	}
	if (argv[1][0] == '-')
		return command_usage("unknown option '%s'", argv[1]);
	return command_usage("unknown command '%s'", argv[1]);
}
