/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Layers from the wire up to the network layer. */
#ifndef SOCKTALLY_BPF_PARSE_LINK_H
#define SOCKTALLY_BPF_PARSE_LINK_H

#include "walk.h"

/* Up to this, the type field of Ethernet is a length (IEEE 802.3, 3.2.6). */
#define ST_IEEE_802_3_MAX 1500

/* A header that ends with Ethernet's type field. */
static __always_inline struct st_step st_typed(const __u8 *h, __u32 protocol, __u32 header)
{
	struct st_step step = st_simple(protocol, header, ST_STOP);
	__u32 type = st_get16(h + header - 2);

	if (type > ST_IEEE_802_3_MAX) {
		step.next = ST_ETHERTYPE(type);
		return step;
	}
	step.limit = header + type;
	/* What begins with ffff is raw IPX: these are not two SAPs. */
	if (st_get16(h + header) != 0xffff)
		step.next = ST_DIRECT(ST_LLC);
	return step;
}

static __always_inline struct st_step st_eth(const __u8 *h)
{
	struct st_step step = st_typed(h, ST_ETH, 14);

	if (!st_get16(h + 12))
		step.next = ST_STOP;
	return step;
}

/* Organizations in the SNAP header. */
#define ST_OUI_ETHERTYPE 0x000000
#define ST_OUI_CISCO_90 0x0000f8
#define ST_OUI_CISCO 0x00000c
#define ST_OUI_IEEE_802_1 0x0080c2

static __always_inline __u32 st_snap_next(__u32 oui, __u32 type)
{
	switch (oui) {
	case ST_OUI_ETHERTYPE:
	case ST_OUI_CISCO_90:
		return ST_ETHERTYPE(type);
	case ST_OUI_CISCO:
		return type == 0x010b ? ST_DIRECT(ST_STP) : ST_STOP; /* PVST+ */
	case ST_OUI_IEEE_802_1: /* RFC 2684, 5.2 */
		if (type == 0x0001 || type == 0x0007)
			return ST_DIRECT(ST_ETH);
		return type == 0x000e ? ST_DIRECT(ST_STP) : ST_STOP;
	}
	return ST_STOP;
}

static __always_inline struct st_step st_llc(const __u8 *h)
{
	__u32 control = h[2];
	/* Unnumbered frames have one byte of control, all others two. */
	struct st_step step = st_simple(ST_LLC, (control & 3) == 3 ? 3 : 4, ST_STOP);

	step.fixed = 3;
	if (h[0] == 0xaa && h[1] == 0xaa) {
		if ((control & 3) == 3)
			step.next = st_snap_next(st_get32(h + 3) >> 8, st_get16(h + 6));
		else
			step.next = st_snap_next(st_get32(h + 4) >> 8, st_get16(h + 7));
		step.header += 5;
	} else if (!(control & 1) || (control & 0xef) == 3) { /* I, UI */
		step.next = ST_SAP(h[0] ? h[0] : h[1]);
		step.more = 1;
	}
	return step;
}

/* The stack counts as one layer: next is a further part of it until the bottom is reached. */
static __always_inline struct st_step st_mpls(const __u8 *h)
{
	struct st_step step = st_simple(ST_MPLS, 4, ST_STOP);

	step.more = 1;
	if (!(h[2] & 1))
		step.next = ST_MORE(ST_MPLS);
	else if (h[4] >> 4 == 4)
		step.next = ST_DIRECT(ST_IP);
	else if (h[4] >> 4 == 6)
		step.next = ST_DIRECT(ST_IPV6);
	return step;
}

static __always_inline struct st_step st_mpls_more(const __u8 *h)
{
	struct st_step step = st_mpls(h);

	step.part = 1;
	return step;
}

static __always_inline struct st_step st_ppp(const __u8 *h)
{
	/* Address and control, where HDLC's framing is kept (RFC 1662, 3.1). */
	_Bool framed = h[0] == 0xff && h[1] == 0x03;
	__u32 type = framed ? st_get16(h + 2) : st_get16(h);
	__u32 header = framed ? 4 : 2;
	struct st_step step;

	/* An odd first byte: the protocol is compressed to one byte (RFC 1661, 6.5). */
	if (type & 0x100) {
		type >>= 8;
		header--;
	}
	step = st_simple(ST_PPP, header, ST_PPPTYPE(type));
	step.fixed = header;
	return step;
}

static __always_inline struct st_step st_sll_v1(const __u8 *h)
{
	return st_simple(ST_SLL, 16, ST_ETHERTYPE(st_get16(h + 14)));
}

static __always_inline struct st_step st_sll_v2(const __u8 *h)
{
	return st_simple(ST_SLL, 20, ST_ETHERTYPE(st_get16(h)));
}

static __always_inline __u32 st_null_next(__u32 family)
{
	switch (family) {
	case 2:
		return ST_DIRECT(ST_IP);
	case 10: /* Linux */
	case 24: /* NetBSD, OpenBSD */
	case 28: /* FreeBSD */
	case 30: /* Darwin */
		return ST_DIRECT(ST_IPV6);
	}
	return family > ST_IEEE_802_3_MAX && family <= 0xffff ? ST_ETHERTYPE(family) : ST_STOP;
}

/* The family is in the byte order of the host that captured, which is not known. */
static __always_inline struct st_step st_null(const __u8 *h)
{
	__u32 family = st_get32(h);

	if (family & 0xffff0000)
		family = __builtin_bswap32(family);
	return st_simple(ST_NULL, 4, st_null_next(family));
}

static __always_inline struct st_step st_raw(const __u8 *h)
{
	struct st_step step = st_simple(ST_RAW, 0, ST_STOP);

	step.more = 1;
	if (h[0] >> 4 == 4)
		step.next = ST_DIRECT(ST_IP);
	else if (h[0] >> 4 == 6)
		step.next = ST_DIRECT(ST_IPV6);
	return step;
}

#endif
