/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* What stops a subcommand that counts until it is told to. Both return a descriptor, or -1. */
#ifndef SOCKTALLY_TOOLS_COMMON_STOP_H
#define SOCKTALLY_TOOLS_COMMON_STOP_H

/*
 * A signalfd of SIGINT, SIGTERM, SIGHUP and SIGQUIT, which are blocked from here on. One that is ignored
 * (nohup does so with SIGHUP) stays ignored; SIGINT never is.
 */
int stop_signals(void);
/* A timerfd, readable after so many milliseconds. */
int stop_timer(unsigned int milliseconds);

#endif
