// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* Counts the groups of packets from files. */
#include "plugin/groups/groups.h"

#include "bpf/parse/note.h"
#include "bpf/parse/packet_native.h"
struct st_walk;
static inline void note(struct st_walk *walk, __u32 protocol);
#define ST_ON_LAYER(walk, protocol) note(walk, protocol)
#include "plugin/count/classify_parse.h"
#include "plugin/meter/meter.h"

/* A packet whose layers are noted while it is parsed. */
struct noted {
	struct st_packet parsed;
	struct socktally_packet packet;
};

static inline void note(struct st_walk *walk, __u32 protocol)
{
	struct noted *noted = (struct noted *)((char *)walk - offsetof(struct noted, parsed) -
					       offsetof(struct st_packet, walk));

	st_note_layer(&noted->packet, walk->off, protocol);
}

static void layers_find(struct noted *noted, __u32 link)
{
	struct st_path path = st_parse_file(&noted->parsed, link);

	if (!noted->packet.layer_count && path.lo)
		st_note_common(&noted->packet, path);
}

void st_groups_count(struct socktally *meter, const struct st_batch_packet *packet,
		     struct st_path path, const struct st_skb_facts *facts)
{
	struct noted noted = {
		.parsed.data = packet->data,
		.parsed.len = packet->caplen < ST_LONGEST ? packet->caplen : ST_LONGEST,
		.parsed.ports = &meter->ports,
		.packet.path = {.hi = path.hi, .lo = path.lo},
		.packet.length = facts->len,
		.packet.verdict = facts->verdict,
		.packet.tool_verdict = facts->verdict,
		.packet.segments = facts->segments,
		.packet.direction = facts->out,
	};
	const struct st_group_key_packet read = {&noted.packet, packet->data, noted.parsed.len};

	layers_find(&noted, st_link_of_linktype(packet->linktype));
	for (struct st_group *group = meter->groups; group; group = group->next) {
		struct st_group_region *region = st_group_region_of(group, 0);

		region->has_key = st_group_key_read(&group->key, &read, region->key);
		st_group_tally(region, group->sizes, facts);
	}
}
