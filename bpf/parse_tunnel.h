/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* UDP and the tunnels: layers that have a whole packet inside. */
#ifndef SOCKTALLY_BPF_PARSE_TUNNEL_H
#define SOCKTALLY_BPF_PARSE_TUNNEL_H

#include "walk.h"

static __always_inline __u32 st_udp_port(__u32 port)
{
	switch (port) {
	case 1701:
		return ST_DIRECT(ST_L2TP);
	case 2123:
	case 2152:
	case 3386:
		return ST_DIRECT(ST_GTP);
	case 3544:
		return ST_DIRECT(ST_TEREDO);
	case 4789:
		return ST_DIRECT(ST_VXLAN);
	case 6081:
		return ST_DIRECT(ST_GENEVE);
	}
	return ST_STOP;
}

static __always_inline void st_udp(struct st_walk *walk, const __u8 *h, __u32 protocol)
{
	__u32 low, high, next, length;

	if (!st_enter(walk, protocol, 8))
		return;
	length = st_get16(h + 4);
	if (protocol == ST_UDP && length) {
		if (length < 8)
			return;
		st_limit(walk, length);
	}
	low = st_get16(h);
	high = st_get16(h + 2);
	next = st_udp_port(low);
	if (!next)
		next = st_udp_port(high);
	st_leave_if_more(walk, 8, next);
}

#define ST_GRE_CHECKSUM 0x8000
#define ST_GRE_ROUTING 0x4000
#define ST_GRE_KEY 0x2000
#define ST_GRE_SEQUENCE 0x1000
#define ST_GRE_ACK 0x0080
#define ST_GRE_VERSION 0x0007

static __always_inline void st_gre(struct st_walk *walk, const __u8 *h)
{
	__u32 flags, type, header = 4;

	if (!st_enter(walk, ST_GRE, 4))
		return;
	flags = st_get16(h);
	type = st_get16(h + 2);
	if (flags & (ST_GRE_CHECKSUM | ST_GRE_ROUTING))
		header += 4;
	if (flags & ST_GRE_KEY)
		header += 4;
	if (flags & ST_GRE_SEQUENCE)
		header += 4;
	if (flags & ST_GRE_ACK && (flags & ST_GRE_VERSION) == 1)
		header += 4;
	st_leave(walk, header, ST_GRETYPE(type));
}

static __always_inline void st_erspan(struct st_walk *walk, const __u8 *h)
{
	__u32 header = 8;

	if (!st_enter(walk, ST_ERSPAN, 8))
		return;
	if (h[0] >> 4 == 2) /* type III */
		header = h[11] & 1 ? 20 : 12;
	st_leave(walk, header, ST_DIRECT(ST_ETH));
}

static __always_inline void st_vxlan(struct st_walk *walk)
{
	if (st_enter(walk, ST_VXLAN, 8))
		st_leave(walk, 8, ST_DIRECT(ST_ETH));
}

static __always_inline void st_geneve(struct st_walk *walk, const __u8 *h)
{
	if (st_enter(walk, ST_GENEVE, 8) && !(h[0] >> 6))
		st_leave(walk, 8 + (h[0] & 63) * 4, ST_ETHERTYPE(st_get16(h + 2)));
}

/* An IP packet, told by its first byte as far as it can be. */
static __always_inline __u32 st_gtp_payload(__u32 first)
{
	if (first >= 0x45 && first <= 0x4e)
		return ST_DIRECT(ST_IP);
	if (first >> 4 == 6)
		return ST_DIRECT(ST_IPV6);
	return ST_STOP;
}

static __always_inline void st_gtp(struct st_walk *walk, const __u8 *h)
{
	__u32 flags = h[0];

	walk->next = ST_STOP;
	if (flags >> 5 != 1 || !st_enter(walk, ST_GTP, 8))
		return;
	if (h[1] != 0xff || !(flags & 0x10)) /* T-PDU */
		return;
	if (!(flags & 7))
		st_leave_if_more(walk, 8, st_gtp_payload(h[8]));
	else if (!(flags & 4) || !h[11])
		st_leave_if_more(walk, 12, st_gtp_payload(h[12]));
	else
		st_leave_if_more(walk, 12, ST_MORE(ST_GTP));
}

/* Extension headers: the length in 4 bytes, ..., the type of the next one in the last byte. */
static __always_inline void st_gtp_extension(struct st_walk *walk, const __u8 *h)
{
	__u32 length = h[0] * 4;

	walk->next = ST_STOP;
	if (!length || length > 32 || st_left(walk) <= length)
		return;
	st_leave_if_more(walk, length, h[length - 1] ? ST_MORE(ST_GTP) : st_gtp_payload(h[length]));
}

/* RFC 4380, 5.1.1: authentication and origin before the IPv6 packet. */
static __always_inline void st_teredo_part(struct st_walk *walk, const __u8 *h)
{
	walk->next = ST_STOP;
	if (st_left(walk) < 4)
		return;
	if (!h[0] && h[1] == 1)
		st_leave_if_more(walk, 13 + h[2] + h[3], ST_MORE(ST_TEREDO));
	else if (!h[0] && !h[1])
		st_leave_if_more(walk, 8, ST_MORE(ST_TEREDO));
	else
		walk->next = ST_DIRECT(ST_IPV6);
}

static __always_inline void st_teredo(struct st_walk *walk, const __u8 *h)
{
	if (st_enter(walk, ST_TEREDO, 1))
		st_teredo_part(walk, h);
}

/* RFC 8300: the base header's length field counts 4 bytes. */
static __always_inline __u32 st_nsh_next(__u32 protocol)
{
	switch (protocol) {
	case 1:
		return ST_DIRECT(ST_IP);
	case 2:
		return ST_DIRECT(ST_IPV6);
	case 3:
		return ST_DIRECT(ST_ETH);
	case 4:
		return ST_DIRECT(ST_NSH);
	case 5:
		return ST_DIRECT(ST_MPLS);
	}
	return ST_STOP;
}

static __always_inline void st_nsh(struct st_walk *walk, const __u8 *h)
{
	if (st_enter(walk, ST_NSH, 8))
		st_leave_if_more(walk, (h[1] & 63) * 4, st_nsh_next(h[3]));
}

/* RFC 2661, 3.1 */
#define ST_L2TP_CONTROL 0x8000
#define ST_L2TP_LENGTH 0x4000
#define ST_L2TP_SEQUENCE 0x0800
#define ST_L2TP_OFFSET 0x0200
#define ST_L2TP_VERSION 0x000f

static __always_inline void st_l2tp(struct st_walk *walk, const __u8 *h)
{
	__u32 flags, header = 6;

	if (!st_enter(walk, ST_L2TP, 6))
		return;
	flags = st_get16(h);
	if ((flags & ST_L2TP_VERSION) != 2 || flags & ST_L2TP_CONTROL)
		return;
	if (flags & ST_L2TP_LENGTH)
		header += 2;
	if (flags & ST_L2TP_SEQUENCE)
		header += 4;
	if (flags & ST_L2TP_OFFSET) {
		__u32 size = header <= 8 ? (header == 6 ? st_get16(h + 6) : st_get16(h + 8))
			     : (header == 10 ? st_get16(h + 10) : st_get16(h + 12));

		header += 2 + size;
	}
	st_leave_if_more(walk, header, ST_DIRECT(ST_PPP));
}

#endif
