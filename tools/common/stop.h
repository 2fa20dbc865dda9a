/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* What ends a subcommand that counts until it is told to stop. Both return a descriptor, or -1. */
#ifndef SOCKTALLY_TOOLS_COMMON_STOP_H
#define SOCKTALLY_TOOLS_COMMON_STOP_H

/* The signals, blocked from here on, but for those that the caller had ignored (as nohup does with
 * SIGHUP); SIGINT always. */
int end_signals(void);
/* Readable after so long. */
int end_timer(unsigned int milliseconds);

#endif
