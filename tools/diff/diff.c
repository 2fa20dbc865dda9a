// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* socktally diff: what two reports or captures have that the other has not. */
#include "tools/capture/input.h"
#include "tools/diff/compare.h"
#include "tools/options/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATHS_DEFAULT 32768 /* as `read` */

/* Exit status, as that of diff(1). */
enum { EXIT_EQUAL = 0, EXIT_DIFFERENT = 1, EXIT_TROUBLE = 2 };

static const char help[] =
	"socktally diff [OPTIONS] A B...\n"
	"socktally diff [OPTIONS] A... --to B...\n"
	"\n"
	"Compares two sides by path, application, class and group: JSON reports, whose\n"
	"lines are added up, and capture files. Several files of a side are one sum;\n"
	"- is standard input. Of a report the packets that the filter accepted are taken\n"
	"where the other side is a capture.\n"
	"Exit status: 0 equal, 1 different, 2 trouble.\n"
	"\n"
	"      --to                what follows is B\n"
	"  -o, --output FILE       write there; -: to standard output\n"
	"      --format FORMAT     text (default), json or csv\n"
	"      --paths N           room for N different paths, 1 to 32768\n"
	"      --port udp/N=TUNNEL this UDP port is vxlan, geneve, gtp, ...\n"
	"      --no-applications   paths in captures end at tcp, udp\n"
	"      --class NAME=EXPRESSION   count this in captures; else a report's classes\n"
	"      --classes FILE      the same with one a line\n"
	"      --first             count each packet in the first such class only\n"
	"  -h, --help              this text\n";

enum { OPTION_TO = OPTION_OWN };

/* A capture file waits until the reports have been read: they may name classes to count in it. */
struct pending {
	struct capture_file *file;
	struct diff_side *side;
};

struct diff_session {
	struct report_options options;
	struct diff diff;
	struct pending *pending;
	size_t pending_count;
	bool broken; /* a capture file is cut short: said */
};

static int trouble(int status)
{
	return status ? EXIT_TROUBLE : 0;
}

/* The first byte tells a report from a capture. */
static int open_file(struct diff_session *session, struct diff_side *side, const char *path)
{
	char message[CAPTURE_MESSAGE_MAX];
	struct capture_input input;
	struct capture_file *file;

	if (!capture_input_of(&input, path, -1, message))
		return command_fail("%s", message);
	if (capture_input_need(&input, 1) && *capture_input_data(&input) == '{')
		return saved_reports_read(&side->counts, &input,
					  strcmp(path, "-") ? path : "standard input", message)
			       ? command_fail("%s", message)
			       : 0;
	file = capture_file_of(&input, path, message);
	if (!file)
		return command_fail("%s", message);
	session->pending[session->pending_count++] = (struct pending){file, side};
	return 0;
}

/* The classes of the reports, where none are given. */
static int take_classes(struct class_options *classes, const struct saved_side *side)
{
	for (size_t i = 0; i < side->class_count; i++) {
		const struct saved_class *class = &side->class[i];
		char *argument;
		int status;

		/* the row of packets in no class */
		if (!strcmp(class->name, "none") && !*class->expression) {
			classes->first = true;
			continue;
		}
		if (asprintf(&argument, "%s=%s", class->name, class->expression) < 0)
			return command_fail("out of memory");
		status = class_option(classes, argument);
		if (status)
			return status;
	}
	return 0;
}

static int prepare_classes(struct diff_session *session)
{
	const struct saved_side *a = &session->diff.a.counts, *b = &session->diff.b.counts;

	if (session->options.classes.count)
		return 0;
	return take_classes(&session->options.classes, a->class_count ? a : b);
}

static int open_meter(const struct diff_session *session, struct socktally **meter)
{
	const struct report_options *options = &session->options;
	struct socktally_open_opts opts = {
		.sz = sizeof(opts),
		.paths = options->paths ? options->paths : PATHS_DEFAULT,
		.ports = options->ports,
		.port_count = options->port_count,
		.flags = SOCKTALLY_OPEN_USERSPACE | options->open_flags,
	};

	if (socktally_open(meter, &opts))
		return command_fail("%s", socktally_error(NULL));
	return class_options_add(&options->classes, *meter);
}

/* All captures of a side on one meter. */
static int count_side(struct diff_session *session, struct diff_side *side)
{
	struct socktally *meter = NULL;
	struct timespec last = {0};
	int status = 0;

	for (size_t i = 0; i < session->pending_count && !status; i++) {
		struct capture_file *file = session->pending[i].file;

		if (session->pending[i].side != side)
			continue;
		if (!meter)
			status = open_meter(session, &meter);
		if (status)
			break;
		switch (saved_capture_count(&side->counts, file, meter, &last)) {
		case 0:
			break;
		case -1:
			command_fail("%s", capture_file_message(file));
			session->broken = true;
			break;
		default:
			status = command_fail("%s", socktally_error(meter));
		}
	}
	if (meter && !status && saved_meter_add(&side->counts, meter))
		status = command_fail("out of memory");
	socktally_close(meter);
	return status;
}

