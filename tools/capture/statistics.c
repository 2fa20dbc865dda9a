// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
#include "tools/capture/statistics.h"

const char *const capture_statistic_names[CAPTURE_STATISTICS] = {
	[CAPTURE_RECEIVED] = "received",
	[CAPTURE_INTERFACE_DROPS] = "interface_drops",
	[CAPTURE_FILTER_ACCEPTED] = "filter_accepted",
	[CAPTURE_SYSTEM_DROPS] = "system_drops",
	[CAPTURE_DELIVERED] = "delivered",
	[CAPTURE_PACKET_DROPS] = "packet_drops",
};
const char *const capture_statistic_words[CAPTURE_STATISTICS] = {
	[CAPTURE_RECEIVED] = "received",
	[CAPTURE_INTERFACE_DROPS] = "dropped by the interface",
	[CAPTURE_FILTER_ACCEPTED] = "accepted by the filter",
	[CAPTURE_SYSTEM_DROPS] = "dropped by the system",
	[CAPTURE_DELIVERED] = "delivered",
	[CAPTURE_PACKET_DROPS] = "dropped before packets in it",
};

void capture_statistic_set(struct capture_statistics *statistics, enum capture_statistic which,
			   uint64_t packets)
{
	statistics->packets[which] = packets;
	statistics->known[which] = true;
}

void capture_statistics_add(struct capture_statistics *sum,
			    const struct capture_statistics *statistics)
{
	for (int i = 0; i < CAPTURE_STATISTICS; i++) {
		sum->packets[i] += statistics->packets[i];
		sum->known[i] |= statistics->known[i];
	}
}

bool capture_statistics_known(const struct capture_statistics *statistics)
{
	for (int i = 0; i < CAPTURE_STATISTICS; i++) {
		if (statistics->known[i])
			return true;
	}
	return false;
}
