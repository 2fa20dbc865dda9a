/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Finds a packet's path: its layers, outermost first.
 *
 * A layer names the next one by a number: an ethertype, an IP protocol, a port. dispatch.def has
 * the layer and the parser for each number. A parser is a function that reads a header and finds
 * the next number. A new protocol needs a line in protocols.def, a line in dispatch.def for each of
 * its numbers, and, if it has layers inside, a parser: a line in parsers.def, a function, and a
 * case in st_layer().
 */
#ifndef SOCKTALLY_BPF_PARSE_PARSE_H
#define SOCKTALLY_BPF_PARSE_PARSE_H

#include "bpf/parse/ip.h"
#include "bpf/parse/link.h"
#include "bpf/parse/wireless.h"
#include "bpf/parse/tunnel.h"

/* Steps at most after the link layer. A further part, as a label of an MPLS stack, is a step too. */
#define ST_MAX_STEPS 12

/* Of a tag: its identifier, in which flows are told apart; 0 is none (IEEE 802.1Q, 9.6). */
static __always_inline void st_note_vlan(struct st_walk *walk, __u32 control)
{
	walk->tags = walk->tags << 12 | (control & 0xfff);
}

static __always_inline void st_layer(struct st_walk *walk, struct st_step *step, const __u8 *h,
				     __u32 parser, const struct st_ports *ports)
{
	switch (parser) {
	case ST_PARSER_HAS_ETH:
		step->next = ST_DIRECT(ST_ETH);
		break;
	case ST_PARSER_HAS_IP:
		st_has_ip(step, h);
		break;
	case ST_PARSER_RADIOTAP:
		st_radiotap(step, h);
		break;
	case ST_PARSER_WLAN:
		st_wlan(step, h);
		break;
	case ST_PARSER_CHDLC:
		st_chdlc(step, h);
		break;
	case ST_PARSER_FR:
		st_fr(step, h);
		break;
	case ST_PARSER_FDDI:
		st_fddi(step, h);
		break;
	case ST_PARSER_WLAN_RADIO:
		step->next = ST_DIRECT(ST_WLAN);
		break;
	case ST_PARSER_ETH:
		st_eth(step, h);
		break;
	case ST_PARSER_VLAN:
		st_note_vlan(walk, st_get16(h));
		st_vlan(step, h);
		break;
	case ST_PARSER_IEEE8021AD:
		st_note_vlan(walk, st_get16(h));
		st_ieee8021ad(step, h);
		break;
	case ST_PARSER_TAG:
		st_tag(step, h);
		break;
	case ST_PARSER_MACSEC:
		st_macsec(step, h);
		break;
	case ST_PARSER_TRILL:
		st_trill(step, h);
		break;
	case ST_PARSER_UDPENCAP:
		st_udpencap(step, h);
		break;
	case ST_PARSER_AYIYA:
		st_ayiya(step, h);
		break;
	case ST_PARSER_PPPOES:
		st_pppoes(step, h);
		break;
	case ST_PARSER_LLC:
		st_llc(step, h);
		break;
	case ST_PARSER_MPLS:
		st_mpls(step, h);
		break;
	case ST_PARSER_PPP:
		st_ppp(step, h);
		break;
	case ST_PARSER_IP:
		walk->network = walk->off;
		st_ip(step, h);
		break;
	case ST_PARSER_IPV6:
		walk->network = walk->off;
		st_ipv6(step, h);
		break;
	case ST_PARSER_IPV6_HEADER:
		st_ipv6_header(step, h);
		break;
	case ST_PARSER_IPV6_FRAGHDR:
		st_ipv6_fraghdr(step, h);
		break;
	case ST_PARSER_AH:
		st_ah(step, h);
		break;
	case ST_PARSER_UDP:
		walk->transport = walk->off;
		st_udp(step, h, ports);
		break;
	case ST_PARSER_UDPLITE: /* its second field says how much the checksum covers */
		walk->transport = walk->off;
		st_udp_ports(step, h, ports);
		break;
	case ST_PARSER_GRE:
		st_gre(step, h);
		break;
	case ST_PARSER_ERSPAN:
		st_erspan(step, h);
		break;
	case ST_PARSER_WCCP:
		st_wccp(step, h);
		break;
	case ST_PARSER_VXLAN_GPE:
		st_vxlan_gpe(step, h);
		break;
	case ST_PARSER_GENEVE:
		st_geneve(step, h);
		break;
	case ST_PARSER_GTP:
		st_gtp(step, h);
		break;
	case ST_PARSER_GTP_EXTENSION:
		st_gtp_extension(step, h);
		break;
	case ST_PARSER_GTP_EXTENSION_END:
		st_gtp_extension_end(step, h);
		break;
	case ST_PARSER_TEREDO:
		st_teredo(step, h);
		break;
	case ST_PARSER_NSH:
		st_nsh(step, h);
		break;
	case ST_PARSER_L2TP:
		st_l2tp(step, h);
		break;
	case ST_PARSER_L2TP_OFFSET:
		st_l2tp_offset(step, h);
		break;
	}
}

