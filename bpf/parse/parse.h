/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A packet's path: its layers, outermost first.
 *
 * A layer names the one inside it by a number: an ethertype, an IP protocol, a port. dispatch.def
 * says which layer that is, and which function here looks at its header and finds the next number.
 * A new protocol is a line in protocols.def, a line for each of its numbers in dispatch.def, and, if
 * there is something inside it, a function.
 */
#ifndef SOCKTALLY_BPF_PARSE_PARSE_H
#define SOCKTALLY_BPF_PARSE_PARSE_H

#include "bpf/parse/ip.h"
#include "bpf/parse/link.h"
#include "bpf/parse/tunnel.h"

/* Steps at most after the link layer: layers, and further parts of layers like the labels of a stack. */
#define ST_MAX_STEPS 12

static __always_inline void st_layer(struct st_step *step, const __u8 *h, __u32 kind)
{
	switch (kind) {
	case ST_KIND_HAS_ETH:
		step->next = ST_DIRECT(ST_ETH);
		break;
	case ST_KIND_ETH:
		st_eth(step, h);
		break;
	case ST_KIND_VLAN:
		st_vlan(step, h);
		break;
	case ST_KIND_IEEE8021AD:
		st_ieee8021ad(step, h);
		break;
	case ST_KIND_PPPOES:
		st_pppoes(step, h);
		break;
	case ST_KIND_LLC:
		st_llc(step, h);
		break;
	case ST_KIND_MPLS:
		st_mpls(step, h);
		break;
	case ST_KIND_PPP:
		st_ppp(step, h);
		break;
	case ST_KIND_IP:
		st_ip(step, h);
		break;
	case ST_KIND_IPV6:
		st_ipv6(step, h);
		break;
	case ST_KIND_IPV6_HEADER:
		st_ipv6_header(step, h);
		break;
	case ST_KIND_IPV6_FRAGHDR:
		st_ipv6_fraghdr(step, h);
		break;
	case ST_KIND_AH:
		st_ah(step, h);
		break;
	case ST_KIND_UDP:
		st_udp(step, h);
		break;
	case ST_KIND_UDPLITE: /* its second field says how much the checksum covers */
		st_udp_ports(step, h);
		break;
	case ST_KIND_GRE:
		st_gre(step, h);
		break;
	case ST_KIND_ERSPAN:
		st_erspan(step, h);
		break;
	case ST_KIND_WCCP:
		st_wccp(step, h);
		break;
	case ST_KIND_VXLAN_GPE:
		st_vxlan_gpe(step, h);
		break;
	case ST_KIND_GENEVE:
		st_geneve(step, h);
		break;
	case ST_KIND_GTP:
		st_gtp(step, h);
		break;
	case ST_KIND_GTP_EXTENSION:
		st_gtp_extension(step, h);
		break;
	case ST_KIND_GTP_EXTENSION_END:
		st_gtp_extension_end(step, h);
		break;
	case ST_KIND_TEREDO:
		st_teredo(step, h);
		break;
	case ST_KIND_NSH:
		st_nsh(step, h);
		break;
	case ST_KIND_L2TP:
		st_l2tp(step, h);
		break;
	case ST_KIND_L2TP_OFFSET:
		st_l2tp_offset(step, h);
		break;
	}
}

static __always_inline __u32 st_tag_protocol(__u32 ethertype)
{
	switch (ethertype) {
	case 0x8100:
	case 0x9100:
		return ST_VLAN;
	case 0x88a8:
		return ST_IEEE8021AD;
	}
	return 0;
}

/* A tag in the metadata of a socket's packet: a layer without bytes. */
static __always_inline void st_metadata_tag(struct st_walk *walk, const struct st_packet *pkt)
{
	__u32 tag = st_packet_tag(pkt);

	if (tag)
		st_path_push(walk, tag == 0x88a8 ? ST_IEEE8021AD : ST_VLAN, 8);
}

/*
 * A packet on a cooked socket that is sent with VLAN tags in its bytes. skb->protocol is the outer
 * tag's; the packet mostly starts behind the tags, as the network header does, which are then read
 * from the link header before it; only where the sender had not set the network header does it start
 * with them. Returns what the packet starts with.
 */
static __always_inline __u32 st_cooked_tags(struct st_walk *walk, const struct st_packet *pkt,
					    const __u8 *h, __u32 ethertype)
{
	const __u8 *link;

	if (!st_tag_protocol(ethertype) || st_packet_tag(pkt))
		return ethertype;
	link = st_packet_link(pkt);
	if (!link || (st_get32(link + 14) == st_get32(h) && st_get32(link + 18) == st_get32(h + 4)))
		return ethertype;
	for (__u32 i = 0; i <= ST_SENT_TAGS; i++) {
		ethertype = st_get16(link + 12 + 4 * i);
		if (!st_tag_protocol(ethertype))
			return ethertype > ST_IEEE_802_3_MAX ? ethertype : 4 /* ETH_P_802_2 */;
		st_path_push(walk, st_tag_protocol(ethertype), 8);
	}
	return 0;
}

static __always_inline __u32 st_cooked_next(__u32 type)
{
	return type > ST_IEEE_802_3_MAX ? ST_ETHERTYPE(type) : ST_COOKED(type);
}

/* A link type that is not read: its number in two bytes that are no protocol's. */
static __always_inline void st_other_link(struct st_walk *walk, __u32 link)
{
	st_path_push(walk, ST_DLT, 8);
	st_path_push(walk, 0x80 | (link >> 7 & 0x7f), 8);
	st_path_push(walk, 0x80 | (link & 0x7f), 8);
}

/*
 * The outermost layer, by the socket's or the file's link type. Its name is on the path in any case:
 * the link type says so, not the packet. 0: it isn't read.
 */
