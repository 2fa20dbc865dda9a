/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* IPv4, IPv6 and the headers between them and the transport. */
#ifndef SOCKTALLY_BPF_PARSE_IP_H
#define SOCKTALLY_BPF_PARSE_IP_H

#include "walk.h"

static __always_inline void st_ip(struct st_walk *walk, const __u8 *h)
{
	__u32 header, total;

	if (!st_enter(walk, ST_IP, 20))
		return;
	header = (h[0] & 15) * 4;
	total = st_get16(h + 2);
	if (h[0] >> 4 != 4 || header < 20)
		return;
	/* 0: a segment that offload has yet to cut, longer than the field can say. */
	if (total) {
		if (total < header)
			return;
		st_limit(walk, total);
	}
	if (!(st_get16(h + 6) & 0x1fff)) /* not a later fragment */
		st_leave_if_more(walk, header, ST_IPPROTO(h[9]));
}

static __always_inline void st_ipv6(struct st_walk *walk, const __u8 *h)
{
	__u32 payload;

	walk->next = ST_STOP;
	if (h[0] >> 4 != 6)
		return;
	if (!st_enter(walk, ST_IPV6, 40))
		return;
	payload = st_get16(h + 4);
	if (payload) /* 0: a jumbogram */
		st_limit(walk, 40 + payload);
	st_leave(walk, 40, ST_IPPROTO(h[6]));
}

/* Hop-by-hop, destination and routing headers (RFC 8200, 4.3, 4.4, 4.6). */
static __always_inline void st_ipv6_header(struct st_walk *walk, const __u8 *h, __u32 protocol)
{
	if (st_enter(walk, protocol, 8))
		st_leave(walk, 8 + h[1] * 8, ST_IPPROTO(h[0]));
}

static __always_inline void st_ipv6_fraghdr(struct st_walk *walk, const __u8 *h)
{
	if (st_enter(walk, ST_IPV6_FRAGHDR, 8) && !(st_get16(h + 2) & 0xfff8))
		st_leave(walk, 8, ST_IPPROTO(h[0]));
}

static __always_inline void st_ah(struct st_walk *walk, const __u8 *h)
{
	if (st_enter(walk, ST_AH, 12))
		st_leave_if_more(walk, 8 + h[1] * 4, ST_IPPROTO(h[0]));
}

#endif
