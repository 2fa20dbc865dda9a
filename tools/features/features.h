/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* What this kernel lets us do, found by trying. */
#ifndef SOCKTALLY_TOOLS_FEATURES_FEATURES_H
#define SOCKTALLY_TOOLS_FEATURES_FEATURES_H

#include <stdbool.h>
#include <stddef.h>

enum feature_number {
	FEATURE_BPF,
	FEATURE_METER,
	FEATURE_PERFMON,
	FEATURE_JIT,
	FEATURE_DIRECT,
	FEATURE_APPLICATIONS,
	FEATURE_HOOKS,
	FEATURE_CLASSES,
	FEATURE_FUNCTIONS,
	FEATURE_SOCKET,
	FEATURE_ATTACH,
	FEATURE_OPTION_MEMORY,
	FEATURE_TAKE,
	FEATURE_DIAG,
	FEATURE_RECORDS,
	FEATURE_COUNT,
};

enum feature_state { FEATURE_NO, FEATURE_YES, FEATURE_UNKNOWN };

struct feature {
	const char *name;  /* in JSON */
	const char *label; /* for people */
	enum feature_state state;
	char found[400];   /* what was found, or why not */
	const char *means; /* what it means for the user; NULL: nothing to say */
};

/* Fills in all of them. Loads programs and makes sockets, and leaves nothing behind. */
void features_try(struct feature features[FEATURE_COUNT]);

#endif
