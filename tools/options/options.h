/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Options that all subcommands with a report share. */
#ifndef SOCKTALLY_TOOLS_OPTIONS_OPTIONS_H
#define SOCKTALLY_TOOLS_OPTIONS_OPTIONS_H

#include "tools/common/command.h"
#include "tools/options/classes.h"
#include "tools/options/groups.h"
#include "tools/options/hooks.h"
#include "tools/listen/listen.h"
#include "tools/report/report.h"

/* Options that every reporting subcommand has: --format, -I, -o, --paths, --no-applications, --hook, --class, ... */
struct report_options {
	struct report_style style;
	const char *output;    /* NULL: the subcommand's own stream; "-": standard output */
	bool append;           /* to what is in the file */
	unsigned int interval; /* milliseconds; 0: one report at the end */
	bool align;            /* intervals are those of the clock on the wall */
	unsigned int paths;    /* 0: the default */
	struct socktally_port ports[SOCKTALLY_MAX_PORTS];
	size_t port_count;
	uint32_t open_flags; /* SOCKTALLY_OPEN_NO_APPLICATIONS, or 0 */
	struct hook_options hooks;
	struct listen_options listen; /* where the command has a kernel part */
	struct class_options classes;
	struct group_options groups;
};

/*
 * The shared options in getopt_long's form: COMMAND_SHORT and COMMAND_LONG are to be put into a
 * subcommand's own lists. command_option() takes one of them: 0, or EXIT_USAGE, or EXIT_FAILED, after a message.
 */
#define COMMAND_SHORT "I:o:n:"
enum {
	OPTION_FORMAT = OPTION_HELP + 1,
	OPTION_PATHS,
	OPTION_PORT,
	OPTION_HOOK,
	OPTION_CLASS,
	OPTION_CLASSES,
	OPTION_FIRST,
	OPTION_BY,
	OPTION_KEYS,
	OPTION_APPEND,
	OPTION_SERIES,
	OPTION_DEPTH,
	OPTION_SORT,
	OPTION_UNITS,
	OPTION_COLOR,
	OPTION_NO_APPLICATIONS,
	OPTION_LISTEN,
	OPTION_ALIGN,
	OPTION_TLS_CERT,
	OPTION_TLS_KEY,
	OPTION_OWN
};
#define COMMAND_LONG                                                                               \
	{"format", required_argument, NULL, OPTION_FORMAT},                                        \
		{"interval", required_argument, NULL, 'I'},                                        \
		{"output", required_argument, NULL, 'o'},                                          \
		{"append", no_argument, NULL, OPTION_APPEND},                                      \
		{"series", required_argument, NULL, OPTION_SERIES},                                \
		{"top", required_argument, NULL, 'n'},                                             \
		{"depth", required_argument, NULL, OPTION_DEPTH},                                  \
		{"sort", required_argument, NULL, OPTION_SORT},                                    \
		{"units", required_argument, NULL, OPTION_UNITS},                                  \
		{"color", required_argument, NULL, OPTION_COLOR},                                  \
		{"paths", required_argument, NULL, OPTION_PATHS},                                  \
		{"port", required_argument, NULL, OPTION_PORT},                                    \
		{"no-applications", no_argument, NULL, OPTION_NO_APPLICATIONS},                    \
		{"hook", required_argument, NULL, OPTION_HOOK},                                    \
		{"class", required_argument, NULL, OPTION_CLASS},                                  \
		{"classes", required_argument, NULL, OPTION_CLASSES},                              \
		{"first", no_argument, NULL, OPTION_FIRST},                                        \
		{"by", required_argument, NULL, OPTION_BY},                                        \
		{"keys", required_argument, NULL, OPTION_KEYS},                                    \
	{                                                                                          \
		"help", no_argument, NULL, OPTION_HELP                                             \
	}
/* The same of those with a kernel part. */
#define COMMAND_LIVE_LONG                                                                          \
	{"align", no_argument, NULL, OPTION_ALIGN},                                                \
		{"listen", required_argument, NULL, OPTION_LISTEN},                                \
		{"tls-cert", required_argument, NULL, OPTION_TLS_CERT},                            \
	{                                                                                          \
		"tls-key", required_argument, NULL, OPTION_TLS_KEY                                 \
	}
int command_option(struct report_options *options, int option, const char *argument);
/* --format's argument where there are two: 0, or EXIT_USAGE after a message. */
int command_json_option(const char *argument, bool *json);
/* -n, --depth, --sort, --units, --color: 0, or EXIT_USAGE after a message. */
int look_option(struct report_style *style, int option, const char *argument);
/* A whole number from 1 to max: 0, or EXIT_USAGE after a message. */
int number_option(const char *option, const char *argument, unsigned long max,
		  unsigned long *result);
/* --port's argument, "udp/8473=vxlan" or several with commas between: 0, or EXIT_USAGE after a message. */
int port_option(struct report_options *options, const char *argument);
/*
 * Puts the hooks and classes that are asked for on the meter, before it has sockets: 0, or an exit status
 * after a message.
 */
int command_prepare_meter(const struct report_options *options, struct socktally *meter);
/*
 * What --help says of the shared options: the last lines of a subcommand's own text, and before them,
 * where there is a kernel part, those of --hook.
 */
extern const char command_option_help[], command_live_help[];

/*
 * Opens the output of -o, or takes the descriptor given. inputs: files that must not be overwritten, "-"
 * is standard input. many: several reports are written even without -I. Returns 0, or EXIT_FAILED
 * after a message; the output is the descriptor then. From then on SIGPIPE and SIGXFSZ are ignored: a
 * write to a closed pipe or beyond the limit of a file's size fails. A child that is to run something
 * else sets them back to SIG_DFL.
 */
int command_output(const struct report_options *options, int descriptor, const char *const *inputs,
		   size_t input_count, bool many, struct report_output *output);
/* After the last report: returns the status, or EXIT_FAILED after a message. */
int command_output_close(const struct report_options *options, struct report_output *output,
			 int status);
/* Whether SIGHUP is for command_reload(), and does not end the command. */
bool command_reloads(const struct report_options *options);
/* On SIGHUP: the output was renamed, and reports go to a new one; files of classes are read anew. */
void command_reload(struct report_options *options, struct report_output *output,
		    struct socktally *meter);

/*
 * Whether a report of an interval that could not be written may come later: then the next one has its counts, too, and
 * the user is told once. Else command_report_failed() is to be called.
 */
bool command_report_is_late(const struct report_options *options, int error);
/* A report was written: says so after one that was late. */
void command_report_written(const struct report_options *options);

/* Says where a report could not be written and why, and the totals, so that they are not lost. */
int command_report_failed(const struct report_options *options, int error,
			  const struct socktally *meter);

#endif
