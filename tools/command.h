/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* What the subcommands of socktally share. */
#ifndef SOCKTALLY_TOOLS_COMMAND_H
#define SOCKTALLY_TOOLS_COMMAND_H

#include "tools/options/classes.h"
#include "tools/options/hooks.h"
#include "tools/report/report.h"

enum { EXIT_FAILED = 1, EXIT_USAGE = 2 };

/* One subcommand a file. argv[0] is its name; returns the exit status. */
int command_run(int argc, char **argv);
int command_watch(int argc, char **argv);
int command_read(int argc, char **argv);
int command_list(int argc, char **argv);
int command_features(int argc, char **argv);
int command_attach(int argc, char **argv);
int command_detach(int argc, char **argv);
int command_broker(int argc, char **argv); /* without arguments it is started by the shim */
int command_broker_service(int argc, char **argv);

/* Options that every reporting subcommand has: --format, -I, -o, --paths, --hook, --class. */
struct report_options {
	enum report_format format;
	const char *output;    /* NULL: the subcommand's own stream */
	unsigned int interval; /* milliseconds; 0: one report at the end */
	unsigned int paths;    /* 0: the default */
	struct hook_options hooks;
	struct class_options classes;
};

/*
 * The shared options in getopt_long's form: COMMAND_SHORT and COMMAND_LONG are to be put into a
 * subcommand's own lists. command_option() takes one of them: 0, or EXIT_USAGE, or EXIT_FAILED, after a message.
 */
#define COMMAND_SHORT "I:o:"
enum {
	OPTION_FORMAT = 1000,
	OPTION_PATHS,
	OPTION_HOOK,
	OPTION_CLASS,
	OPTION_CLASSES,
	OPTION_FIRST,
	OPTION_HELP,
	OPTION_OWN
};
#define COMMAND_LONG                                                                               \
	{"format", required_argument, NULL, OPTION_FORMAT},                                        \
		{"interval", required_argument, NULL, 'I'},                                        \
		{"output", required_argument, NULL, 'o'},                                          \
		{"paths", required_argument, NULL, OPTION_PATHS},                                  \
		{"hook", required_argument, NULL, OPTION_HOOK},                                    \
		{"class", required_argument, NULL, OPTION_CLASS},                                  \
		{"classes", required_argument, NULL, OPTION_CLASSES},                              \
		{"first", no_argument, NULL, OPTION_FIRST},                                        \
	{                                                                                          \
		"help", no_argument, NULL, OPTION_HELP                                             \
	}
int command_option(struct report_options *options, int option, const char *argument);
/*
 * Puts the hooks and classes that are asked for on the meter, before it has sockets: 0, or EXIT_FAILED
 * after a message.
 */
int command_prepare_meter(const struct report_options *options, struct socktally *meter);
/*
 * What --help says of the shared options: the last lines of a subcommand's own text, and before them,
 * where there is a kernel part, those of --hook.
 */
extern const char command_option_help[], command_hook_help[];

/*
 * For getopt_long()'s '?' and ':' (the subcommand has set opterr = 0 and starts its list with ':'):
 * says what is wrong with the argument just read; returns EXIT_USAGE.
 */
int command_bad_option(int result, char **argv);

/* SECONDS with a fraction, as milliseconds: 0, or EXIT_USAGE after a message that names it `what`. */
int command_seconds(const char *what, const char *argument, unsigned int *milliseconds);

/* Names the subcommand in hints. */
void command_name(const char *name);

/* "socktally: " and the text and a newline, to stderr; returns EXIT_FAILED or EXIT_USAGE. */
int command_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
int command_usage(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* To stdout, all of it or a message: returns 0 or EXIT_FAILED. */
int command_print(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The same with what was written to an open_memstream(): it is closed, and its text freed. */
int command_print_memory(FILE *out, char **text);

/*
 * Where the report goes: options->output, emptied or made, or without one the descriptor given.
 * input: the descriptor of a file that must not be overwritten, or -1. Returns a descriptor, or -1
 * after a message. From then on SIGPIPE and SIGXFSZ are ignored, and a write to a closed pipe or beyond
 * the limit of a file's size fails; a child that is to run something else sets them back to SIG_DFL.
 */
int command_output(const struct report_options *options, int descriptor, int input);

/*
 * Before a meter is opened: locked memory was what BPF maps were charged to before Linux 5.11. The
 * limit is our own.
 */
void command_lift_memlock(void);

/* socktally_open() has failed: says why, and what it takes; the text is that for -EPERM. */
int command_open_failed(int error);
extern const char command_not_permitted[];

/* A report could not be written: says where, why and, so that they aren't lost, the totals. */
int command_report_failed(const struct report_options *options, int error,
			  const struct socktally *meter);

/*
 * Gives up all privileges that making and reading meters doesn't take, for ever, but for those in which:
 * to send signals to other users' processes, and to remain the user one is; or all but what it takes to
 * see which programs there are. False, with errno: the kernel wouldn't have it.
 */
#define COMMAND_KEEP_SIGNALS 0x1u
#define COMMAND_KEEP_USER 0x2u
#define COMMAND_ONLY_ADMIN 0x4u
bool command_drop_privileges(unsigned int which);

#endif
