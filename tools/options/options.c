// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* Options that all subcommands with a report share. */
#include "tools/options/options.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATHS_MAX 32768

const char command_hook_help[] =
	"      --hook HOOK         sizes, tcpflags, icmp, talkers, rate: count more;\n"
	"                          drop=PATH, snap=PATH:BYTES, sample=PATH:1/N: the tool\n"
	"                          gets less; FILE.bpf.o, FILE.bpf.c: one of your own;\n"
	"                          see socktally-hook(7)\n";

const char command_option_help[] =
	"  -I, --interval SECONDS  a report of each such time, not one of all\n"
	"  -o, --output FILE       write the report there\n"
	"      --format FORMAT     text (default), or json: one object a line\n"
	"      --paths N           room for N different paths, 1 to 32768\n"
	"      --port udp/N=TUNNEL this UDP port is vxlan, geneve, gtp, ...\n"
	"      --class NAME=EXPRESSION   count also what this pcap-filter(7) accepts\n"
	"      --classes FILE      the same with one a line\n"
	"      --first             count each packet in the first such class only\n"
	"      --help              this text\n";

static int parse_paths(const char *argument, unsigned int *paths)
{
	unsigned long number;
	char *end;

	errno = 0;
	number = strtoul(argument, &end, 10);
	if (errno || *argument < '0' || *argument > '9' || *end || !number || number > PATHS_MAX)
		return command_usage("--paths '%s': must be a number from 1 to %d", argument,
				     PATHS_MAX);
	*paths = (unsigned int)number;
	return 0;
}

int command_option(struct report_options *options, int option, const char *argument)
{
	switch (option) {
	case OPTION_FORMAT:
		if (!strcmp(argument, "text"))
			options->format = REPORT_TEXT;
		else if (!strcmp(argument, "json"))
			options->format = REPORT_JSON;
		else
			return command_usage("--format '%s': must be text or json", argument);
		return 0;
	case 'I':
		return command_seconds("-I", argument, &options->interval);
	case 'o':
		if (!*argument)
			return command_usage("-o '': no file name");
		options->output = argument;
		return 0;
	case OPTION_HOOK:
		return hook_option(&options->hooks, argument);
	case OPTION_CLASS:
		return class_option(&options->classes, argument);
	case OPTION_CLASSES:
		return class_file(&options->classes, argument);
	case OPTION_FIRST:
		options->classes.first = true;
		return 0;
	case OPTION_PORT:
		return port_option(options, argument);
	case OPTION_PATHS:
		return parse_paths(argument, &options->paths);
	default:
		return command_usage("unknown option");
	}
}

int command_prepare_meter(const struct report_options *options, struct socktally *meter)
{
	int status = hook_options_add(&options->hooks, meter);

	return status ? status : class_options_add(&options->classes, meter);
}

static bool same_file(int one, int other)
{
	struct stat a, b;

	return !fstat(one, &a) && !fstat(other, &b) && a.st_dev == b.st_dev &&
	       a.st_ino == b.st_ino && S_ISREG(a.st_mode);
}

int command_output(const struct report_options *options, int descriptor, int input)
{
	struct stat status;
	int fd;

	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	if (!options->output)
		return descriptor;
	/* O_NONBLOCK: without it the open of a FIFO waits for a reader */
	fd = open(options->output, O_WRONLY | O_CREAT | O_NONBLOCK | O_CLOEXEC, 0666);
	if (fd < 0) {
		command_fail("%s: can't write the report there: %s", options->output,
			     errno == ENXIO ? "nobody reads it: start its reader first"
					    : strerror(errno));
		return -1;
	}
	if (input >= 0 && same_file(fd, input)) {
		close(fd);
		command_fail("%s: is the capture file itself: name another file for the report",
			     options->output);
		return -1;
	}
	/* not by O_TRUNC: a file that is refused above must stay unchanged */
	if (!fstat(fd, &status) && S_ISREG(status.st_mode) && ftruncate(fd, 0)) {
		command_fail("%s: can't empty it: %s", options->output, strerror(errno));
		close(fd);
		return -1;
	}
	return fd;
}

int command_report_failed(const struct report_options *options, int error,
			  const struct socktally *meter)
{
	struct socktally_totals totals = {0};

	socktally_snapshot(meter, NULL, NULL, &totals);
	return command_fail("can't write the report to %s: %s; counted so far: %" PRIu64
			    " packets, %" PRIu64 " segments, %" PRIu64 " bytes; accepted %" PRIu64
			    " packets, %" PRIu64 " bytes",
			    options->output ? options->output : "standard output",
			    strerror(error < 0 ? -error : error), totals.counts.packets,
			    totals.counts.segments, totals.counts.bytes,
			    totals.counts.accepted_packets, totals.counts.accepted_bytes);
}
