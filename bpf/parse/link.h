/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Layers from the wire up to the network layer. */
#ifndef SOCKTALLY_BPF_PARSE_LINK_H
#define SOCKTALLY_BPF_PARSE_LINK_H

#include "bpf/parse/walk.h"

/* Ethernet's type field is a length up to this value (IEEE 802.3, 3.2.6). */
#define ST_IEEE_802_3_MAX 1500

/* type: the type field at the end of the header; inside: the two bytes after it. */
static __always_inline void st_ether_type(struct st_step *step, __u32 type, __u32 inside)
{
	if (type > ST_IEEE_802_3_MAX) {
		step->next = ST_ETHERTYPE(type);
		return;
	}
	step->limit = step->header + type;
	/* ffff is not two SAPs but raw IPX. */
	step->next = inside == 0xffff ? ST_ETHERTYPE(0x8137) : ST_DIRECT(ST_LLC);
}

static __always_inline void st_eth(struct st_step *step, const __u8 *h)
{
	__u32 type = st_get16(h + 12);

	if (type && type <= ST_IEEE_802_3_MAX && st_get32(h) == 0x01000c00 && !h[4]) {
		/* Cisco's ISL: 26 bytes around an Ethernet frame. */
		step->header = 26;
		step->next = ST_DIRECT(ST_ETH);
	} else if (type) {
		st_ether_type(step, type, st_get16(h + 14));
	}
}

static __always_inline void st_vlan(struct st_step *step, const __u8 *h)
{
	st_ether_type(step, st_get16(h + 2), st_get16(h + 4));
}

/* Two such tags in a row are one layer, as in Wireshark. */
static __always_inline void st_ieee8021ad(struct st_step *step, const __u8 *h)
{
	__u32 type = st_get16(h + 2);

	if (type == 0x88a8) {
		step->header = 8;
		type = st_get16(h + 6);
	}
	if (type > ST_IEEE_802_3_MAX)
		step->next = ST_ETHERTYPE(type);
}

/* By the version behind a header of fixed length. */
static __always_inline void st_has_ip(struct st_step *step, const __u8 *h)
{
	__u32 version = *st_at(h, step->header & 31) >> 4;

	step->more = 1;
	if (version == 4)
		step->next = ST_DIRECT(ST_IP);
	else if (version == 6)
		step->next = ST_DIRECT(ST_IPV6);
}

/* Its length is that of the fixed part, which has the type in its last two bytes. */
static __always_inline void st_tag(struct st_step *step, const __u8 *h)
{
	step->next = ST_ETHERTYPE(st_get16(st_at(h, (step->header - 2) & 31)));
}

/* IEEE 802.1AE, 9: the identifier of a channel, encrypted, changed */
#define ST_MACSEC_CHANNEL 0x20
#define ST_MACSEC_HIDDEN 0x0c

static __always_inline void st_macsec(struct st_step *step, const __u8 *h)
{
	_Bool channel = h[0] & ST_MACSEC_CHANNEL;

	step->header = channel ? 16 : 8;
	if (!(h[0] & ST_MACSEC_HIDDEN))
		step->next = ST_ETHERTYPE(channel ? st_get16(h + 14) : st_get16(h + 6));
}

/* RFC 6325, 3.2: options in units of 4 bytes, then an Ethernet frame. */
static __always_inline void st_trill(struct st_step *step, const __u8 *h)
{
	step->header += ((st_get16(h) >> 6) & 31) * 4;
	step->next = ST_DIRECT(ST_ETH);
}

static __always_inline void st_pppoes(struct st_step *step, const __u8 *h)
{
	step->limit = 6 + st_get16(h + 4);
	step->next = ST_DIRECT(ST_PPP);
}

/* Organizations in the SNAP header. */
#define ST_OUI_ETHERTYPE 0x000000
#define ST_OUI_CISCO_90 0x0000f8
#define ST_OUI_CISCO 0x00000c
#define ST_OUI_IEEE_802_1 0x0080c2

/* The SAP of a SNAP header. No layer has this code: a type of an organization that isn't known. */
#define ST_SNAP 0xaa

static __always_inline __u32 st_snap_cisco(__u32 type)
{
	switch (type) {
	case 0x0104:
		return ST_DIRECT(ST_PAGP);
	case 0x0108: /* RLQ */
	case 0x0109: /* UplinkFast */
	case 0x010b: /* PVST+ */
	case 0x010c: /* VLAN bridge */
		return ST_DIRECT(ST_STP);
	case 0x0111:
		return ST_DIRECT(ST_UDLD);
	case 0x2000:
		return ST_DIRECT(ST_CDP);
	case 0x2003:
		return ST_DIRECT(ST_VTP);
	case 0x2004:
		return ST_DIRECT(ST_DTP);
	}
	return ST_SAP(ST_SNAP);
}