static __always_inline __u32 st_tag_protocol(__u32 ethertype)
{
	switch (ethertype) {
	case 0x8100:
	case 0x9100:
	case 0x9200:
		return ST_VLAN;
	case 0x88a8:
		return ST_IEEE8021AD;
	}
	return 0;
}

/* A VLAN tag in the packet's metadata (a socket's packet only): a layer without bytes. */
static __always_inline void st_metadata_tag(struct st_walk *walk, const struct st_packet *pkt)
{
	__u32 tag = st_packet_tag(pkt);

	if (!tag)
		return;
	st_path_push(walk, tag == 0x88a8 ? ST_IEEE8021AD : ST_VLAN, 8);
	st_note_vlan(walk, st_packet_vlan(pkt));
}

/*
 * A packet that was sent with VLAN tags in its bytes, on a cooked socket. skb->protocol is the
 * outer tag's ethertype. Mostly the packet starts at the network header, behind the tags: then the
 * tags are read from the link header in front of it. If the sender had not set the network header,
 * the packet starts with the tags. Returns the ethertype of what the packet starts with.
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
		if (i < ST_SENT_TAGS)
			st_note_vlan(walk, st_get16(link + 14 + 4 * i));
	}
	return 0;
}

static __always_inline __u32 st_cooked_next(__u32 type)
{
	return type > ST_IEEE_802_3_MAX ? ST_ETHERTYPE(type) : ST_COOKED(type);
}

/* The code of a link type that is elsewhere a layer inside another one; ST_STOP: it is none. */
static __always_inline __u32 st_link_code(__u32 link)
{
	switch (link) {
	case ST_LINK_OTHER | ST_LINKTYPE_IEEE802_11:
		return ST_DIRECT(ST_WLAN);
	case ST_LINK_OTHER | ST_LINKTYPE_IEEE802_11_RADIOTAP:
		return ST_DIRECT(ST_RADIOTAP);
	}
	return link & ST_LINK_LAYER ? link ^ ST_LINK_LAYER : ST_STOP;
}

/* Where the link type is a layer, that layer is on the path even if its header is cut short. */
static __always_inline void st_name_link(struct st_walk *walk, __u32 link)
{
	if (!walk->path.lo)
		st_path_push(walk, st_find(st_link_code(link))->found.protocol, 8);
}

/* A link type that is not parsed: its number, in two bytes of 128 or more. */
static __always_inline void st_other_link(struct st_walk *walk, __u32 link)
{
	st_path_push(walk, ST_DLT, 8);
	st_path_push(walk, 0x80 | (link >> 7 & 0x7f), 8);
	st_path_push(walk, 0x80 | (link & 0x7f), 8);
}

/*
 * The outermost layer, by the socket's or the file's link type. It is on the path even if the
 * packet is cut short, because the link type names it. 0: not parsed here.
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
	walk->next = st_link_code(link);
	if (walk->next != ST_STOP)
		return;
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

/* ST_TCP or ST_UDP if that is the last layer, left bytes long; 0: it may be another. */
static __always_inline __u32 st_common_transport(const struct st_packet *pkt, const __u8 *h,
						 __u32 protocol, __u32 left)
{
	const struct st_ports *ports = st_packet_ports(pkt);
	__u32 both, source, destination;

	if (protocol == 6)
		return left >= 20 ? ST_TCP : 0;
	if (protocol != 17 || left < 8)
		return 0;
	both = st_get32(h);
	source = ST_UDPPORT(st_standard_port(ports, both >> 16));
	destination = ST_UDPPORT(st_standard_port(ports, both & 0xffff));
	if (st_find(source)->code == source || st_find(destination)->code == destination)
		return 0;
	return ST_UDP;
}

