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

static __always_inline __u32 st_udp_next(const __u8 *h)
{
	__u32 next = st_udp_port(st_get16(h));

	return next ? next : st_udp_port(st_get16(h + 2));
}

static __always_inline struct st_step st_udp(const __u8 *h)
{
	__u32 length = st_get16(h + 4);

	return (struct st_step){
		.protocol = ST_UDP,
		.fixed = 8,
		.header = 8,
		.more = 1,
		.limit = length ? length : ST_NO_LIMIT, /* 0: a jumbogram (RFC 2675, 4) */
		.next = st_udp_next(h),
	};
}

/* What is a length in UDP's header says how much of it the checksum covers here. */
static __always_inline struct st_step st_udplite(const __u8 *h)
{
	return st_simple(ST_UDPLITE, 8, st_udp_next(h));
}

/* RFC 2784, 2890, 2637 */
#define ST_GRE_CHECKSUM 0x8000
#define ST_GRE_ROUTING 0x4000
#define ST_GRE_KEY 0x2000
#define ST_GRE_SEQUENCE 0x1000
#define ST_GRE_ACK 0x0080

static __always_inline struct st_step st_gre(const __u8 *h)
{
	__u32 flags = st_get16(h);
	__u32 type = st_get16(h + 2);
	struct st_step step = st_simple(ST_GRE, 4, ST_GRETYPE(type));

	step.header += flags & (ST_GRE_CHECKSUM | ST_GRE_ROUTING) ? 4 : 0;
	step.header += flags & ST_GRE_KEY ? 4 : 0;
	step.header += flags & ST_GRE_SEQUENCE ? 4 : 0;
	step.header += flags & ST_GRE_ACK ? 4 : 0;
	return step;
}

static __always_inline struct st_step st_erspan(const __u8 *h)
{
	__u32 header = 8;

	if (h[0] >> 4 == 2) /* type III */
		header = h[11] & 1 ? 20 : 12;
	return st_simple(ST_ERSPAN, header, ST_DIRECT(ST_ETH));
}

static __always_inline struct st_step st_geneve(const __u8 *h)
{
	struct st_step step = st_simple(ST_GENEVE, 8, ST_ETHERTYPE(st_get16(h + 2)));

	step.header += (h[0] & 63) * 4;
	return step;
}

/* An IP packet, told by its first byte as far as it can be. */
static __always_inline __u32 st_gtp_payload(__u32 first)
{
	if (first >= 0x45 && first <= 0x4e)
		return ST_DIRECT(ST_IP);
	return first >> 4 == 6 ? ST_DIRECT(ST_IPV6) : ST_STOP;
}

static __always_inline struct st_step st_gtp(const __u8 *h)
{
	struct st_step step = st_simple(ST_GTP, 8, ST_STOP);
	__u32 flags = h[0];

	step.more = 1;
	if (flags >> 5 != 1)
		step.fixed = ST_NOT_THIS;
	if (h[1] != 0xff || !(flags & 0x10)) /* T-PDU */
		return step;
	if (!(flags & 7)) {
		step.next = st_gtp_payload(h[8]);
		return step;
	}
	step.header = 12;
	if (flags & 4 && h[11])
		step.next = ST_MORE(ST_GTP);
	else
		step.next = st_gtp_payload(h[12]);
	return step;
}

/* An extension header: its length in units of 4 bytes, ..., the type of the next one. */
static __always_inline struct st_step st_gtp_extension(const __u8 *h)
{
	struct st_step step = st_simple(0, 1, ST_LAST(ST_GTP));

	step.part = 1;
	step.header = h[0] * 4 - 1;
	step.more = 1;
	if (!h[0])
		step.next = ST_STOP;
	return step;
}

static __always_inline struct st_step st_gtp_extension_end(const __u8 *h)
{
	struct st_step step = st_simple(0, 1, h[0] ? ST_MORE(ST_GTP) : st_gtp_payload(h[1]));

	step.part = 1;
	step.more = 1;
	return step;
}

/* RFC 4380, 5.1.1: authentication and origin before the IPv6 packet. */
static __always_inline struct st_step st_teredo_part(const __u8 *h)
{
	struct st_step step = st_simple(0, 0, ST_MORE(ST_TEREDO));

	step.part = 1;
	step.more = 1;
	if (!h[0] && h[1] == 1)
		step.header = 13 + h[2] + h[3];
	else if (!h[0] && !h[1])
		step.header = 8;
	else
		step.next = ST_DIRECT(ST_IPV6);
	return step;
}

/* RFC 8300 */
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

static __always_inline struct st_step st_nsh(const __u8 *h)
{
	struct st_step step = st_simple(ST_NSH, 8, st_nsh_next(h[3]));

	step.header = (h[1] & 63) * 4;
	step.more = 1;
	return step;
}

/* RFC 2661, 3.1 */
#define ST_L2TP_CONTROL 0x8000
#define ST_L2TP_LENGTH 0x4000
#define ST_L2TP_SEQUENCE 0x0800
#define ST_L2TP_OFFSET 0x0200
#define ST_L2TP_VERSION 0x000f

static __always_inline struct st_step st_l2tp(const __u8 *h)
{
	__u32 flags = st_get16(h);
	struct st_step step = st_simple(ST_L2TP, 6, ST_DIRECT(ST_PPP));

	step.more = 1;
	step.header += flags & ST_L2TP_LENGTH ? 2 : 0;
	step.header += flags & ST_L2TP_SEQUENCE ? 4 : 0;
	if (flags & ST_L2TP_OFFSET)
		step.next = ST_MORE(ST_L2TP);
	if ((flags & ST_L2TP_VERSION) != 2 || flags & ST_L2TP_CONTROL)
		step.next = ST_STOP;
	return step;
}

static __always_inline struct st_step st_l2tp_offset(const __u8 *h)
{
	struct st_step step = st_simple(0, 2, ST_DIRECT(ST_PPP));

	step.part = 1;
	step.header = 2 + st_get16(h);
	step.more = 1;
	return step;
}

#endif
