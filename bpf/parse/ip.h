/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* IPv4, IPv6 and the headers between them and the transport. */
#ifndef SOCKTALLY_BPF_PARSE_IP_H
#define SOCKTALLY_BPF_PARSE_IP_H

#include "bpf/parse/walk.h"

static __always_inline void st_ip(struct st_step *step, const __u8 *h)
{
	__u64 first = st_get64(h); /* at once, as in the kernel each load costs */
	__u32 version = first >> 60, header = (first >> 56 & 15) * 4;
	__u32 total = first >> 32 & 0xffff;
	_Bool later = first & 0x1fff; /* fragment */

	step->more = 1;
	/* IPv6 under IPv4's number: the path has both names, as in Wireshark. */
	if (version == 6) {
		step->header = 0;
		step->next = ST_DIRECT(ST_IPV6);
		return;
	}
	step->header = header;
	/* Length 0: Linux BIG TCP, a segment longer than 65,535 bytes that is not yet cut. */
	if (total)
		step->limit = total;
	if (version == 4 && header >= 20 && !later)
		step->next = ST_IPPROTO(h[9]);
}

static __always_inline void st_ipv6(struct st_step *step, const __u8 *h)
{
	__u64 first = st_get64(h);
	__u32 payload = first >> 16 & 0xffff;

	if (first >> 60 != 6)
		step->missing = ST_NOT_THIS;
	if (payload) /* 0: a jumbogram */
		step->limit = 40 + payload;
	step->next = ST_IPPROTO(first >> 8 & 0xff);
}

/* Hop-by-hop, destination and routing headers (RFC 8200, 4.3, 4.4, 4.6). */
static __always_inline void st_ipv6_header(struct st_step *step, const __u8 *h)
{
	step->header = 8 + h[1] * 8;
	step->next = ST_IPPROTO(h[0]);
}

static __always_inline void st_ipv6_fraghdr(struct st_step *step, const __u8 *h)
{
	if (!(st_get16(h + 2) & 0xfff8)) /* not a later fragment */
		step->next = ST_IPPROTO(h[0]);
}

static __always_inline void st_ah(struct st_step *step, const __u8 *h)
{
	step->header = 8 + h[1] * 4;
	step->more = 1;
	step->next = ST_IPPROTO(h[0]);
}

#endif
