// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* Counting without a kernel: the same table and the same classifier, on packets that one has. */
#include "plugin/count_packets.h"
#include "plugin/apps/memory.h"
#include "plugin/classes/classes.h"
#include "plugin/groups/groups.h"
#include "plugin/meter/meter.h"
#include <errno.h>

static inline struct st_skb_facts facts_of(const struct st_batch_packet *packet, bool out)
{
	return (struct st_skb_facts){
		.len = packet->len,
		.segments = 1,
		.verdict = packet->rejected ? 0 : packet->caplen,
		.accepted = !packet->rejected, /* also one of which nothing was captured */
		.out = out,
	};
}

/* Most meters have neither. */
static inline int count_more(struct socktally *meter, const struct st_batch_packet *packet,
			     struct st_path path, const struct st_skb_facts *facts)
{
	if (meter->groups)
		st_groups_count(meter, packet, path, facts);
	if (!meter->classes)
		return 0;
	return st_classes_count(meter, packet->linktype, packet->data, facts, packet->caplen);
}

int socktally_count(struct socktally *meter, uint32_t linktype, const void *data, size_t caplen,
		    size_t len, enum socktally_direction direction)
{
	struct st_batch_packet packet = {
		.data = data,
		.caplen = caplen < UINT32_MAX ? (uint32_t)caplen : UINT32_MAX,
		.len = len < UINT32_MAX ? (uint32_t)len : UINT32_MAX,
		.linktype = linktype,
	};
	struct st_skb_facts facts;
	struct st_flow_place place;
	struct st_path path;

	if (!st_registry_has(meter))
		return -EINVAL;
	if (!meter->userspace || (!data && caplen))
		return st_fail(meter, -EINVAL,
			       "a packet to count: no data, or the meter counts in the kernel");
	facts = facts_of(&packet, direction == SOCKTALLY_OUT);
	path = st_classify_place(&meter->ports, st_link_of_linktype(linktype), data, packet.caplen,
				 &place);
	if (meter->flows) {
		packet.seconds = st_seconds();
		st_flow_recognise(meter->flows, &packet, &place, 1, &path);
	}
	st_tally(st_region_of(meter, 0), meter->sizes, path, &facts);
	return count_more(meter, &packet, path, &facts);
}

/* How many of the packets, from the first on, are of one link. */
static size_t same_link(const struct st_batch_packet *packets, size_t count)
{
	size_t same = 1;

	while (same < count && packets[same].linktype == packets->linktype)
		same++;
	return same;
}

void st_recognise(struct socktally *meter, const struct st_batch_packet *packets, size_t count,
		  struct st_path *paths, struct st_flow_place *places)
{
	struct st_flow_place own[ST_BATCH];
	size_t same;

	if (!places && meter->flows)
		places = own;
	for (size_t at = 0; at < count; at += same) {
		same = same_link(packets + at, count - at);
		st_classify_batch(&meter->ports, st_link_of_linktype(packets[at].linktype),
				  packets + at, same, paths + at, places ? places + at : NULL);
	}
	if (meter->flows)
		st_flow_recognise(meter->flows, packets, places, count, paths);
}

int st_count_batch(struct socktally *meter, const struct st_batch_packet *packets, size_t count)
{
	struct st_region *region = st_region_of(meter, 0);
	struct st_path paths[ST_BATCH];
	int result = 0;

	st_recognise(meter, packets, count, paths, NULL);
	for (size_t i = 0; i < count && !result; i++) {
		struct st_skb_facts facts = facts_of(&packets[i], false);

		st_tally(region, meter->sizes, paths[i], &facts);
		result = count_more(meter, &packets[i], paths[i], &facts);
	}
	return result;
}
