/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The service manager, where one has started us: the protocol of sd_notify(3), which is a line of text on a
 * socket, and that of its journal, sd-daemon(3). Without one all of it does nothing.
 */
#ifndef SOCKTALLY_TOOLS_COMMON_SUPERVISOR_H
#define SOCKTALLY_TOOLS_COMMON_SUPERVISOR_H

/* Counting has begun; it ends. */
void supervisor_ready(void);
void supervisor_stopping(void);
/* What `systemctl status` shows. */
void supervisor_status(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* For loops that wait: at most so many milliseconds, -1 for ever, or less so that supervisor_alive() is in time. */
int supervisor_wait(int milliseconds);
/* Tells the watchdog that we are alive, if it is time. */
void supervisor_alive(void);

/* Whether standard error goes to the journal, where a line may begin with its severity. */
int supervisor_has_journal(void);

#endif
