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
int command_attach(int argc, char **argv);
int command_detach(int argc, char **argv);
int command_broker(int argc, char **argv); /* without arguments it is started by the shim */
int command_broker_service(int argc, char **argv);

/* Long options have numbers from here on, so that none is a letter. */
enum { OPTION_LONG = 1000 };

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
/* The same for what is no failure. */
void command_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* To stdout, all of it or a message: returns 0 or EXIT_FAILED. */
int command_print(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The same with what was written to an open_memstream(): it is closed, and its text freed. */
int command_print_memory(FILE *out, char **text);

/*
 * Before a meter is opened: locked memory was what BPF maps were charged to before Linux 5.11. The
 * limit is our own.
 */
void command_lift_memlock(void);

/* socktally_open() has failed: says why, and what it takes; the text is that for -EPERM. */
int command_open_failed(int error);
extern const char command_not_permitted[];

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
