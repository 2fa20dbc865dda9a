/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A packet's path: its layers, outermost first.
 *
 * Each layer has a function that looks at its header and says what comes next in one of the number
 * spaces of walk.h; st_layer() finds the function for that. A new protocol is a line in
 * protocols.def, a function, and its cases here.
 */
#ifndef SOCKTALLY_BPF_PARSE_H
#define SOCKTALLY_BPF_PARSE_H

#include "parse_ip.h"
#include "parse_link.h"
#include "parse_tunnel.h"

/* Steps at most: layers, and parts of layers like the labels of a stack. */
#define ST_MAX_STEPS 20

static __always_inline struct st_step st_layer(__u32 next, const __u8 *h)
{
	switch (next) {
	case ST_ETHERTYPE(0x6558):
	case ST_GRETYPE(0x6558):
	case ST_GRETYPE(0x6400):
	case ST_IPPROTO(143):
	case ST_DIRECT(ST_ETH):
		return st_eth(h);
	case ST_ETHERTYPE(0x8100):
	case ST_ETHERTYPE(0x9100):
		return st_typed(h, ST_VLAN, 4);
	case ST_ETHERTYPE(0x88a8):
		return st_typed(h, ST_IEEE8021AD, 4);
	case ST_ETHERTYPE(0x8870):
	case ST_DIRECT(ST_LLC):
		return st_llc(h);
	case ST_ETHERTYPE(0x8847):
	case ST_ETHERTYPE(0x8848):
	case ST_GRETYPE(0x8847):
	case ST_GRETYPE(0x8848):
	case ST_IPPROTO(137):
	case ST_PPPTYPE(0x0281):
	case ST_PPPTYPE(0x0283):
	case ST_DIRECT(ST_MPLS):
		return st_mpls(h);
	case ST_MORE(ST_MPLS):
		return st_mpls_more(h);
	case ST_ETHERTYPE(0x8863):
		return st_last(ST_PPPOED, 6);
	case ST_ETHERTYPE(0x8864):
		return st_simple(ST_PPPOES, 6, ST_DIRECT(ST_PPP));
	case ST_GRETYPE(0x880b):
	case ST_DIRECT(ST_PPP):
		return st_ppp(h);
	case ST_ETHERTYPE(0x8181):
	case ST_SAP(0x42):
	case ST_DIRECT(ST_STP):
		return st_last(ST_STP, 4);
	case ST_ETHERTYPE(0x88cc):
	case ST_ETHERTYPE(0x8942):
		return st_last(ST_LLDP, 2);
	case ST_ETHERTYPE(0x888e):
	case ST_ETHERTYPE(0x88c7):
		return st_last(ST_EAPOL, 4);
	case ST_ETHERTYPE(0x0806):
	case ST_ETHERTYPE(0x8035):
	case ST_GRETYPE(0x0806):
		return st_last(ST_ARP, 8);
	case ST_ETHERTYPE(0x0800):
	case ST_GRETYPE(0x0800):
	case ST_PPPTYPE(0x0021):
	case ST_IPPROTO(4):
	case ST_SAP(0x06):
	case ST_DIRECT(ST_IP):
		return st_ip(h);
	case ST_ETHERTYPE(0x86dd):
	case ST_GRETYPE(0x86dd):
	case ST_PPPTYPE(0x0057):
	case ST_IPPROTO(41):
	case ST_DIRECT(ST_IPV6):
		return st_ipv6(h);
	case ST_IPPROTO(0):
		return st_ipv6_header(h, ST_IPV6_HOPOPTS);
	case ST_IPPROTO(43):
		return st_ipv6_header(h, ST_IPV6_ROUTING);
	case ST_IPPROTO(44):
		return st_ipv6_fraghdr(h);
	case ST_IPPROTO(60):
		return st_ipv6_header(h, ST_IPV6_DSTOPTS);
	case ST_IPPROTO(51):
		return st_ah(h);
	case ST_IPPROTO(50):
		return st_last(ST_ESP, 8);
	case ST_IPPROTO(108):
		return st_last(ST_IPCOMP, 4);
	case ST_IPPROTO(1):
		return st_last(ST_ICMP, 8);
	case ST_IPPROTO(58):
		return st_last(ST_ICMPV6, 4);
	case ST_IPPROTO(2):
		return st_last(ST_IGMP, 8);
	case ST_IPPROTO(6):
		return st_last(ST_TCP, 20);
	case ST_IPPROTO(17):
		return st_udp(h);
	case ST_IPPROTO(136):
		return st_udplite(h);
	case ST_IPPROTO(132):
		return st_last(ST_SCTP, 12);
	case ST_IPPROTO(33):
		return st_last(ST_DCCP, 12);
	case ST_IPPROTO(47):
		return st_gre(h);
	case ST_GRETYPE(0x88be):
	case ST_GRETYPE(0x22eb):
		return st_erspan(h);
	case ST_DIRECT(ST_VXLAN):
		return st_simple(ST_VXLAN, 8, ST_DIRECT(ST_ETH));
	case ST_DIRECT(ST_GENEVE):
		return st_geneve(h);
	case ST_DIRECT(ST_GTP):
		return st_gtp(h);
	case ST_MORE(ST_GTP):
		return st_gtp_extension(h);
	case ST_LAST(ST_GTP):
		return st_gtp_extension_end(h);
	case ST_DIRECT(ST_TEREDO):
		return st_simple(ST_TEREDO, 0, ST_MORE(ST_TEREDO));
	case ST_MORE(ST_TEREDO):
		return st_teredo_part(h);
	case ST_ETHERTYPE(0x894f):
	case ST_GRETYPE(0x894f):
	case ST_DIRECT(ST_NSH):
		return st_nsh(h);
	case ST_IPPROTO(115):
		return st_last(ST_L2TP, 4);
	case ST_DIRECT(ST_L2TP):
		return st_l2tp(h);
	case ST_MORE(ST_L2TP):
		return st_l2tp_offset(h);
	case ST_IPPROTO(89):
		return st_last(ST_OSPF, 24);
	case ST_IPPROTO(88):
		return st_last(ST_EIGRP, 20);
	case ST_IPPROTO(103):
		return st_last(ST_PIM, 4);
	case ST_IPPROTO(112):
		return st_last(ST_VRRP, 8);
	case ST_IPPROTO(46):
		return st_last(ST_RSVP, 8);
	}
	return st_last(0, ST_NOT_THIS);
}

