/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* In the kernel: the link of a packet on a socket that gets packets of every interface. */
#ifndef SOCKTALLY_BPF_PARSE_ANY_LINK_H
#define SOCKTALLY_BPF_PARSE_ANY_LINK_H

#include "bpf/parse/packet_kernel.h"

/* Ethertypes of frames that are none of Ethernet's, below those: include/uapi/linux/if_ether.h. */
#define ST_ETH_P_802_2 0x0004 /* also 802.11 on a monitor interface */
#define ST_ETH_P_CAN 0x000c
#define ST_ETH_P_CANXL 0x000e
#define ST_ETH_P_IEEE802154 0x00f6
#define ST_ETHERTYPES 0x0600 /* the first one that is Ethernet's */

/* LINKTYPE_ numbers */
#define ST_LINKTYPE_CAN_SOCKETCAN 227
#define ST_LINKTYPE_IEEE802_15_4_NOFCS 230
#define ST_LINKTYPE_INFINIBAND 247
#define ST_LINKTYPE_UNKNOWN 0x3fff

#define ST_NET_BYTES 16

/*
 * Whether the network header is where the packet starts. No helper says where it is: its first bytes are
 * compared. Where there are not so many, the last byte of the packet is as far from it as from the start.
 */
static __always_inline _Bool st_packet_is_raw(const struct st_packet *pkt, const __u8 *h, __u32 len)
{
	__u32 *net = (__u32 *)(pkt->buffer + ST_HEADERS_LOAD);
	const __u32 *start = (const __u32 *)h;

	if (!bpf_skb_load_bytes_relative(pkt->skb, 0, net, ST_NET_BYTES, BPF_HDR_START_NET))
		return !((net[0] ^ start[0]) | (net[1] ^ start[1]) | (net[2] ^ start[2]) |
			 (net[3] ^ start[3]));
	return len && !bpf_skb_load_bytes_relative(pkt->skb, len - 1, net, 1, BPF_HDR_START_NET);
}

/*
 * The link of a packet on a socket of every interface. Ethernet has the kernel's own ethertype in its
 * 12th byte; a packet without link header may have anything there, but starts with its IP version.
 */
static __always_inline __u32 st_packet_kind(const struct st_packet *pkt, const __u8 *h, __u32 len,
					    __u32 link)
{
	__u32 protocol, version = h[0] >> 4;

	if (link != ST_LINK_ANY)
		return link;
	protocol = bpf_ntohs(pkt->skb->protocol);
	link = ST_LINK_ETH;
	if (len < 14 || st_get16(h + 12) != protocol || (protocol == 0x0800 && version == 4) ||
	    (protocol == 0x86dd && version == 6)) {
		if (st_packet_is_raw(pkt, h, len))
			link = protocol >= ST_ETHERTYPES ? ST_LINK_RAW
			       : protocol == ST_ETH_P_802_2
				       ? ST_LINK_OTHER | (h[0] ? ST_LINKTYPE_IEEE802_11
							       : ST_LINKTYPE_IEEE802_11_RADIOTAP)
			       : protocol >= ST_ETH_P_CAN && protocol <= ST_ETH_P_CANXL
				       ? ST_LINK_OTHER | ST_LINKTYPE_CAN_SOCKETCAN
			       : protocol == ST_ETH_P_IEEE802154
				       ? ST_LINK_OTHER | ST_LINKTYPE_IEEE802_15_4_NOFCS
				       : ST_LINK_OTHER | ST_LINKTYPE_UNKNOWN;
		else if (len >= 24 && protocol >= ST_ETHERTYPES && st_get16(h + 12) != protocol &&
			 st_get32(h + 20) == protocol << 16) /* IP over InfiniBand (RFC 4391, 6) */
			link = ST_LINK_OTHER | ST_LINKTYPE_INFINIBAND;
	}
	ST_CB_WRITE(pkt->skb, ST_CB_LINK, link);
	return ST_CB_READ(pkt->skb, ST_CB_LINK);
}

#endif
