/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* UDP and the tunnels: layers with a whole packet inside. */
#ifndef SOCKTALLY_BPF_PARSE_TUNNEL_H
#define SOCKTALLY_BPF_PARSE_TUNNEL_H

#include "bpf/parse/walk.h"

/*
 * A tunnel is recognised by its destination port, whatever the source port: senders choose that by a hash
 * of what is inside, or take 0. By the source port only if the destination is no service's port: answers
 * of GTP, L2TP and Teredo go to the port from which they were asked.
 */
static __always_inline void st_udp_ports(struct st_step *step, const __u8 *h,
					 const struct st_ports *ports)
{
	__u32 source = ST_UDPPORT(st_standard_port(ports, st_get16(h)));
	__u32 destination = ST_UDPPORT(st_standard_port(ports, st_get16(h + 2)));

	step->more = 1;
	if (st_find(destination)->code == destination)
		step->next = destination;
	else if (destination >= ST_UDPPORT(1024))
		step->next = source;
}

static __always_inline void st_udp(struct st_step *step, const __u8 *h,
				   const struct st_ports *ports)
{
	__u32 length = st_get16(h + 4);

	if (length) /* 0: a jumbogram (RFC 2675, 4) */
		step->limit = length;
	st_udp_ports(step, h, ports);
}

#define ST_GRE_ERSPAN 0x88be
#define ST_GRE_PPP 0x880b

/* RFC 2784, 2890, 2637 */
#define ST_GRE_CHECKSUM 0x8000
#define ST_GRE_ROUTING 0x4000
#define ST_GRE_KEY 0x2000
#define ST_GRE_SEQUENCE 0x1000
#define ST_GRE_ACK 0x0080

static __always_inline void st_gre(struct st_step *step, const __u8 *h)
{
	__u32 flags = st_get16(h);
	__u32 type = st_get16(h + 2);

	if (flags & ST_GRE_ROUTING) /* source routes: withdrawn, to be discarded (RFC 2784, 2.2) */
		return;
	step->header += flags & ST_GRE_CHECKSUM ? 4 : 0;
	step->header += flags & ST_GRE_KEY ? 4 : 0;
	step->header += flags & ST_GRE_SEQUENCE ? 4 : 0;
	step->header += type == ST_GRE_PPP && flags & ST_GRE_ACK ? 4 : 0;
	/* ERSPAN without a sequence number is type I, which has no header. */
	if (type == ST_GRE_ERSPAN && !(flags & ST_GRE_SEQUENCE))
		step->next = ST_DIRECT(ST_ERSPAN);
	else
		step->next = ST_GRETYPE(type);
}

/* Web cache redirection: a header of 4 bytes (none in version 1), then IPv4. */
static __always_inline void st_wccp(struct st_step *step, const __u8 *h)
{
	step->header = h[0] >> 4 == 4 ? 0 : 4;
	step->more = 1;
	step->next = ST_DIRECT(ST_IP);
}

/* The version field is 1 for type II and 2 for type III. */
static __always_inline void st_erspan(struct st_step *step, const __u8 *h)
{
	__u32 version = h[0] >> 4;
	_Bool has_eth = version == 1;

	if (version == 2) {
		has_eth = !(h[10] & 0x7c); /* frame type */
		step->header =
			h[11] & 1 ? 20 : 12; /* with a platform specific subheader, or without */
	}
	if (has_eth)
		step->next = ST_DIRECT(ST_ETH);
}

static __always_inline void st_geneve(struct st_step *step, const __u8 *h)
{
	step->header += (h[0] & 63) * 4;
	step->next = ST_ETHERTYPE(st_get16(h + 2));
}

/*
 * The packet does not say whether it carries IP or an Ethernet frame (3GPP TS 23.501, 5.6.10.2). IP
 * is recognised by its first byte, Ethernet by a known ethertype.
 */
static __always_inline __u32 st_gtp_payload(const __u8 *payload)
{
	__u32 type = st_get16(payload + 12);

	if (payload[0] >= 0x45 && payload[0] <= 0x4e)
		return ST_DIRECT(ST_IP);
	if (payload[0] >> 4 == 6)
		return ST_DIRECT(ST_IPV6);
	return type == 0x0800 || type == 0x86dd || type == 0x0806 ? ST_DIRECT(ST_ETH) : ST_STOP;
}

/* The message types of 3GPP TS 29.060, table 1, as a bit mask: any other is not GTP. */
static __always_inline _Bool st_gtp_known(__u32 type)
{
	__u64 known = 0x7fff003fffff00feull;

	if (type >= 0xc0)
		known = 0xc003000000000000ull;
	else if (type >= 0x80)
		known = 0x3;
	else if (type >= 0x40)
		known = 0x03ff03ff00000040ull;
	return known >> (type & 63) & 1;
}

/* 3GPP TS 29.281, 5.1; version 0: TS 09.60, 6; version 2: TS 29.274, 5.1 */
static __always_inline void st_gtp(struct st_step *step, const __u8 *h)
{
	__u32 flags = h[0], version = h[0] >> 5;

	if (version > 2 || (version < 2 && !st_gtp_known(h[1])))
		step->missing = ST_NOT_THIS;
	if (version == 2 || h[1] != 0xff || !(flags & 0x10)) /* only T-PDUs carry packets */
		return;
	step->more = 1;
	if (version == 0) {
		step->header = 20;
		step->next = st_gtp_payload(h + 20);
		return;
	}
	step->limit = 8 + st_get16(h + 2);
	if (!(flags & 7)) {
		step->next = st_gtp_payload(h + 8);
		return;
	}
	step->header = 12;
	step->next = flags & 4 && h[11] ? ST_MORE(ST_GTP) : st_gtp_payload(h + 12);
}

/* An extension header: its length in units of 4 bytes first, the next one's type last. */
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
	step->next = h[0] ? ST_MORE(ST_GTP) : st_gtp_payload(h + 1);
}

/* RFC 4380, 5.1.1: authentication and origin in front of the IPv6 packet. */
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

/* The next protocol field (RFC 8300, 2.2), also that of VXLAN-GPE. */
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

static __always_inline void st_vxlan_gpe(struct st_step *step, const __u8 *h)
{
	step->more = 1;
	step->next = st_nsh_next(h[3]);
}

static __always_inline void st_nsh(struct st_step *step, const __u8 *h)
{
	step->header = (h[1] & 63) * 4;
	step->more = 1;
	step->next = st_nsh_next(h[3]);
}

/* RFC 3948, 2: ESP, which has no SPI of 0; IKE behind four zeros; a single byte to keep NAT alive. */
static __always_inline void st_udpencap(struct st_step *step, const __u8 *h)
{
	_Bool ike = !st_get32(h);

	step->header = ike ? 4 : 0;
	step->more = 4;
	step->next = ike ? ST_DIRECT(ST_ISAKMP) : ST_IPPROTO(50);
}

/* draft-massar-v6ops-ayiya-02, 3: an identity and a signature, whose lengths are in the first two bytes. */
static __always_inline void st_ayiya(struct st_step *step, const __u8 *h)
{
	step->header = 8 + (1u << (h[0] >> 4)) + (h[1] >> 4) * 4;
	if ((h[2] & 15) == 1) /* to be forwarded */
		step->next = ST_IPPROTO(h[3]);
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
	if ((flags & ST_L2TP_VERSION) != 2 && (flags & ST_L2TP_VERSION) != 3)
		step->missing = ST_NOT_THIS;
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
