/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* The classifier without a kernel. */
#ifndef SOCKTALLY_PLUGIN_COUNT_CLASSIFY_H
#define SOCKTALLY_PLUGIN_COUNT_CLASSIFY_H

#include <stddef.h>
#include "bpf/table.h"
#include <socktally/socktally.h>
#include <stdbool.h>

/* The path of a packet of which caplen bytes are there. link: enum st_link; ports may be NULL. */
struct st_path st_classify(const struct st_ports *ports, __u32 link, const void *data,
			   size_t caplen);

/* Where in a packet its flow is told; what is not there has any value. */
struct st_flow_place {
	__u32 network;   /* where the innermost IP header starts */
	__u32 transport; /* and the innermost UDP header */
	__u32 off;       /* where the fixed part of the last layer's header ends */
	__u32 end;       /* of what is there of the packet, by the lengths in its headers */
	__u32 tags;      /* VLANs, 12 bits each */
};

/* st_classify() that also says where the flow is told. */
struct st_path st_classify_place(const struct st_ports *ports, __u32 link, const void *data,
				 size_t caplen, struct st_flow_place *place);

/* One of many packets. ST_BEHIND bytes past its end must be readable; their values don't matter. */
#define ST_BEHIND 64
struct st_batch_packet {
	const __u8 *data;
	__u32 caplen;
	__u32 len; /* on the wire */
	__u32 linktype;
	__u32 seconds; /* when it came, since whenever */
	bool rejected; /* by a filter: counted, but not as accepted; st_classify_batch() does not look at it */
};

/*
 * st_classify() for up to ST_BATCH packets of one link; their `linktype` is not used. places: NULL, or one
 * for each packet.
 */
#define ST_BATCH 128
void st_classify_batch(const struct st_ports *ports, __u32 link,
		       const struct st_batch_packet *packets, size_t count, struct st_path *paths,
		       struct st_flow_place *places);

/* A user's ports; false: too many, a port 0 or given twice, or a protocol that has no UDP port. */
bool st_ports_take(struct st_ports *ports, const struct socktally_port *given, size_t count);

/* enum st_link for a capture file's LINKTYPE_; ST_LINK_OTHER | number if it is not parsed. */
__u32 st_link_of_linktype(__u32 linktype);

#endif
