// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* Options that all subcommands with a report share. */
#include "tools/options/options.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATHS_MAX 32768
#define SERIES_MAX 1000000

const char command_live_help[] =
	"      --hook HOOK         sizes, tcpflags, icmp, talkers, rate: count more;\n"
	"                          drop=PATH, snap=PATH:BYTES, sample=PATH:1/N: the tool\n"
	"                          gets less; FILE.bpf.o, FILE.bpf.c: one of your own;\n"
	"                          see socktally-hook(7)\n"
	"      --align             with -I: at whole multiples of the time of day (UTC)\n"
	"      --listen [ADDRESS:]PORT   serve the counters to Prometheus, at /metrics\n"
	"      --tls-cert FILE, --tls-key FILE   by HTTPS, with these\n";

const char command_option_help[] =
	"  -I, --interval SECONDS  a report of each such time, not one of all\n"
	"  -o, --output FILE       write the report there; -: to standard output\n"
	"      --append            add to what FILE has; SIGHUP opens it anew\n"
	"      --format FORMAT     text (default); json: one object a line; csv; html;\n"
	"                          phs: as tshark -z io,phs; openmetrics, prometheus:\n"
	"                          all counts since the beginning, for Prometheus\n"
	"      --series N          so many time series of paths at most (1000); the rest\n"
	"                          of the paths is one, path=\"other\"\n"
	"  -n, --top N             in text: the N rows with most packets, or by --sort\n"
	"      --depth N           in text: N layers of each path\n"
	"      --sort COLUMN       in text: packets, bytes, in, out, accepted, lost, name\n"
	"      --units UNITS       in text: si, iec or exact; bits or bytes a second\n"
	"      --color WHEN        in text: auto (a terminal), always or never\n"
	"      --paths N           room for N different paths, 1 to 32768\n"
	"      --port udp/N=TUNNEL this UDP port is vxlan, geneve, gtp, ...\n"
	"      --no-applications   paths end at tcp, udp: no tls, dns, ... by the payload\n"
	"      --class NAME=EXPRESSION   count also what this pcap-filter(7) accepts\n"
	"      --classes FILE      the same with one a line\n"
	"      --first             count each packet in the first such class only\n"
	"      --by [NAME=]FIELD[/BITS][,FIELD...][@N]   count by what these fields have:\n"
	"                          ip.dst/24,tcp.dstport@50: the 50 with most bytes;\n"
	"                          'socktally fields' lists what there is\n"
	"      --keys N            room for N different values of each, 1 to 65536\n"
	"  -h, --help              this text\n";

int number_option(const char *option, const char *argument, unsigned long max,
		  unsigned long *result)
{
	char *end;

	errno = 0;
	*result = strtoul(argument, &end, 10);
	if (errno || *argument < '0' || *argument > '9' || *end || !*result || *result > max)
		return command_usage("%s '%s': must be a number from 1 to %lu", option, argument,
				     max);
	return 0;
}

int command_json_option(const char *argument, bool *json)
{
	*json = !strcmp(argument, "json");
	if (*json || !strcmp(argument, "text"))
		return 0;
	return command_usage("--format '%s': must be text or json", argument);
}

int command_option(struct report_options *options, int option, const char *argument)
{
	unsigned long number;
	int status;

	switch (option) {
	case OPTION_FORMAT:
		if (report_format_find(argument, &options->style.format))
			return 0;
		return command_usage("--format '%s': must be " REPORT_FORMAT_NAMES, argument);
	case 'I':
		status = command_seconds("-I", argument, &options->interval);
		options->style.interval = options->interval;
		return status;
	case 'o':
		if (!*argument)
			return command_usage("-o '': no file name");
		options->output = argument;
		return 0;
	case OPTION_APPEND:
		options->append = true;
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
	case OPTION_NO_APPLICATIONS:
		options->open_flags = SOCKTALLY_OPEN_NO_APPLICATIONS;
		return 0;
	case OPTION_BY:
		return group_option(&options->groups, argument);
	case OPTION_KEYS:
		return group_keys_option(&options->groups, argument);
	case OPTION_PORT:
		return port_option(options, argument);
	case OPTION_ALIGN:
		options->align = true;
		return 0;
	case OPTION_LISTEN:
		options->listen.address = argument;
		return 0;
	case OPTION_TLS_CERT:
		options->listen.certificate = argument;
		return 0;
	case OPTION_TLS_KEY:
		options->listen.key = argument;
		return 0;
	case OPTION_PATHS:
		status = number_option("--paths", argument, PATHS_MAX, &number);
		options->paths = (unsigned int)number;
		return status;
	case 'n':
	case OPTION_DEPTH:
	case OPTION_SORT:
	case OPTION_UNITS:
	case OPTION_COLOR:
		return look_option(&options->style, option, argument);
	case OPTION_SERIES:
		status = number_option("--series", argument, SERIES_MAX, &number);
		options->style.series = number;
		return status;
	default:
		return command_usage("unknown option");
	}
}