/*
 * The fast path: TCP and plain UDP directly in IP in Ethernet, with no options and not cut short.
 * Most packets are that, and without a walk they cost half. Few loads, as in the kernel each costs. Returns
 * what the walk would find; 0: walk. there: as st_packet_open() says.
 */
static __always_inline __u32 st_common(const struct st_packet *pkt, const __u8 *h, __u32 len,
				       __u32 there)
{
	__u64 first = st_get64(h + 12), second = st_get64(h + 20); /* bytes 12 to 27 */
	__u32 type = first >> 48, version = first >> 40 & 0xff, length, last;

	if (st_packet_tag(pkt))
		return 0;
	if (type == 0x0800 && version == 0x45 && !(second >> 48 & 0x1fff)) {
		length = first >> 16 & 0xffff;
		if (length < 28 || len < 14 + length)
			return 0;
		last = st_common_transport(pkt, h + 34, second >> 32 & 0xff, length - 20);
		return last ? ST_ETH << 16 | ST_IP << 8 | last : 0;
	}
	if (type == 0x86dd && version >> 4 == 6) {
		length = first & 0xffff;
		if (length < 8 || len < 54 + length || there < 58)
			return 0;
		last = st_common_transport(pkt, h + 54, second >> 56, length);
		return last ? ST_ETH << 16 | ST_IPV6 << 8 | last : 0;
	}
	return 0;
}

/* Of a packet whose path is st_common()'s: where its transport's header starts, and the fixed part of it ends. */
static __always_inline __u32 st_common_start(__u32 common)
{
	return (common >> 8 & 0xff) == ST_IPV6 ? 54 : 34;
}

static __always_inline __u32 st_common_end(__u32 common)
{
	return st_common_start(common) + ((common & 0xff) == ST_TCP ? 20 : 8);
}

/* What the walk would leave behind of such a packet. */
static __always_inline void st_common_walk(struct st_walk *walk, const __u8 *h, __u32 common,
					   __u32 len)
{
	const _Bool ipv6 = (common >> 8 & 0xff) == ST_IPV6;

	walk->network = 14;
	walk->transport = st_common_start(common);
	walk->off = st_common_end(common);
	walk->end = ipv6 ? 54 + st_get16(h + 18) : 14 + st_get16(h + 16);
	walk->tags = 0;
	walk->len = len;
	walk->base = 0;
}

/* Before the walk. Returns the path's lower half if that is the whole path; 0: walk. */
static __always_inline __u32 st_parse_start(struct st_packet *pkt, __u32 link)
{
	struct st_walk *walk = ST_WALK(pkt);
	const __u8 *h;
	__u32 common, len, there;

	h = st_packet_open(pkt, &len, &there);
	link = st_packet_kind(pkt, h, len, link);
	if (link == ST_LINK_ETH) {
		common = st_common(pkt, h, len, there);
		if (common) {
			ST_NOTE_COMMON(pkt, h, common, len);
			return common;
		}
	}
	*walk = (struct st_walk){.len = len, .end = len};
	st_link(walk, pkt, h, link);
	return 0;
}

/*
 * Takes up to this many steps of the walk. False: the walk has ended.
 *
 * The entry is copied into the walk, because a value that stays in a register from one half of a
 * round to the other makes verifier states differ, and that doubles the verifier's work.
 */
static __always_inline _Bool st_parse_steps(struct st_packet *pkt, __u32 steps)
{
	struct st_walk *walk = ST_WALK(pkt);
	const struct st_entry *entry;
	struct st_step *step = &walk->step;
	const __u8 *h;

	for (__u32 round = 0; round < steps; round++) {
		ST_FORGET();
		entry = st_find(walk->next);
		if (entry->code != walk->next || !st_path_has_room(walk))
			return 0;
		walk->found = entry->found;
		st_step_init(step, walk->found.fixed);
		if (walk->found.parser != ST_PARSER_LAST) { /* of others no byte is looked at */
			if (!st_packet_at(pkt, walk, &h))
				return 0;
			st_layer(walk, step, h, walk->found.parser, st_packet_ports(pkt));
		}
		ST_FORGET();
		if (!st_advance(walk, step, walk->found.fixed, walk->found.protocol,
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
	st_name_unread(ST_WALK(pkt));
	st_name_link(ST_WALK(pkt), link);
	return ST_WALK(pkt)->path;
}

#endif
