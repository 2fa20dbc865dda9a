// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* Options and messages that all subcommands share. */
#include "tools/command.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATHS_MAX 32768
#define SECONDS_MAX 4000000 /* in milliseconds it fits an unsigned int; 46 days */

static const char *subcommand;

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
	"      --class NAME=EXPRESSION   count also what this pcap-filter(7) accepts\n"
	"      --classes FILE      the same with one a line\n"
	"      --first             count each packet in the first such class only\n"
	"      --help              this text\n";

void command_name(const char *name)
{
	subcommand = name;
}

/* One line whatever the text contains: file names may have anything in them. */
static void say(const char *format, va_list arguments, const char *hint)
{
	char line[2048];
	size_t length;

	vsnprintf(line, sizeof(line), format, arguments);
	length = strlen(line);
	while (length && line[length - 1] == '\n')
		line[--length] = 0;
	for (char *byte = line; *byte; byte++) {
		if ((unsigned char)*byte < ' ' || *byte == 0x7f)
			*byte = '?';
	}
	if (hint)
		fprintf(stderr, "socktally: %s (see 'socktally %s%s--help')\n", line, hint,
			*hint ? " " : "");
	else
		fprintf(stderr, "socktally: %s\n", line);
}

int command_fail(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	say(format, arguments, NULL);
	va_end(arguments);
	return EXIT_FAILED;
}

int command_usage(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	say(format, arguments, subcommand ? subcommand : "");
	va_end(arguments);
	return EXIT_USAGE;
}

int command_print(const char *format, ...)
{
	va_list arguments;
	int written;

	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	va_start(arguments, format);
	written = vprintf(format, arguments);
	va_end(arguments);
	if (written < 0 || fflush(stdout))
		return command_fail("can't write to standard output: %s", strerror(errno));
	return 0;
}

int command_print_memory(FILE *out, char **text)
{
	int status;

	if (ferror(out) | fclose(out))
		status = command_fail("out of memory");
	else
		status = command_print("%s", *text);
	free(*text);
	return status;
}

int command_bad_option(int result, char **argv)
{
	/* optopt: a short option's letter, or a long one's number, or 0 for an unknown long one */
	const char *given = argv[optind - 1];

	if (result == ':') {
		if (optopt < OPTION_FORMAT && strncmp(given, "--", 2))
			return command_usage("option '-%c' needs an argument", optopt);
		return command_usage("option '%s' needs an argument", given);
	}
	if (optopt && optopt < OPTION_FORMAT)
		return command_usage("unknown option '-%c'", optopt);
	if (optopt)
		return command_usage("option '%s' takes no argument", given);
	return command_usage("unknown or ambiguous option '%s'", given);
}

int command_seconds(const char *what, const char *argument, unsigned int *milliseconds)
{
	double seconds;
	char *end;

	errno = 0;
	seconds = strtod(argument, &end);
	if (end == argument || *end || !isfinite(seconds) || seconds <= 0)
		return command_usage("%s '%s': not a positive number of seconds", what, argument);
	if (seconds < 0.001 || seconds > SECONDS_MAX)
		return command_usage("%s '%s': must be between 0.001 and %d seconds", what,
				     argument, SECONDS_MAX);
	*milliseconds = (unsigned int)(seconds * 1000 + 0.5);
	return 0;
}

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
	fd = open(options->output, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
	if (fd < 0) {
		command_fail("%s: can't write the report there: %s", options->output,
			     strerror(errno));
		return -1;
	}
	if (input >= 0 && same_file(fd, input)) {
		close(fd);
		command_fail("%s: is the capture file itself: name another file for the report",
			     options->output);
		return -1;
	}
	/* only now: what is refused above must stay as it was */
	if (!fstat(fd, &status) && S_ISREG(status.st_mode) && ftruncate(fd, 0)) {
		command_fail("%s: can't empty it: %s", options->output, strerror(errno));
		close(fd);
		return -1;
	}
	return fd;
}

void command_lift_memlock(void)
{
	struct rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};

	setrlimit(RLIMIT_MEMLOCK, &unlimited);
}

const char command_not_permitted[] =
	"BPF is not permitted: run as root (sudo), or with CAP_BPF and CAP_PERFMON";

int command_open_failed(int error)
{
	if (error == -EPERM)
		return command_fail("%s", command_not_permitted);
	return command_fail("can't start counting: %s", socktally_error(NULL));
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
