/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* How the shim gets into the tool that `socktally run` starts, and why it may not. */
#ifndef SOCKTALLY_TOOLS_RUN_H
#define SOCKTALLY_TOOLS_RUN_H

/* The path of libsocktally-preload.so, static storage; NULL after a message. */
const char *run_find_shim(const char *tool);

/* The tool has ended and the shim in it, if there was one, has asked for nothing: says why. */
void run_say_no_contact(const char *tool);

#endif