static int write_out(struct diff_session *session)
{
	struct report_output output;
	char *text = NULL;
	size_t size = 0;
	FILE *out;
	int error,
		status = command_output(&session->options, STDOUT_FILENO, NULL, 0, false, &output);

	if (status)
		return status;
	out = open_memstream(&text, &size);
	if (out) {
		if (session->options.style.format == REPORT_JSON)
			diff_json(out, &session->diff);
		else if (session->options.style.format == REPORT_CSV)
			diff_csv(out, &session->diff);
		else
			diff_text(out, &session->diff);
	}
	if (!out || (ferror(out) | fclose(out))) {
		free(text);
		status = command_fail("out of memory");
	} else {
		error = report_output_write(&output, text, size);
		if (error == -EPIPE && !output.path)
			status = command_stdout_failed(EPIPE);
		else if (error)
			status = command_fail("can't write: %s", strerror(-error));
	}
	return command_output_close(&session->options, &output, status);
}

static int compare(struct diff_session *session)
{
	struct diff *diff = &session->diff;
	int status = 0;

	session->pending =
		calloc(diff->a.file_count + diff->b.file_count, sizeof(*session->pending));
	if (!session->pending)
		return command_fail("out of memory");
	for (size_t i = 0; i < diff->a.file_count && !status; i++)
		status = open_file(session, &diff->a, diff->a.files[i]);
	for (size_t i = 0; i < diff->b.file_count && !status; i++)
		status = open_file(session, &diff->b, diff->b.files[i]);
	if (!status)
		status = prepare_classes(session);
	if (!status)
		status = count_side(session, &diff->a);
	if (!status)
		status = count_side(session, &diff->b);
	if (!status && diff_compare(diff))
		status = command_fail("out of memory");
	return status ? status : write_out(session);
}

/* Whether the output would take the place of what is compared. */
static bool is_output(const struct report_options *options, const char *path)
{
	struct stat input, output;

	return options->output && !stat(options->output, &output) && !stat(path, &input) &&
	       S_ISREG(input.st_mode) && input.st_dev == output.st_dev &&
	       input.st_ino == output.st_ino;
}

/* optind: the first operand; to: how many are A's, -1: one. */
static int take_operands(struct diff_session *session, int argc, char **argv, int to)
{
	struct diff *diff = &session->diff;
	int count = argc - optind, of_a = to >= 0 ? to : 1, streams = 0;

	if (!count)
		return command_usage("nothing to compare: name two reports or capture files");
	if (of_a < 1 || of_a >= count)
		return command_usage("only one side to compare: name two, A and B");
	for (int i = optind; i < argc; i++) {
		if (!*argv[i])
			return command_usage("'': no file name");
		if (is_output(&session->options, argv[i]))
			return command_fail("%s: is to be compared: name another file for -o",
					    argv[i]);
		streams += !strcmp(argv[i], "-");
	}
	if (streams > 1)
		return command_usage("- is given twice: standard input can be read once");
	diff->a.files = (const char *const *)argv + optind;
	diff->a.file_count = (size_t)of_a;
	diff->b.files = diff->a.files + of_a;
	diff->b.file_count = (size_t)(count - of_a);
	return 0;
}

static int check(const struct report_options *options)
{
	if (options->interval)
		return command_usage("diff compares sums: not with -I");
	if (options->hooks.count)
		return command_usage("--hook: a hook runs in the kernel, on the packets of a "
				     "socket: not with files");
	if (options->style.format != REPORT_TEXT && options->style.format != REPORT_JSON &&
	    options->style.format != REPORT_CSV)
		return command_usage("--format: diff writes text, json or csv");
	if (options->append)
		return command_usage("diff writes one comparison: not with --append");
	return 0;
}

/*
 * Options may stand among the operands, which then are moved to the end: how many of them stood before --to is
 * counted first. An operand after "--" may be "--to" itself.
 */
static int operands_before_to(int argc, char **argv, int (*next)(int argc, char **argv))
{
	int count = 0, result;

	while ((result = next(argc, argv)) != -1) {
		if (result == OPTION_TO)
			return count;
		count += result == 1;
	}
	return -1;
}

static const struct option long_options[] = {
	COMMAND_LONG,
	{"to", no_argument, NULL, OPTION_TO},
	{0},
};

/* In the order of the command line: an operand is 1. */
static int next_in_order(int argc, char **argv)
{
	opterr = 0;
	return getopt_long(argc, argv, "-:" COMMAND_SHORT "h", long_options, NULL);
}

int command_diff(int argc, char **argv)
{
	/* static: what it points to lasts as long as the process */
	static struct diff_session session;
	int option, status = 0, to = operands_before_to(argc, argv, next_in_order);

	optind = 0; /* begins anew, with a new order */
	while ((option = command_getopt(argc, argv, ":" COMMAND_SHORT, long_options)) != -1) {
		switch (option) {
		case OPTION_HELP:
			return trouble(command_print("%s", help));
		case OPTION_TO:
			break;
		case '?':
		case ':':
			return command_bad_option(option, argv);
		default:
			status = command_option(&session.options, option, optarg);
		}
		if (status)
			return EXIT_TROUBLE;
	}
	status = check(&session.options);
	if (!status)
		status = take_operands(&session, argc, argv, to);
	if (!status)
		status = compare(&session);
	for (size_t i = 0; i < session.pending_count; i++)
		capture_file_close(session.pending[i].file);
	free(session.pending);
	if (status || session.broken)
		status = EXIT_TROUBLE;
	else
		status = session.diff.equal ? EXIT_EQUAL : EXIT_DIFFERENT;
	diff_free(&session.diff);
	return status;
}
