// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
#include "tools/content/content.h"

uint64_t report_less(uint64_t now, uint64_t last)
{
	return now > last ? now - last : 0;
}

void report_counts_subtract(struct socktally_counts *counts, const struct socktally_counts *last)
{
	counts->packets = report_less(counts->packets, last->packets);
	counts->segments = report_less(counts->segments, last->segments);
	counts->bytes = report_less(counts->bytes, last->bytes);
	counts->accepted_packets = report_less(counts->accepted_packets, last->accepted_packets);
	counts->accepted_bytes = report_less(counts->accepted_bytes, last->accepted_bytes);
}

void report_counts_add(struct socktally_counts *sum, const struct socktally_counts *counts)
{
	sum->packets += counts->packets;
	sum->segments += counts->segments;
	sum->bytes += counts->bytes;
	sum->accepted_packets += counts->accepted_packets;
	sum->accepted_bytes += counts->accepted_bytes;
}

struct socktally_hook report_hooks_taken(const struct report_hooks *hooks)
{
	struct socktally_hook sum = {0};

	for (size_t i = 0; i < hooks->count; i++) {
		const struct socktally_hook *hook = &hooks->hook[i].info;

		sum.dropped_packets += hook->dropped_packets;
		sum.dropped_bytes += hook->dropped_bytes;
		sum.cut_packets += hook->cut_packets;
		sum.cut_bytes += hook->cut_bytes;
	}
	return sum;
}

bool report_hooks_took(const struct report_hooks *hooks)
{
	const struct socktally_hook taken = report_hooks_taken(hooks);

	return taken.dropped_packets || taken.cut_packets;
}

bool report_counts_empty(const struct socktally_counts *counts)
{
	return !(counts->packets | counts->segments | counts->bytes | counts->accepted_packets |
		 counts->accepted_bytes);
}
