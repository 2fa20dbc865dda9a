// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* socktally read: counts the packets of capture files. */
#include "tools/read/read.h"
#include "tools/common/stop.h"

#include <getopt.h>
#include <stdlib.h>
#include <unistd.h>

static const char help[] =
	"socktally read [OPTIONS] FILE|- ...\n"
	"\n"
	"Counts the packets of pcap and pcapng files by their protocols: of several,\n"
	"their sum. They may be compressed with gzip, zstd, xz, bzip2 or lz4; - is\n"
	"standard input. Ctrl-C ends it with the report of what was read.\n"
	"\n"
	"  -f, --filter FILTER     count also what this pcap-filter(7) accepts of all\n"
	"      --each              a report for each file, not for all\n"
	"      --packets           a line for each packet instead: number, length, path\n"
	"      --flows             a line for each flow instead: ends, what it is, counts\n"
	"%s"
	"\n"
	"SECONDS are of the packets' own time.\n";

enum { OPTION_PACKETS = OPTION_OWN, OPTION_FLOWS, OPTION_EACH };

/* Of all files, or of one. */
static int read_once(struct read_session *session)
{
	const struct read_options *options = session->options;
	int status = options->packets ? read_list_packets(session)
		     : options->flows ? read_list_flows(session)
				      : read_count(session);

	read_say_fault(session);
	socktally_close(session->meter);
	session->meter = NULL;
	session->source = (struct read_source){.files = session->source.files};
	return status;
}

/* A file is open before anything is written: where there is none, so is no report. */
static int read_all(struct read_session *session)
{
	const struct read_options *options = session->options;
	int status;

	if (!read_next_file(session))
		return EXIT_FAILED;
	status =
		command_output(&options->report, STDOUT_FILENO, options->paths, options->path_count,
			       options->packets || options->flows || options->each,
			       &session->output);
	if (status)
		return status;
	session->progress = read_progress_open(session);
	do
		status = read_once(session);
	while (!status && read_next_file(session));
	read_progress_free(session->progress);
	status = command_output_close(&options->report, &session->output, status);
	return !status && session->failed ? EXIT_FAILED : status;
}

static int read_files(const struct read_options *options)
{
	struct read_session session = {.options = options, .stop = -1};
	int status = EXIT_FAILED;

	session.source.files = calloc(options->path_count, sizeof(*session.source.files));
	if (options->filter)
		session.filter = read_filter_open(options->filter);
	if (!options->packets)
		session.stop = stop_signals(0);
	if (!session.source.files || (options->filter && !session.filter))
		command_fail("out of memory");
	else
		status = read_all(&session);
	if (session.stop >= 0)
		close(session.stop);
	read_filter_free(session.filter);
	free(session.source.files);
	read_close_file(&session);
	return status;
}

static int check(const struct read_options *options)
{
	if (!options->path_count)
		return command_usage("no capture file given");
	for (size_t i = 0; i < options->path_count; i++)
		if (!*options->paths[i])
			return command_usage("'': no file name");
	if (options->packets && options->report.style.format != REPORT_TEXT)
		return command_usage("--packets writes plain lines: not with --format");
	if (options->flows && options->report.style.format != REPORT_TEXT &&
	    options->report.style.format != REPORT_JSON)
		return command_usage("--flows writes plain lines or JSON: not this --format");
	if (options->flows && (options->packets || options->report.classes.count))
		return command_usage("--flows lists flows: not with --packets or --class");
	if (options->flows && options->report.interval)
		return command_usage("--flows lists flows: not with -I");
	if ((options->packets || options->flows) && options->report.groups.count)
		return command_usage("--by counts: not with --packets or --flows");
	if (options->packets && options->report.classes.count)
		return command_usage("--packets lists every packet: not with --class");
	if (options->packets && options->report.interval)
		return command_usage("--packets lists every packet: not with -I");
	if (options->report.hooks.count)
		return command_usage("--hook: a hook runs in the kernel, on the packets of a "
				     "socket: not with a file");
	return 0;
}

int command_read(int argc, char **argv)
{
	static const struct option long_options[] = {
		COMMAND_LONG,
		{"filter", required_argument, NULL, 'f'},
		{"each", no_argument, NULL, OPTION_EACH},
		{"packets", no_argument, NULL, OPTION_PACKETS},
		{"flows", no_argument, NULL, OPTION_FLOWS},
		{0},
	};
	/* static: what it points to lasts as long as the process */
	static struct read_options options;
	int option, status = 0;

	while ((option = command_getopt(argc, argv, ":f:" COMMAND_SHORT, long_options)) != -1) {
		switch (option) {
		case OPTION_HELP:
			return command_print(help, command_option_help);
		case 'f':
			options.filter = optarg;
			break;
		case OPTION_EACH:
			options.each = true;
			break;
		case OPTION_PACKETS:
			options.packets = true;
			break;
		case OPTION_FLOWS:
			options.flows = true;
			break;
		case '?':
		case ':':
			return command_bad_option(option, argv);
		default:
			status = command_option(&options.report, option, optarg);
		}
		if (status)
			return status;
	}
	options.paths = (const char *const *)argv + optind;
	options.path_count = (size_t)(argc - optind);
	status = check(&options);
	return status ? status : read_files(&options);
}