static __always_inline __u32 st_link_layer(struct st_step *step, const __u8 *h, __u32 link)
{
	switch (link) {
	case ST_LINK_ETH:
		st_step_init(step, 14);
		st_eth(step, h);
		return ST_ETH;
	case ST_LINK_RAW:
		st_step_init(step, 1);
		st_raw(step, h);
		return ST_RAW;
	case ST_LINK_NULL:
		st_step_init(step, 4);
		st_null(step, h);
		return ST_NULL;
	case ST_LINK_LOOP:
		st_step_init(step, 4);
		st_loop(step, h);
		return ST_NULL;
	case ST_LINK_PPP:
		st_step_init(step, 1);
		st_ppp(step, h);
		return ST_PPP;
	case ST_LINK_PPP_DIR:
		st_step_init(step, 2);
		st_ppp(step, h + 1);
		step->header++;
		return ST_PPP;
	case ST_LINK_SLL_V1:
		st_step_init(step, 16);
		step->next = st_cooked_next(st_get16(h + 14));
		return ST_SLL;
	case ST_LINK_SLL_V2:
		st_step_init(step, 20);
		step->next = st_cooked_next(st_get16(h));
		return ST_SLL;
	}
	return 0;
}

static __always_inline void st_link(struct st_walk *walk, const struct st_packet *pkt,
				    const __u8 *h, __u32 link)
{
	struct st_step step = {0};
	__u32 protocol, type;

	if (link == ST_LINK_SLL) {
		st_path_push(walk, ST_SLL, 8);
		st_metadata_tag(walk, pkt);
		type = st_cooked_tags(walk, pkt, h, st_packet_ethertype(pkt));
		walk->next = st_cooked_next(type);
		return;
	}
	if (link & ST_LINK_LAYER) {
		walk->next = link ^ ST_LINK_LAYER;
		return;
	}
	protocol = st_link_layer(&step, h, link);
	if (!protocol) {
		st_other_link(walk, link);
		return;
	}
	st_path_push(walk, protocol, 8);
	if (!st_advance(walk, &step, 0, 0, 0))
		walk->next = ST_STOP;
	if (link == ST_LINK_ETH)
		st_metadata_tag(walk, pkt);
}

/* A transport layer of which so many bytes are there: the end of the path, or 0: find out. */
static __always_inline __u32 st_common_transport(const __u8 *h, __u32 protocol, __u32 left)
{
	__u32 source = ST_UDPPORT(st_get16(h));
	__u32 destination = ST_UDPPORT(st_get16(h + 2));

	if (protocol == 6)
		return left >= 20 ? ST_TCP : 0;
	if (protocol != 17 || left < 8 || st_find(source)->code == source ||
	    st_find(destination)->code == destination)
		return 0;
	return ST_UDP;
}

/*
 * TCP and plain UDP in IP in Ethernet, whole and with nothing unusual, need no walk: most packets are
 * that, and cost half. Only what the walk would find too. 0: find out.
 */
static __always_inline __u32 st_common(const struct st_packet *pkt, const __u8 *h, __u32 len)
{
	__u32 type = st_get16(h + 12);
	__u32 length, last;

	if (st_packet_tag(pkt))
		return 0;
	if (type == 0x0800 && h[14] == 0x45 && !(st_get16(h + 20) & 0x1fff)) {
		length = st_get16(h + 16);
		if (length < 28 || len < 14 + length)
			return 0;
		last = st_common_transport(h + 34, h[23], length - 20);
		return last ? ST_ETH << 16 | ST_IP << 8 | last : 0;
	}
	if (type == 0x86dd && h[14] >> 4 == 6) {
		length = st_get16(h + 18);
		if (length < 8 || len < 54 + length)
			return 0;
		last = st_common_transport(h + 54, h[20], length);
		return last ? ST_ETH << 16 | ST_IPV6 << 8 | last : 0;
	}
	return 0;
}

/* The part before the walk. A whole path's lower half, or 0: to be walked. */
static __always_inline __u32 st_parse_start(struct st_packet *pkt, __u32 link)
{
	struct st_walk *walk = ST_WALK(pkt);
	const __u8 *h;
	__u32 common, len;

	h = st_packet_open(pkt, &len);
	if (link == ST_LINK_ETH) {
		common = st_common(pkt, h, len);
		if (common)
			return common;
	}
	*walk = (struct st_walk){.len = len, .end = len};
	st_link(walk, pkt, h, link);
	return 0;
}

/*
 * So many steps of the walk. False: it has ended.
 *
 * What was found goes into the walk, as the verifier takes into account in all that follows what is
 * carried from one part of a round into the next in a register: that doubles its work.
 */
static __always_inline _Bool st_parse_steps(struct st_packet *pkt, __u32 steps)
{
	struct st_walk *walk = ST_WALK(pkt);
	const struct st_entry *entry;
	struct st_step step;
	const __u8 *h;

	for (__u32 round = 0; round < steps; round++) {
		ST_FORGET();
		entry = st_find(walk->next);
		if (entry->code != walk->next || !st_path_has_room(walk))
			return 0;
		walk->found = entry->found;
		if (!st_packet_at(pkt, walk, &h))
			return 0;
		st_step_init(&step, walk->found.fixed);
		st_layer(&step, h, walk->found.kind);
		ST_FORGET();
		if (!st_advance(walk, &step, walk->found.fixed, walk->found.protocol,
				walk->found.shift))
			return 0;
	}
	return 1;
}

static __always_inline struct st_path st_parse(struct st_packet *pkt, __u32 link)
{
	__u32 common = st_parse_start(pkt, link);

	if (common)
		return (struct st_path){.lo = common};
	st_parse_steps(pkt, ST_MAX_STEPS);
	return ST_WALK(pkt)->path;
}

#endif
