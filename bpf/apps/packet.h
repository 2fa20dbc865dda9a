/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The flow memory in the kernel: one table for all CPUs, in a map's value. */
#ifndef SOCKTALLY_BPF_APPS_PACKET_H
#define SOCKTALLY_BPF_APPS_PACKET_H

#include "bpf/extern.h"
#include "bpf/parse/packet_kernel.h"
#include "bpf/parse/parse.h"
#include "bpf/apps/flow.h"

/*
 * What the program that looks at payload has to know of a packet, and where it has the payload: scratch
 * in the CPU's region. The verifier knows nothing of what is loaded from there, which keeps its states few.
 */
struct st_look {
	struct st_path path; /* down to the transport */
	struct st_flow_packet flow;
	__u32 segments;
	__u32 spare;
	struct st_app_payload payload;
};
_Static_assert(sizeof(struct st_look) <= sizeof(((struct st_region *)0)->look), "room for it");

static __always_inline struct st_look *st_look_of(struct st_region *region)
{
	return (struct st_look *)region->look;
}

/* A number, 0 if there is no flow memory: then the verifier drops what depends on it. */
static __always_inline _Bool st_flow_wanted(void)
{
	return ST_EXTERN_U64(flow_mask) != 0;
}

static __always_inline __u64 *st_flow_bucket(__u64 hash)
{
	__u64 *words = ST_EXTERN_PTR(flow_words);

	return words + (hash & ST_EXTERN_U64(flow_mask)) * ST_FLOW_WORDS;
}

/* What is looked at: of an IPv6 header all, of a TCP header up to the flags. */
#define NETWORK_BYTES 40
#define TRANSPORT_BYTES 14

/*
 * A header that the walk has been at: it is in the buffer, unless that was filled anew since. wanted: how much of it. False:
 * can't be read.
 */
static __always_inline _Bool st_flow_header(const struct st_packet *pkt, __u32 off, __u32 wanted,
					    const __u8 **h)
{
	struct st_walk *walk = ST_WALK(pkt);
	__u64 address;

	if (st_direct()) {
		ST_FORGET();
		if (!st_direct_find(pkt->skb, pkt->region->linear_data, pkt->region->linear_limit,
				    pkt->buffer, off, wanted, &address))
			return 0;
		*h = st_bytes_at(address);
		return 1;
	}
	if (off < walk->base) {
		walk->off = off;
		if (!st_packet_next(pkt, walk))
			return 0;
	}
	ST_FORGET();
	off -= walk->base;
	if (off > ST_HEADERS_LOAD)
		return 0;
	*h = pkt->buffer + off;
	return 1;
}

/* Where in a packet its flow is told, and its headers there. */
struct st_flow_headers {
	const __u8 *network, *transport;
	__u32 network_at, transport_at;
	__u32 end; /* of what is there; 0: all is, by IP's header */
	__u32 tags;
};

/* Of a packet without a walk. */
static __always_inline void st_flow_common(const __u8 *h, struct st_path path,
					   struct st_flow_headers *headers)
{
	const __u32 at = st_common_start(path.lo);

	headers->network = h + 14;
	headers->network_at = 14;
	headers->transport = h + at;
	headers->transport_at = at;
	headers->end = 0;
	headers->tags = 0;
}

/*
 * The application of a packet's flow, if it is known; 0: it isn't, or there is none. ST_FLOW_LOOK: the next
 * program has to look, and finds in look->flow what it needs. The walk has ended.
 */
static __always_inline __u32 st_flow_app(const struct st_packet *pkt, struct st_look *look,
					 struct st_path path)
{
	struct st_walk *walk = ST_WALK(pkt);
	const __u32 transport = st_flow_transport(path);
	struct st_flow_headers headers;
	struct st_flow_packet flow;
	__u32 word, app;
	__u64 *bucket, from, to;

	if (!transport)
		return 0;
	if (pkt->common) {
		st_flow_common(pkt->common, path, &headers);
		if (st_direct() &&
		    !st_flow_header(pkt, headers.transport_at, TRANSPORT_BYTES, &headers.transport))
			return 0;
	} else {
		headers.network_at = walk->network;
		headers.transport_at = st_flow_start(transport, walk);
		headers.end = walk->end;
		headers.tags = walk->tags;
		if (!st_flow_header(pkt, headers.transport_at, TRANSPORT_BYTES, &headers.transport))
			return 0;
	}
	flow.transport = transport;
	flow.now = bpf_jiffies64() >> ST_EXTERN_U64(flow_shift);
	st_flow_ports(&flow, headers.transport, headers.transport_at);
	from = st_raw16(headers.transport);
	to = st_raw16(headers.transport + 2);
	/* the helper's copy of the other header is no longer there then */
	if ((st_direct() || !pkt->common) &&
	    !st_flow_header(pkt, headers.network_at, NETWORK_BYTES, &headers.network))
		return 0;
	st_flow_hash(&flow, headers.network, from, to, headers.tags, ST_EXTERN_U64(flow_key));
	bucket = st_flow_bucket(flow.hash);
	word = st_flow_find(bucket, flow.hash);
	app = st_flow_settled(bucket, word, ST_FLOW_YOUNG, &flow);
	if (app != ST_FLOW_LOOK)
		return app;
	st_flow_lengths(&flow, headers.end, st_flow_end(headers.network, headers.network_at));
	app = st_flow_known(bucket, word, ST_FLOW_YOUNG, &flow);
	if (app == ST_FLOW_LOOK)
		look->flow = flow;
	return app;
}

#endif