int command_prepare_meter(const struct report_options *options, struct socktally *meter)
{
	int status = hook_options_add(&options->hooks, meter, options->interval);

	if (!status)
		status = class_options_add(&options->classes, meter);
	return status ? status : group_options_add(&options->groups, meter);
}

static bool is_file(int fd, const char *path)
{
	struct stat a, b;

	return !fstat(fd, &a) && !(strcmp(path, "-") ? stat(path, &b) : fstat(STDIN_FILENO, &b)) &&
	       a.st_dev == b.st_dev && a.st_ino == b.st_ino && S_ISREG(a.st_mode);
}

static int output_failed(const struct report_options *options, struct report_output *output,
			 int descriptor, int error)
{
	report_output_close(output);
	report_output_stream(output, descriptor);
	return command_fail("%s: can't write the report there: %s", options->output,
			    error == -ENXIO ? "nobody reads it: start its reader first"
					    : strerror(-error));
}

int command_output(const struct report_options *options, int descriptor, const char *const *inputs,
		   size_t input_count, bool many, struct report_output *output)
{
	bool total = report_format_is_total(options->style.format);
	enum report_output_mode mode =
		total || (!options->interval && !many) ? REPORT_REPLACE : REPORT_FILL;
	int error;

	if (total && options->append)
		return command_usage(
			"--append: a report in this format has all counts since the beginning");

	if (report_format_is_page(options->style.format)) {
		if (many)
			return command_usage(
				"--format html: a page has one report: not with --each");
		if (options->interval && (!options->output || !strcmp(options->output, "-")))
			return command_usage("--format html: with -I the page grows: give it a "
					     "file with -o");
	}
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	if (!options->output || !strcmp(options->output, "-")) {
		report_output_stream(output, options->output ? STDOUT_FILENO : descriptor);
		return options->append ? command_usage("--append needs -o FILE") : 0;
	}
	error = report_output_open(output, options->output, options->append ? REPORT_APPEND : mode);
	if (error)
		return output_failed(options, output, descriptor, error);
	for (size_t i = 0; i < input_count; i++) {
		if (!is_file(output->fd, inputs[i]))
			continue;
		report_output_close(output);
		return command_fail(
			"%s: is the capture file itself: name another file for the report",
			options->output);
	}
	error = report_output_begin(output);
	return error ? output_failed(options, output, descriptor, error) : 0;
}

int command_output_close(const struct report_options *options, struct report_output *output,
			 int status)
{
	int error = report_output_close(output);

	if (!error || status)
		return status;
	return command_fail("%s: can't finish the report: %s", options->output, strerror(-error));
}

bool command_reloads(const struct report_options *options)
{
	return options->append || options->listen.address;
}

void command_reload(struct report_options *options, struct report_output *output,
		    struct socktally *meter)
{
	int error = report_output_reopen(output);

	if (error)
		command_fail("%s: can't be opened again: %s: reports go on to the file as it was",
			     options->output, strerror(-error));
	class_options_reload(&options->classes, meter);
}

/* A disk that is full or away for a while. */
static bool passes(int error)
{
	return error == -ENOSPC || error == -EDQUOT || error == -EIO || error == -EFBIG ||
	       error == -ESTALE || error == -EROFS;
}

static bool late; /* the last report was not written */

bool command_report_is_late(const struct report_options *options, int error)
{
	bool kept = options->append || report_format_is_total(options->style.format);

	if (!kept || !options->interval || !options->output || !passes(error))
		return false;
	if (!late)
		command_fail(
			"%s: can't be written: %s: what is counted meanwhile comes in one report "
			"when it can be",
			options->output, strerror(-error));
	late = true;
	return true;
}

void command_report_written(const struct report_options *options)
{
	if (late)
		command_note("%s: is written again", options->output);
	late = false;
}

static bool is_stdout(const struct report_options *options)
{
	return !options->output || !strcmp(options->output, "-");
}

int command_report_failed(const struct report_options *options, int error,
			  const struct socktally *meter)
{
	struct socktally_totals totals = {0};

	if (error == -EPIPE && is_stdout(options))
		return command_stdout_failed(EPIPE);
	socktally_snapshot(meter, NULL, NULL, &totals);
	return command_fail("can't write the report to %s: %s; counted so far: %" PRIu64
			    " packets, %" PRIu64 " segments, %" PRIu64 " bytes; accepted %" PRIu64
			    " packets, %" PRIu64 " bytes",
			    is_stdout(options) ? "standard output" : options->output,
			    strerror(error < 0 ? -error : error), totals.counts.packets,
			    totals.counts.segments, totals.counts.bytes,
			    totals.counts.accepted_packets, totals.counts.accepted_bytes);
}