static __always_inline __u32 st_snap_next(const __u8 *snap)
{
	__u32 oui = st_get32(snap) >> 8;
	__u32 type = st_get16(snap + 3);

	switch (oui) {
	case ST_OUI_ETHERTYPE:
	case ST_OUI_CISCO_90:
		return ST_ETHERTYPE(type);
	case ST_OUI_CISCO:
		return st_snap_cisco(type);
	case ST_OUI_IEEE_802_1: /* RFC 2684, 5.2 */
		if (type == 0x0001 || type == 0x0007)
			return ST_DIRECT(ST_ETH);
		return type == 0x000e ? ST_DIRECT(ST_STP) : ST_SAP(ST_SNAP);
	}
	return ST_SAP(ST_SNAP);
}

static __always_inline void st_llc(struct st_step *step, const __u8 *h)
{
	__u32 control = h[2];
	/* Unnumbered frames have one byte of control, all others two. */
	__u32 header = (control & 3) == 3 ? 3 : 4;

	step->header = header;
	if (control & 1 && (control & 0xef) != 3) /* neither I nor UI: no payload */
		return;
	if (h[0] == 0xaa && h[1] == 0xaa) {
		step->header += 5;
		step->next = header == 3 ? st_snap_next(h + 3) : st_snap_next(h + 4);
		if (step->next == ST_DIRECT(ST_ETH)) /* behind two bytes of padding */
			step->header += 2;
	} else {
		step->next = ST_SAP(h[0]);
		step->more = 1;
	}
}

/* Labels with management inside, not user traffic (RFC 5586, RFC 3429). */
#define ST_MPLS_GAL 13
#define ST_MPLS_OAM 14

static __always_inline _Bool st_has_type(const __u8 *eth)
{
	__u32 code = ST_ETHERTYPE(st_get16(eth + 12));

	return st_find(code)->code == code;
}

/*
 * A pseudowire: RFC 4448, Ethernet with a control word of 0 and a sequence number, or without. The label
 * says which, but not the packet: Ethernet is recognised by a known type.
 */
static __always_inline void st_pseudowire(struct st_step *step, const __u8 *inside)
{
	_Bool zeros = !(st_get32(inside) >> 16);
	_Bool word = zeros && st_has_type(inside + 4);

	if (word)
		step->header = 8;
	step->more = zeros && !word ? 4 + 14 : 14; /* all that was looked at */
	if (word || st_has_type(inside))
		step->next = ST_DIRECT(ST_ETH);
}

/* The first nibble behind the labels. */
#define ST_PW_ASSOCIATED 1 /* a channel for management (RFC 4385, 5) */

/* A stack of labels is one layer: each further label is a part of it. */
static __always_inline void st_mpls(struct st_step *step, const __u8 *h)
{
	__u32 label = st_get32(h) >> 12;

	step->more = 1;
	if (!(h[2] & 1))
		step->next = ST_MORE(ST_MPLS);
	else if (label == ST_MPLS_GAL || label == ST_MPLS_OAM)
		step->next = ST_STOP;
	else if (h[4] >> 4 == 4)
		step->next = ST_DIRECT(ST_IP);
	else if (h[4] >> 4 == 6)
		step->next = ST_DIRECT(ST_IPV6);
	else if (h[4] >> 4 != ST_PW_ASSOCIATED)
		st_pseudowire(step, h + 4);
}

static __always_inline void st_ppp(struct st_step *step, const __u8 *h)
{
	/* Address and control, where HDLC's framing is kept (RFC 1662, 3.1). */
	_Bool framed = h[0] == 0xff && h[1] == 0x03;
	__u32 type = framed ? st_get16(h + 2) : st_get16(h);

	step->header = framed ? 4 : 2;
	step->more = h[0] == 0xff; /* the second byte decides */
	/* An odd first byte: the protocol is compressed to one byte (RFC 1661, 6.5). */
	if (type & 0x100) {
		type >>= 8;
		step->header--;
	}
	step->next = ST_PPPTYPE(type);
}

/* Address families as numbered by BSD: AF_INET6 has a number of its own in each. */
static __always_inline __u32 st_family(__u32 family)
{
	switch (family) {
	case 2:
		return ST_DIRECT(ST_IP);
	case 7:
		return ST_SAP(0xfe); /* OSI */
	case 23:
		return ST_ETHERTYPE(0x8137); /* IPX */
	case 24:                             /* NetBSD, OpenBSD */
	case 28:                             /* FreeBSD */
	case 30:                             /* Darwin */
		return ST_DIRECT(ST_IPV6);
	}
	return ST_STOP;
}

static __always_inline void st_loop(struct st_step *step, const __u8 *h)
{
	step->next = st_family(st_get32(h));
}

/* The family is in the byte order of the capturing host, which the file does not say. */
static __always_inline void st_null(struct st_step *step, const __u8 *h)
{
	__u32 family = st_get32(h);

	if (family & 0xffff0000)
		family = __builtin_bswap32(family);
	step->next = family > ST_IEEE_802_3_MAX && family <= 0xffff ? ST_ETHERTYPE(family)
								    : st_family(family);
}

static __always_inline void st_raw(struct st_step *step, const __u8 *h)
{
	step->header = 0;
	step->more = 1;
	if (h[0] >> 4 == 4)
		step->next = ST_DIRECT(ST_IP);
	else if (h[0] >> 4 == 6)
		step->next = ST_DIRECT(ST_IPV6);
}

#endif
