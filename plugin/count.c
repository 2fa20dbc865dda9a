// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* Counting without a kernel: the same table and the same classifier, on packets that one has. */
#include "class.h"
#include "classify.h"
#include "meter.h"
#include <errno.h>

int socktally_count(struct socktally *meter, uint32_t linktype, const void *data, size_t caplen,
		    size_t len, enum socktally_direction direction)
{
	struct st_packet_facts facts;
	uint32_t captured;

	if (!st_is_live(meter) || !meter->userspace || (!data && caplen))
		return -EINVAL;
	captured = caplen < UINT32_MAX ? (uint32_t)caplen : UINT32_MAX;
	facts.len = len < UINT32_MAX ? (uint32_t)len : UINT32_MAX;
	facts.segments = 1;
	facts.tag_len = 0;
	facts.out = direction == SOCKTALLY_OUT;
	facts.verdict = captured;
	facts.accepted = true; /* also one of which nothing was captured */
	st_tally(st_region_of(meter, 0), meter->sizes,
		 st_classify(st_link_of_linktype(linktype), data, captured), &facts);
	return st_classes_count(meter, linktype, data, &facts, captured);
}
