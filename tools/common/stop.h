/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* What stops a subcommand that counts until it is told to. Both return a descriptor, or -1. */
#ifndef SOCKTALLY_TOOLS_COMMON_STOP_H
#define SOCKTALLY_TOOLS_COMMON_STOP_H

#include <stdbool.h>

/*
 * A signalfd of SIGINT, SIGTERM, SIGHUP and SIGQUIT, which are blocked from here on. One that is ignored
 * (nohup does so with SIGHUP) stays ignored; SIGINT never is.
 */
#define STOP_TAKES_REPORT 0x1u /* SIGUSR1, too: a report now */
#define STOP_TAKES_REOPEN 0x2u /* SIGHUP does not stop, but opens the file of the reports anew */
int stop_signals(unsigned int more);

/* What a signal that has come asks for; `more` as above. */
enum stop_event { STOP_NOTHING, STOP_END, STOP_REPORT, STOP_REOPEN };
enum stop_event stop_read(int signals, unsigned int more);

/* The signals do again what they do by themselves: the next one ends the process. */
void stop_forget(int signals);

/* A timerfd, readable after so many milliseconds. */
int stop_timer(unsigned int milliseconds);

/* A timerfd, readable at each whole multiple of so many milliseconds of the time of day (UTC). */
int stop_clock(unsigned int milliseconds);
/* To be called when it is readable: whether it is time, and not the clock that was set. */
bool stop_clock_read(int clock, unsigned int milliseconds);

#endif
