/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* UDP and the tunnels: layers that have a whole packet inside. */
#ifndef SOCKTALLY_BPF_PARSE_TUNNEL_H
#define SOCKTALLY_BPF_PARSE_TUNNEL_H

#include "walk.h"

/* What uses the lower port, and if that is nothing known, the higher one. */
static __always_inline void st_udp_ports(struct st_step *step, const __u8 *h)
{
	__u32 source = ST_UDPPORT(st_get16(h));
	__u32 destination = ST_UDPPORT(st_get16(h + 2));
	__u32 low = source < destination ? source : destination;
	__u32 high = source < destination ? destination : source;

	step->more = 1;
	step->next = st_find(low)->code == low ? low : high;
}

static __always_inline void st_udp(struct st_step *step, const __u8 *h)
{
	__u32 length = st_get16(h + 4);

	if (length) /* 0: a jumbogram (RFC 2675, 4) */
		step->limit = length;
	st_udp_ports(step, h);
}

/* RFC 2784, 2890, 2637 */
#define ST_GRE_CHECKSUM 0x8000
#define ST_GRE_ROUTING 0x4000
#define ST_GRE_KEY 0x2000
#define ST_GRE_SEQUENCE 0x1000
#define ST_GRE_ACK 0x0080

static __always_inline void st_gre(struct st_step *step, const __u8 *h)
{
	__u32 flags = st_get16(h);

	step->header += flags & (ST_GRE_CHECKSUM | ST_GRE_ROUTING) ? 4 : 0;
	step->header += flags & ST_GRE_KEY ? 4 : 0;
	step->header += flags & ST_GRE_SEQUENCE ? 4 : 0;
	step->header += flags & ST_GRE_ACK ? 4 : 0;
	step->next = ST_GRETYPE(st_get16(h + 2));
}

static __always_inline void st_erspan3(struct st_step *step, const __u8 *h)
{
	if (h[11] & 1) /* a platform subheader */
		step->header += 8;
	step->next = ST_DIRECT(ST_ETH);
}

static __always_inline void st_geneve(struct st_step *step, const __u8 *h)
{
	step->header += (h[0] & 63) * 4;
	step->next = ST_ETHERTYPE(st_get16(h + 2));
}

/* An IP packet, told by its first byte as far as it can be. */
static __always_inline __u32 st_gtp_payload(__u32 first)
{
	if (first >= 0x45 && first <= 0x4e)
		return ST_DIRECT(ST_IP);
	return first >> 4 == 6 ? ST_DIRECT(ST_IPV6) : ST_STOP;
}

/* 3GPP TS 29.281, 5.1 */
static __always_inline void st_gtp(struct st_step *step, const __u8 *h)
{
	__u32 flags = h[0];

	step->more = 1;
	if (flags >> 5 != 1)
		step->fixed = ST_NOT_THIS;
	if (h[1] != 0xff || !(flags & 0x10)) /* T-PDU */
		return;
	if (!(flags & 7)) {
		step->next = st_gtp_payload(h[8]);
		return;
	}
	step->header = 12;
	step->next = flags & 4 && h[11] ? ST_MORE(ST_GTP) : st_gtp_payload(h[12]);
}

/* An extension header: its length in units of 4 bytes, ..., the type of the next one. */
static __always_inline void st_gtp_extension(struct st_step *step, const __u8 *h)
{
	step->header = h[0] * 4 - 1;
	step->more = 1;
	if (h[0])
		step->next = ST_END(ST_GTP);
}

static __always_inline void st_gtp_extension_end(struct st_step *step, const __u8 *h)
{
	step->more = 1;
	step->next = h[0] ? ST_MORE(ST_GTP) : st_gtp_payload(h[1]);
}

/* RFC 4380, 5.1.1: authentication and origin before the IPv6 packet. */
static __always_inline void st_teredo(struct st_step *step, const __u8 *h)
{
	__u32 header = 0;

	if (!h[0] && h[1] == 1)
		header = 13 + h[2] + h[3];
	else if (!h[0] && !h[1])
		header = 8;
	step->header = header;
	step->more = 1;
	step->next = header ? ST_MORE(ST_TEREDO) : ST_DIRECT(ST_IPV6);
}

/* RFC 8300, 2.2 */
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

static __always_inline void st_nsh(struct st_step *step, const __u8 *h)
{
	step->header = (h[1] & 63) * 4;
	step->more = 1;
	step->next = st_nsh_next(h[3]);
}

/* RFC 2661, 3.1 */
#define ST_L2TP_CONTROL 0x8000
#define ST_L2TP_LENGTH 0x4000
#define ST_L2TP_SEQUENCE 0x0800
#define ST_L2TP_OFFSET 0x0200
#define ST_L2TP_VERSION 0x000f

static __always_inline void st_l2tp(struct st_step *step, const __u8 *h)
{
	__u32 flags = st_get16(h);

	step->more = 1;
	step->header += flags & ST_L2TP_LENGTH ? 2 : 0;
	step->header += flags & ST_L2TP_SEQUENCE ? 4 : 0;
	if ((flags & (ST_L2TP_VERSION | ST_L2TP_CONTROL)) == 2)
		step->next = flags & ST_L2TP_OFFSET ? ST_MORE(ST_L2TP) : ST_DIRECT(ST_PPP);
}

static __always_inline void st_l2tp_offset(struct st_step *step, const __u8 *h)
{
	step->header += st_get16(h);
	step->more = 1;
	step->next = ST_DIRECT(ST_PPP);
}

#endif
