/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* For hooks that tell flows apart: addresses, ports and protocol of a packet. */
#ifndef SOCKTALLY_BPF_HOOKS_FLOW_H
#define SOCKTALLY_BPF_HOOKS_FLOW_H

#include <socktally/hook.bpf.h>

/* IP protocol numbers; reports show the names. */
enum st_transport {
	other = 0,
	icmp = 1,
	igmp = 2,
	tcp = 6,
	udp = 17,
	dccp = 33,
	gre = 47,
	esp = 50,
	ah = 51,
	icmpv6 = 58,
	ospf = 89,
	pim = 103,
	vrrp = 112,
	sctp = 132,
	udplite = 136,
};

struct st_flow {
	struct socktally_address source;
	__u16 source_port; /* 0: it has none */
	struct socktally_address destination;
	__u16 destination_port;
	enum st_transport protocol;
};

static __always_inline int st_is_ip(__u32 layer)
{
	return layer == SOCKTALLY_IP || layer == SOCKTALLY_IPV6;
}

/* Which layer is the outermost or innermost IP header; -1: none is. */
static __always_inline int st_flow_layer(const struct socktally_packet *packet, int inner)
{
	int found = -1;

	for (int i = 0; i < 14; i++)
		if (st_is_ip(packet->layers[i]) && (inner || found < 0))
			found = i;
	return found;
}

/* The number of a transport layer with ports in its first 4 bytes; 0: it isn't one. */
static __always_inline __u32 st_transport_of(__u32 layer)
{
	switch (layer) {
	case SOCKTALLY_TCP:
		return tcp;
	case SOCKTALLY_UDP:
		return udp;
	case SOCKTALLY_SCTP:
		return sctp;
	case SOCKTALLY_DCCP:
		return dccp;
	case SOCKTALLY_UDPLITE:
		return udplite;
	}
	return 0;
}

static __always_inline void st_flow_ports(const struct socktally_skb *skb,
					  const struct socktally_packet *packet, int layer,
					  struct st_flow *flow)
{
	__u16 ports[2] = {0, 0};

	for (int i = 1; i < 14; i++) {
		__u32 transport;

		if (i <= layer)
			continue;
		if (st_is_ip(packet->layers[i]))
			return;
		transport = st_transport_of(packet->layers[i]);
		if (!transport)
			continue;
		flow->protocol = transport;
		socktally_load(skb, packet->offsets[i], ports, sizeof(ports));
		flow->source_port = SOCKTALLY_NET16(ports[0]);
		flow->destination_port = SOCKTALLY_NET16(ports[1]);
		return;
	}
}

/* One read takes all that is wanted of a header: each costs more than the rest of this. */
static __always_inline void st_flow_ip(const struct socktally_skb *skb, __u32 at,
				       struct st_flow *flow)
{
	__u8 header[12] = {0}; /* from byte 8 on: hops, protocol, checksum, addresses */

	socktally_load(skb, at + 8, header, sizeof(header));
	flow->source.version = flow->destination.version = 4;
	flow->protocol = header[1];
	__builtin_memcpy(flow->source.bytes, header + 4, 4);
	__builtin_memcpy(flow->destination.bytes, header + 8, 4);
}

static __always_inline void st_flow_ipv6(const struct socktally_skb *skb, __u32 at,
					 struct st_flow *flow)
{
	__u8 header[36] = {0}; /* from byte 4 on: length, next header, hops, addresses */

	socktally_load(skb, at + 4, header, sizeof(header));
	flow->source.version = flow->destination.version = 6;
	flow->protocol = header[2];
	__builtin_memcpy(flow->source.bytes, header + 4, 16);
	__builtin_memcpy(flow->destination.bytes, header + 20, 16);
}

/* 0: the packet has no IP header. */
static __always_inline int st_flow_read(const struct socktally_skb *skb,
					const struct socktally_packet *packet, int inner,
					struct st_flow *flow)
{
	int layer = st_flow_layer(packet, inner);
	__u32 at;

	__builtin_memset(flow, 0, sizeof(*flow));
	if (layer < 0)
		return 0;
	at = socktally_offset(packet, layer);
	if (packet->layers[layer & 15] == SOCKTALLY_IP)
		st_flow_ip(skb, at, flow);
	else
		st_flow_ipv6(skb, at, flow);
	st_flow_ports(skb, packet, layer, flow);
	return 1;
}

/* Reading in place is for programs with such a license. */
char st_license[] SEC("license") = "Dual BSD/GPL";

#endif
