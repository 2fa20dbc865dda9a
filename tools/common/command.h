/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* What the subcommands of socktally share. */
#ifndef SOCKTALLY_TOOLS_COMMON_COMMAND_H
#define SOCKTALLY_TOOLS_COMMON_COMMAND_H

#include <socktally/socktally.h>
#include <stdbool.h>
#include <stdio.h>

enum { EXIT_FAILED = 1, EXIT_USAGE = 2 };

/* One subcommand a file. argv[0] is its name; returns the exit status. */
int command_run(int argc, char **argv);
int command_watch(int argc, char **argv);
int command_read(int argc, char **argv);
int command_list(int argc, char **argv);
int command_features(int argc, char **argv);
int command_fields(int argc, char **argv);
int command_attach(int argc, char **argv);
int command_detach(int argc, char **argv);
int command_diff(int argc, char **argv);
int command_broker(int argc, char **argv); /* without arguments it is started by the shim */
int command_broker_service(int argc, char **argv);

/* Long options have numbers from here on, so that none is a letter. */
enum { OPTION_LONG = 1000, OPTION_HELP };

/*
 * getopt_long() for a list of short options that begins with ':'. It knows -h, and returns '?' for a
 * second value of an option that takes one. --hook, --class, --classes and
 * --port may be repeated.
 */
struct option;
int command_getopt(int argc, char **argv, const char *short_options, const struct option *options);

/* For '?' and ':' of command_getopt(): says what is wrong with the argument just read; EXIT_USAGE. */
int command_bad_option(int result, char **argv);

/* SECONDS with a fraction, as milliseconds: 0, or EXIT_USAGE after a message that names it `what`. */
int command_seconds(const char *what, const char *argument, unsigned int *milliseconds);

/* Names the subcommand in hints. */
void command_name(const char *name);

/* "socktally: " and the text and a newline, to stderr; returns EXIT_FAILED or EXIT_USAGE. */
int command_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
int command_usage(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same for what is no failure. */
void command_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* To stdout, all of it or a message: returns 0 or EXIT_FAILED. */
int command_print(const char *format, ...) __attribute__((format(printf, 1, 2)));

/*
 * What to do where standard output can't be written to, with the errno value: says so, but for EPIPE.
 * Returns EXIT_FAILED. command_end() then ends the command by SIGPIPE, as if it had not been ignored.
 */
int command_stdout_failed(int error);
int command_end(int status);

/* Prints the text of an open_memstream(), closes it and frees the text. */
int command_print_memory(FILE *out, char **text);

/*
 * To be called before a meter is opened. Before Linux 5.11 BPF maps were charged to locked memory. Only the
 * limit of this process changes.
 */
void command_lift_memlock(void);

/* Says why socktally_open() failed and what it needs. The text is the one for -EPERM. */
int command_open_failed(int error);
extern const char command_not_permitted[];

/*
 * Drops all capabilities that opening and reading meters does not need, but for those in `which`.
 * COMMAND_KEEP_SIGNALS: CAP_KILL. COMMAND_KEEP_USER: the user stays the same. COMMAND_ONLY_CHECK: only
 * CAP_SYS_ADMIN and CAP_SYS_PTRACE stay, to see which programs and namespaces there are. COMMAND_ONLY_WATCH:
 * also what it takes to see other users' descriptors. COMMAND_ONLY_READ: only what it takes to read other
 * users' files, and to see their processes. COMMAND_ONLY_NOTHING: none. Returns false, with errno, if that
 * failed.
 */
#define COMMAND_KEEP_SIGNALS 0x1u
#define COMMAND_KEEP_USER 0x2u
#define COMMAND_ONLY_CHECK 0x4u
#define COMMAND_ONLY_WATCH 0x8u
#define COMMAND_ONLY_NOTHING 0x10u
#define COMMAND_ONLY_READ 0x20u
bool command_drop_privileges(unsigned int which);

#endif
