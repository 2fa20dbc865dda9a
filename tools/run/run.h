/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* `socktally run`: the program that it is to run, and signals. */
#ifndef SOCKTALLY_TOOLS_RUN_RUN_H
#define SOCKTALLY_TOOLS_RUN_RUN_H

#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

/* --- signals.c */

struct run_signals {
	int fd; /* signalfd of all signals */
	sigset_t mask_before;
	struct sigaction child_before; /* SIGCHLD */
	bool stop_requested;           /* a job control signal has come since the last SIGCONT */
};

/* Blocks all signals and opens the signalfd. false, with errno. */
bool run_signals_open(struct run_signals *signals);
/* In the child that becomes the tool: mask and SIGCHLD are as they were. */
void run_signals_restore(const struct run_signals *signals);
/* Passes signals on to the tool; stops us while it is stopped. Returns whether the tool has ended. */
bool run_signals_forward(struct run_signals *signals, pid_t tool);

/* --- program.c */

struct run_program {
	char path[PATH_MAX]; /* "": it was not found */
	const char
		*unloadable; /* "is linked statically": why the library can't be loaded; or NULL */
	const char *secure;  /* "is setuid": the loader ignores LD_PRELOAD for this user; or NULL */
};

/* Looks at the file that execvp() would take. To be called before privileges are dropped. */
void run_program_read(struct run_program *program, const char *tool);
/* The first of a tool's arguments that is a program which the library can't be loaded into; path "": none. */
void run_program_find_inner(struct run_program *program, char *const *words);

/* --- shim.c */

/* The path of libsocktally-preload.so, static storage; NULL after a message. */
const char *run_find_shim(const char *tool);

#endif
