/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A packet's path: its layers, outermost first.
 *
 * Each layer has a function that puts its name on the path and says what comes next in one of the
 * number spaces of walk.h; st_layer() finds the function of that. A new protocol is a line in
 * protocols.def, a function, and its cases here.
 */
#ifndef SOCKTALLY_BPF_PARSE_H
#define SOCKTALLY_BPF_PARSE_H

#include "parse_ip.h"
#include "parse_link.h"
#include "parse_tunnel.h"

/* Steps at most: layers, and parts of layers like the labels of a stack. */
#define ST_MAX_STEPS 20

/* A layer with nothing inside that the path would show. */
static __always_inline void st_last(struct st_walk *walk, __u32 protocol)
{
	st_enter(walk, protocol, 0);
}

static __always_inline void st_layer(struct st_walk *walk, const __u8 *h)
{
	switch (walk->next) {
	case ST_ETHERTYPE(0x6558):
	case ST_GRETYPE(0x6558):
	case ST_GRETYPE(0x6400):
	case ST_IPPROTO(143):
	case ST_DIRECT(ST_ETH):
		st_eth(walk, h);
		break;
	case ST_ETHERTYPE(0x8100):
	case ST_ETHERTYPE(0x9100):
		st_vlan(walk, h, ST_VLAN);
		break;
	case ST_ETHERTYPE(0x88a8):
		st_vlan(walk, h, ST_IEEE8021AD);
		break;
	case ST_ETHERTYPE(0x8870):
	case ST_DIRECT(ST_LLC):
		st_llc(walk, h);
		break;
	case ST_ETHERTYPE(0x8847):
	case ST_ETHERTYPE(0x8848):
	case ST_GRETYPE(0x8847):
	case ST_GRETYPE(0x8848):
	case ST_IPPROTO(137):
	case ST_PPPTYPE(0x0281):
	case ST_PPPTYPE(0x0283):
	case ST_DIRECT(ST_MPLS):
		st_mpls(walk, h);
		break;
	case ST_MORE(ST_MPLS):
		st_mpls_label(walk, h);
		break;
	case ST_ETHERTYPE(0x8863):
		st_last(walk, ST_PPPOED);
		break;
	case ST_ETHERTYPE(0x8864):
		st_pppoes(walk);
		break;
	case ST_GRETYPE(0x880b):
	case ST_DIRECT(ST_PPP):
		st_ppp(walk, h);
		break;
	case ST_ETHERTYPE(0x8181):
	case ST_SAP(0x42):
	case ST_DIRECT(ST_STP):
		st_last(walk, ST_STP);
		break;
	case ST_ETHERTYPE(0x88cc):
	case ST_ETHERTYPE(0x8942):
		st_last(walk, ST_LLDP);
		break;
	case ST_ETHERTYPE(0x888e):
	case ST_ETHERTYPE(0x88c7):
		st_last(walk, ST_EAPOL);
		break;
	case ST_ETHERTYPE(0x0806):
	case ST_ETHERTYPE(0x8035):
	case ST_GRETYPE(0x0806):
		st_last(walk, ST_ARP);
		break;
	case ST_ETHERTYPE(0x0800):
	case ST_GRETYPE(0x0800):
	case ST_PPPTYPE(0x0021):
	case ST_IPPROTO(4):
	case ST_SAP(0x06):
	case ST_DIRECT(ST_IP):
		st_ip(walk, h);
		break;
	case ST_ETHERTYPE(0x86dd):
	case ST_GRETYPE(0x86dd):
	case ST_PPPTYPE(0x0057):
	case ST_IPPROTO(41):
	case ST_DIRECT(ST_IPV6):
		st_ipv6(walk, h);
		break;
	case ST_IPPROTO(0):
		st_ipv6_header(walk, h, ST_IPV6_HOPOPTS);
		break;
	case ST_IPPROTO(43):
		st_ipv6_header(walk, h, ST_IPV6_ROUTING);
		break;
	case ST_IPPROTO(44):
		st_ipv6_fraghdr(walk, h);
		break;
	case ST_IPPROTO(60):
		st_ipv6_header(walk, h, ST_IPV6_DSTOPTS);
		break;
	case ST_IPPROTO(51):
		st_ah(walk, h);
		break;
	case ST_IPPROTO(50):
		st_last(walk, ST_ESP);
		break;
	case ST_IPPROTO(108):
		st_last(walk, ST_IPCOMP);
		break;
	case ST_IPPROTO(1):
		st_last(walk, ST_ICMP);
		break;
	case ST_IPPROTO(58):
		st_last(walk, ST_ICMPV6);
		break;
	case ST_IPPROTO(2):
		st_last(walk, ST_IGMP);
		break;
	case ST_IPPROTO(6):
		st_last(walk, ST_TCP);
		break;
	case ST_IPPROTO(17):
		st_udp(walk, h, ST_UDP);
		break;
	case ST_IPPROTO(136):
		st_udp(walk, h, ST_UDPLITE);
		break;
	case ST_IPPROTO(132):
		st_last(walk, ST_SCTP);
		break;
	case ST_IPPROTO(33):
		st_last(walk, ST_DCCP);
		break;
	case ST_IPPROTO(47):
		st_gre(walk, h);
		break;
	case ST_GRETYPE(0x88be):
	case ST_GRETYPE(0x22eb):
		st_erspan(walk, h);
		break;
	case ST_DIRECT(ST_VXLAN):
		st_vxlan(walk);
		break;
	case ST_DIRECT(ST_GENEVE):
		st_geneve(walk, h);
		break;
	case ST_DIRECT(ST_GTP):
		st_gtp(walk, h);
		break;
	case ST_MORE(ST_GTP):
		st_gtp_extension(walk, h);
		break;
	case ST_DIRECT(ST_TEREDO):
		st_teredo(walk, h);
		break;
	case ST_MORE(ST_TEREDO):
		st_teredo_part(walk, h);
		break;
	case ST_ETHERTYPE(0x894f):
	case ST_GRETYPE(0x894f):
	case ST_DIRECT(ST_NSH):
		st_nsh(walk, h);
		break;
	case ST_IPPROTO(115):
		st_last(walk, ST_L2TP);
		break;
	case ST_DIRECT(ST_L2TP):
		st_l2tp(walk, h);
		break;
	case ST_IPPROTO(89):
		st_last(walk, ST_OSPF);
		break;
	case ST_IPPROTO(88):
		st_last(walk, ST_EIGRP);
		break;
	case ST_IPPROTO(103):
		st_last(walk, ST_PIM);
		break;
	case ST_IPPROTO(112):
		st_last(walk, ST_VRRP);
		break;
	case ST_IPPROTO(46):
		st_last(walk, ST_RSVP);
		break;
	default:
		walk->next = ST_STOP;
	}
}

