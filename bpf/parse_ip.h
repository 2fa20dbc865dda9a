/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* IPv4, IPv6 and the headers between them and the transport. */
#ifndef SOCKTALLY_BPF_PARSE_IP_H
#define SOCKTALLY_BPF_PARSE_IP_H

#include "walk.h"

static __always_inline struct st_step st_ip(const __u8 *h)
{
	__u32 header = (h[0] & 15) * 4;
	__u32 total = st_get16(h + 2);
	_Bool later = st_get16(h + 6) & 0x1fff; /* fragment */
	/* Length 0: a segment that offload has yet to cut, longer than the field can say. */
	_Bool wrong = h[0] >> 4 != 4 || header < 20 || (total && total < header);

	return (struct st_step){
		.protocol = ST_IP,
		.fixed = 20,
		.header = header,
		.more = 1,
		.limit = total ? total : ST_NO_LIMIT,
		.next = wrong || later ? ST_STOP : ST_IPPROTO(h[9]),
	};
}

static __always_inline struct st_step st_ipv6(const __u8 *h)
{
	__u32 payload = st_get16(h + 4);

	return (struct st_step){
		.protocol = ST_IPV6,
		.fixed = h[0] >> 4 == 6 ? 40 : ST_NOT_THIS,
		.header = 40,
		.limit = payload ? 40 + payload : ST_NO_LIMIT, /* 0: a jumbogram */
		.next = ST_IPPROTO(h[6]),
	};
}

/* Hop-by-hop, destination and routing headers (RFC 8200, 4.3, 4.4, 4.6). */
static __always_inline struct st_step st_ipv6_header(const __u8 *h, __u32 protocol)
{
	return (struct st_step){
		.protocol = protocol,
		.fixed = 8,
		.header = 8 + h[1] * 8,
		.limit = ST_NO_LIMIT,
		.next = ST_IPPROTO(h[0]),
	};
}

static __always_inline struct st_step st_ipv6_fraghdr(const __u8 *h)
{
	_Bool later = st_get16(h + 2) & 0xfff8;

	return st_simple(ST_IPV6_FRAGHDR, 8, later ? ST_STOP : ST_IPPROTO(h[0]));
}

static __always_inline struct st_step st_ah(const __u8 *h)
{
	return (struct st_step){
		.protocol = ST_AH,
		.fixed = 12,
		.header = 8 + h[1] * 4,
		.more = 1,
		.limit = ST_NO_LIMIT,
		.next = ST_IPPROTO(h[0]),
	};
}

#endif
