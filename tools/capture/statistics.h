/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* What a capture file says about packets that are not in it. */
#ifndef SOCKTALLY_TOOLS_CAPTURE_STATISTICS_H
#define SOCKTALLY_TOOLS_CAPTURE_STATISTICS_H

#include <stdbool.h>
#include <stdint.h>

/* Options of pcapng's interface statistics, and of its packets. */
enum capture_statistic {
	CAPTURE_RECEIVED,        /* isb_ifrecv */
	CAPTURE_INTERFACE_DROPS, /* isb_ifdrop */
	CAPTURE_FILTER_ACCEPTED, /* isb_filteraccept */
	CAPTURE_SYSTEM_DROPS,    /* isb_osdrop */
	CAPTURE_DELIVERED,       /* isb_usrdeliv */
	CAPTURE_PACKET_DROPS,    /* sum of epb_dropcount */
	CAPTURE_STATISTICS
};

/* Packets. All zero: none is known. */
struct capture_statistics {
	uint64_t packets[CAPTURE_STATISTICS];
	bool known[CAPTURE_STATISTICS];
};

/* "system_drops", and the same in words, as "dropped by the system". */
extern const char *const capture_statistic_names[CAPTURE_STATISTICS];
extern const char *const capture_statistic_words[CAPTURE_STATISTICS];

void capture_statistic_set(struct capture_statistics *statistics, enum capture_statistic which,
			   uint64_t packets);
void capture_statistics_add(struct capture_statistics *sum,
			    const struct capture_statistics *statistics);
bool capture_statistics_known(const struct capture_statistics *statistics);

#endif