/* The outermost layer, by the socket's or the file's link type (enum st_link). */
static __always_inline void st_link_layer(struct st_packet *pkt, struct st_walk *walk, __u32 link)
{
	const __u8 *h = st_packet_at(pkt, 0);

	if (!h)
		return;
	switch (link) {
	case ST_LINK_ETH:
		st_eth(walk, h);
		st_vlan_tag(walk, pkt->tag);
		break;
	case ST_LINK_SLL:
		st_path_push(walk, ST_SLL);
		st_vlan_tag(walk, pkt->tag);
		walk->next = ST_ETHERTYPE(pkt->ethertype);
		break;
	case ST_LINK_RAW:
		st_raw(walk, h);
		break;
	case ST_LINK_NULL:
	case ST_LINK_LOOP:
		st_null(walk, h);
		break;
	case ST_LINK_PPP:
		st_ppp(walk, h);
		break;
	case ST_LINK_SLL_V1:
		st_sll_v1(walk, h);
		break;
	case ST_LINK_SLL_V2:
		st_sll_v2(walk, h);
		break;
	default: /* the number in two bytes that are no protocol's */
		st_path_push(walk, ST_DLT);
		st_path_push(walk, 0x80 | (link >> 7 & 0x7f));
		st_path_push(walk, 0x80 | (link & 0x7f));
	}
}

static __always_inline struct st_path st_parse(struct st_packet *pkt, __u32 link)
{
	struct st_walk walk = {.end = pkt->len};
	const __u8 *h;

	st_link_layer(pkt, &walk, link);
	for (__u32 step = 0; step < ST_MAX_STEPS; step++) {
		if (!walk.next || !st_path_has_room(&walk))
			break;
		h = st_packet_at(pkt, walk.off);
		if (!h)
			break;
		st_layer(&walk, h);
	}
	return walk.path;
}

#endif
