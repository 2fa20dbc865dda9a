/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Layers from the wire up to the network layer. */
#ifndef SOCKTALLY_BPF_PARSE_LINK_H
#define SOCKTALLY_BPF_PARSE_LINK_H

#include "walk.h"

/* Up to this, the type field of Ethernet is a length (IEEE 802.3, 3.2.6). */
#define ST_IEEE_802_3_MAX 1500

/* Ethernet's and VLAN's type field, the last two bytes of their header. */
static __always_inline void st_leave_ether(struct st_walk *walk, const __u8 *h, __u32 header)
{
	__u32 type = st_get16(h + header - 2);

	st_leave(walk, header, ST_ETHERTYPE(type));
	if (type > ST_IEEE_802_3_MAX || !walk->next)
		return;
	st_limit(walk, type);
	walk->next = ST_DIRECT(ST_LLC);
	/* What begins with ffff is raw IPX: these are not two SAPs. */
	if (st_left(walk) >= 2 && st_get16(h + header) == 0xffff)
		walk->next = ST_STOP;
}

static __always_inline void st_eth(struct st_walk *walk, const __u8 *h)
{
	if (!st_enter(walk, ST_ETH, 14))
		return;
	if (!st_get16(h + 12))
		return;
	st_leave_ether(walk, h, 14);
}

static __always_inline void st_vlan(struct st_walk *walk, const __u8 *h, __u32 protocol)
{
	if (st_enter(walk, protocol, 4))
		st_leave_ether(walk, h, 4);
}

/* A tag in the metadata: no bytes of its own; what comes next is known. */
static __always_inline void st_vlan_tag(struct st_walk *walk, __u32 tag)
{
	if (tag)
		st_path_push(walk, tag == 0x88a8 ? ST_IEEE8021AD : ST_VLAN);
}

/* Organizations in the SNAP header. */
#define ST_OUI_ETHERTYPE 0x000000
#define ST_OUI_CISCO_90 0x0000f8
#define ST_OUI_CISCO 0x00000c
#define ST_OUI_IEEE_802_1 0x0080c2

static __always_inline void st_snap(struct st_walk *walk, const __u8 *h, __u32 header)
{
	__u32 oui = st_get32(h + header) >> 8;
	__u32 type = st_get16(h + header + 3);

	switch (oui) {
	case ST_OUI_ETHERTYPE:
	case ST_OUI_CISCO_90:
		st_leave(walk, header + 5, ST_ETHERTYPE(type));
		break;
	case ST_OUI_CISCO:
		if (type == 0x010b) /* PVST+ */
			st_leave(walk, header + 5, ST_DIRECT(ST_STP));
		break;
	case ST_OUI_IEEE_802_1: /* RFC 2684 */
		if (type == 0x0001 || type == 0x0007)
			st_leave(walk, header + 5, ST_DIRECT(ST_ETH));
		else if (type == 0x000e)
			st_leave(walk, header + 5, ST_DIRECT(ST_STP));
		break;
	}
}

static __always_inline void st_llc(struct st_walk *walk, const __u8 *h)
{
	__u32 control, header;

	if (!st_enter(walk, ST_LLC, 3))
		return;
	control = h[2];
	/* Unnumbered frames have one byte of control, all others two. */
	header = (control & 3) == 3 ? 3 : 4;
	if (h[0] == 0xaa && h[1] == 0xaa)
		st_snap(walk, h, header);
	else if (!(control & 1) || (control & 0xef) == 3) /* I, UI */
		st_leave_if_more(walk, header, ST_SAP(h[0] ? h[0] : h[1]));
}

/* The stack counts as one layer: next comes back here until the bottom is reached. */
static __always_inline void st_mpls_label(struct st_walk *walk, const __u8 *h)
{
	walk->next = ST_STOP;
	if (st_left(walk) < 4)
		return;
	if (!(h[2] & 1)) {
		st_leave_if_more(walk, 4, ST_MORE(ST_MPLS));
		return;
	}
	switch (h[4] >> 4) {
	case 4:
		st_leave_if_more(walk, 4, ST_DIRECT(ST_IP));
		break;
	case 6:
		st_leave_if_more(walk, 4, ST_DIRECT(ST_IPV6));
		break;
	}
}

static __always_inline void st_mpls(struct st_walk *walk, const __u8 *h)
{
	if (st_enter(walk, ST_MPLS, 4))
		st_mpls_label(walk, h);
}

static __always_inline void st_pppoes(struct st_walk *walk)
{
	if (!st_enter(walk, ST_PPPOES, 8))
		return;
	st_leave(walk, 6, ST_DIRECT(ST_PPP));
}

static __always_inline void st_ppp(struct st_walk *walk, const __u8 *h)
{
	__u32 header = 0, type;

	if (!st_enter(walk, ST_PPP, 1))
		return;
	if (h[0] == 0xff && h[1] == 0x03)
		header = 2;
	/* An odd first byte: the protocol is compressed to one byte (RFC 1661, 6.5). */
	type = header ? h[2] : h[0];
	if (type & 1) {
		header++;
	} else {
		type = header ? st_get16(h + 2) : st_get16(h);
		header += 2;
	}
	st_leave(walk, header, ST_PPPTYPE(type));
}

static __always_inline void st_sll_v1(struct st_walk *walk, const __u8 *h)
{
	if (st_enter(walk, ST_SLL, 16))
		st_leave(walk, 16, ST_ETHERTYPE(st_get16(h + 14)));
}

static __always_inline void st_sll_v2(struct st_walk *walk, const __u8 *h)
{
	if (st_enter(walk, ST_SLL, 20))
		st_leave(walk, 20, ST_ETHERTYPE(st_get16(h)));
}

/* Address families of IPv6: Linux, the BSDs, Darwin. */
static __always_inline __u32 st_null_next(__u32 family)
{
	switch (family) {
	case 2:
		return ST_DIRECT(ST_IP);
	case 10:
	case 24:
	case 28:
	case 30:
		return ST_DIRECT(ST_IPV6);
	}
	return family > ST_IEEE_802_3_MAX ? ST_ETHERTYPE(family) : ST_STOP;
}

/* The family is in the byte order of the host that captured, which is not known. */
static __always_inline void st_null(struct st_walk *walk, const __u8 *h)
{
	__u32 family;

	if (!st_enter(walk, ST_NULL, 4))
		return;
	family = st_get32(h);
	if (family & 0xffff0000)
		family = __builtin_bswap32(family);
	st_leave(walk, 4, family > 0xffff ? ST_STOP : st_null_next(family));
}

static __always_inline void st_raw(struct st_walk *walk, const __u8 *h)
{
	if (!st_enter(walk, ST_RAW, 1))
		return;
	if (h[0] >> 4 == 4)
		walk->next = ST_DIRECT(ST_IP);
	else if (h[0] >> 4 == 6)
		walk->next = ST_DIRECT(ST_IPV6);
}

#endif
