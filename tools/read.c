// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* socktally read: counts the packets of a capture file. */
#include "tools/read.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATHS_DEFAULT 32768 /* a file of any kind fits; it costs a few megabytes */

static const char help[] =
	"socktally read [OPTIONS] FILE|-\n"
	"\n"
	"Counts the packets of a pcap or pcapng file by their protocols. It may be\n"
	"compressed with gzip, zstd, xz, bzip2 or lz4; - is standard input.\n"
	"\n"
	"      --packets           a line for each packet instead: number, length, path\n"
	"      --flows             a line for each flow instead: ends, what it is, counts\n"
	"%s"
	"\n"
	"SECONDS are of the packets' own time.\n";

enum { OPTION_PACKETS = OPTION_OWN, OPTION_FLOWS };

/* The short name of a link type: the outermost layer that the classifier gives such packets. */
static void linktype_name(uint32_t linktype, char *name, size_t size)
{
	static const uint8_t zeros[64];
	struct socktally_path path;

	socktally_classify(linktype, zeros, sizeof(zeros), &path);
	/* a type that is only named takes three */
	if (path.layer_count > 1 && path.layers[0] != SOCKTALLY_DLT)
		path.layer_count = 1;
	socktally_path_text(path.layers, path.layer_count, name, size);
}

/* "eth,raw": each name once. */
static void linktype_names(const struct capture_file *file, char *names, size_t size)
{
	uint32_t linktypes[16];
	size_t count = capture_file_linktypes(file, linktypes, 16), used = 0;

	*names = 0;
	for (size_t i = 0; i < count; i++) {
		char name[SOCKTALLY_PATH_TEXT_MAX];
		bool known = false;

		linktype_name(linktypes[i], name, sizeof(name));
		for (size_t before = 0; before < i && !known; before++) {
			char other[SOCKTALLY_PATH_TEXT_MAX];

			linktype_name(linktypes[before], other, sizeof(other));
			known = !strcmp(name, other);
		}
		if (known || used + strlen(name) + 2 > size)
			continue;
		used += (size_t)snprintf(names + used, size - used, "%s%s", used ? "," : "", name);
	}
}

/* last: with what the file says about itself, which is of all of it. */
static int report_now(struct read_session *session, bool last)
{
	struct capture_statistics statistics;
	char linktypes[256];
	struct report_source source = {
		.kind = "file",
		.interface = capture_file_interfaces(session->file),
		.linktype = linktypes,
		.file = session->options->path,
		.statistics = last ? &statistics : NULL,
	};
	int error;

	capture_file_statistics(session->file, &statistics);
	linktype_names(session->file, linktypes, sizeof(linktypes));
	error = report_write_span(session->report, session->meter, &source, &session->start,
				  &session->end);
	if (error)
		return command_report_failed(&session->options->report, error, session->meter);
	return 0;
}

static void note_time(struct read_session *session, const struct capture_time *time)
{
	struct timespec now;

	if (!capture_timespec(time, &now))
		return;
	if (!session->timed)
		session->start = now;
	session->end = now;
	session->timed = true;
}

/*
 * A packet at or past the interval's end is the first of the next one. Times in which there was no
 * packet get no report: a wrong time in the file could make any number of them.
 */
static int note_interval(struct read_session *session, const struct capture_time *time)
{
	const unsigned int interval = session->options->report.interval;
	struct timespec now;
	int status = 0;

	if (!capture_timespec(time, &now))
		return 0;
	if (session->timed) {
		double passed = (double)(now.tv_sec - session->start.tv_sec) * 1000 +
				(double)(now.tv_nsec - session->start.tv_nsec) / 1e6;

		if (passed >= interval) {
			status = report_now(session, false);
			session->timed = false;
		}
	}
	note_time(session, time);
	return status;
}