/* Of a VLAN tag in a socket's metadata: a layer without bytes behind the link layer. */
static __always_inline void st_metadata_tag(struct st_walk *walk, const struct st_packet *pkt)
{
	__u32 tag = st_packet_tag(pkt);

	if (tag)
		st_path_push(walk, tag == 0x88a8 ? ST_IEEE8021AD : ST_VLAN);
}

/* A link type that is not read: its number in two bytes that are no protocol's. */
static __always_inline void st_other_link(struct st_walk *walk, __u32 link)
{
	st_path_push(walk, ST_DLT);
	st_path_push(walk, 0x80 | (link >> 7 & 0x7f));
	st_path_push(walk, 0x80 | (link & 0x7f));
}

/* The outermost layer, by the socket's or the file's link type (enum st_link). */
static __always_inline void st_link_layer(struct st_walk *walk, const struct st_packet *pkt,
					  const __u8 *h, __u32 link)
{
	switch (link) {
	case ST_LINK_ETH:
		st_advance_link(walk, st_eth(h));
		st_metadata_tag(walk, pkt);
		break;
	case ST_LINK_SLL:
		st_path_push(walk, ST_SLL);
		st_metadata_tag(walk, pkt);
		walk->next = ST_ETHERTYPE(st_packet_ethertype(pkt));
		break;
	case ST_LINK_RAW:
		st_advance_link(walk, st_raw(h));
		break;
	case ST_LINK_NULL:
	case ST_LINK_LOOP:
		st_advance_link(walk, st_null(h));
		break;
	case ST_LINK_PPP:
		st_advance_link(walk, st_ppp(h));
		break;
	case ST_LINK_SLL_V1:
		st_advance_link(walk, st_sll_v1(h));
		break;
	case ST_LINK_SLL_V2:
		st_advance_link(walk, st_sll_v2(h));
		break;
	default:
		st_other_link(walk, link);
	}
}

static __always_inline struct st_path st_parse(struct st_packet *pkt, __u32 link)
{
	struct st_walk *walk = ST_WALK(pkt);
	const __u8 *h;

	*walk = (struct st_walk){0};
	h = st_packet_open(pkt, walk);
	if (h)
		st_link_layer(walk, pkt, h, link);
	for (__u32 step = 0; step < ST_MAX_STEPS; step++) {
		ST_FORGET();
		if (!walk->next || !st_path_has_room(walk))
			break;
		h = st_packet_at(pkt, walk);
		if (!h)
			break;
		st_advance(walk, st_layer(walk->next, h));
	}
	return walk->path;
}

#endif
