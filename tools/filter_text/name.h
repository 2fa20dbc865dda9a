/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Inside of filter_text_name(): the search, and the expressions that it starts with. */
#ifndef SOCKTALLY_TOOLS_FILTER_TEXT_NAME_H
#define SOCKTALLY_TOOLS_FILTER_TEXT_NAME_H

#include "tools/filter_text/filter_text.h"

#include <pcap/pcap.h>
#include <stdint.h>

#define MAX_CONSTANTS 60 /* for each a bit in a mask, with room for two marks */
#define MAX_CANDIDATES 512
#define FOREIGN (1ull << 63) /* in a mask: compares with constants that the filter does not have */
/*
 * The same for constants that may be missing in a combination: "port" also asks for UDP and SCTP.
 */
#define LOOSE (1ull << 62)

struct candidate {
	char *text;
	uint64_t mask; /* of the filter's constants, those that it compares with */
};

struct naming {
	const struct sock_filter *insns;
	size_t count;
	pcap_t *pcap;
	int dlt;
	uint64_t deadline; /* nanoseconds of CLOCK_MONOTONIC */
	uint32_t constant[MAX_CONSTANTS];
	unsigned int constants;
	struct candidate candidate[MAX_CANDIDATES];
	size_t candidates;
	char *found;
};

/* Compiles an expression. keep: notes it as a possible part of the filter. */
void naming_try(struct naming *naming, bool keep, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Tries common expressions with the filter's constants. */
void naming_guess(struct naming *naming);

#endif