/* Notes the time of the first packet, if it is not known yet, and of the last one. */
static void note_times(struct read_session *session, const struct capture_packet *packets,
		       int count, struct capture_time *last)
{
	for (int i = 0; i < count && !session->timed; i++)
		note_time(session, &packets[i].time);
	while (count && !packets[count - 1].time.units)
		count--;
	if (count)
		*last = packets[count - 1].time;
}

static int count_batch(struct read_session *session, const struct capture_packet *packets,
		       int count)
{
	struct st_batch_packet batch[ST_BATCH];

	read_batch(session, packets, (size_t)count, batch);
	if (st_count_batch(session->meter, batch, (size_t)count))
		return command_fail("%s", socktally_error(session->meter));
	return 0;
}

/* EXIT_FAILED also where the file is corrupt from some place on; packets before it are counted. */
static int count_packets(struct read_session *session)
{
	const bool intervals = session->options->report.interval;
	struct capture_packet packets[ST_BATCH];
	struct capture_time last = {0};
	int count, status = 0;

	/* With intervals, each packet may be the first one of the next. */
	while ((count = capture_file_batch(session->file, packets, intervals ? 1 : ST_BATCH)) > 0) {
		if (intervals)
			status = note_interval(session, &packets->time);
		note_times(session, packets, count, &last);
		if (!status)
			status = count_batch(session, packets, count);
		if (status)
			return status;
	}
	note_time(session, &last);
	status = report_now(session, true);
	if (!status && count < 0)
		status = command_fail("%s", capture_file_message(session->file));
	return status;
}

static int count_file(struct read_session *session)
{
	const struct report_options *options = &session->options->report;
	int status = EXIT_FAILED,
	    error = read_open_meter(session, options->paths ? options->paths : PATHS_DEFAULT);

	if (!error)
		error = report_open(&session->report, &session->output, &options->style);
	if (error)
		status = command_fail("can't start counting: %s", strerror(-error));
	else
		status = class_options_add(&options->classes, session->meter);
	if (!error && !status)
		status = count_packets(session);
	report_close(session->report);
	return status;
}

static int read_file(const struct read_options *options)
{
	struct read_session session = {.options = options};
	char message[CAPTURE_MESSAGE_MAX];
	int status;

	session.file = capture_file_open(options->path, message);
	if (!session.file)
		return command_fail("%s", message);
	status = command_output(&options->report, STDOUT_FILENO,
				capture_file_descriptor(session.file),
				options->packets || options->flows, &session.output);
	if (!status) {
		status = options->packets ? read_list_packets(&session)
			 : options->flows ? read_list_flows(&session)
					  : count_file(&session);
		status = command_output_close(&options->report, &session.output, status);
	}
	socktally_close(session.meter);
	capture_file_close(session.file);
	return status;
}

static int check(const struct read_options *options, int argc, char **argv)
{
	if (optind == argc || !*argv[optind])
		return command_usage("no capture file given");
	if (optind + 1 < argc)
		return command_usage("one capture file at a time: '%s' is too much",
				     argv[optind + 1]);
	if (options->packets && options->report.style.format != REPORT_TEXT)
		return command_usage("--packets writes plain lines: not with --format");
	if (options->flows && options->report.style.format != REPORT_TEXT &&
	    options->report.style.format != REPORT_JSON)
		return command_usage("--flows writes plain lines or JSON: not this --format");
	if (options->flows && (options->packets || options->report.classes.count))
		return command_usage("--flows lists flows: not with --packets or --class");
	if (options->flows && options->report.interval)
		return command_usage("--flows lists flows: not with -I");
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
		{"packets", no_argument, NULL, OPTION_PACKETS},
		{"flows", no_argument, NULL, OPTION_FLOWS},
		{0},
	};
	/* static: what it points to lasts as long as the process */
	static struct read_options options;
	int option, status = 0;

	while ((option = command_getopt(argc, argv, ":" COMMAND_SHORT, long_options)) != -1) {
		switch (option) {
		case OPTION_HELP:
			return command_print(help, command_option_help);
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
	status = check(&options, argc, argv);
	if (status)
		return status;
	options.path = argv[optind];
	return read_file(&options);
}
