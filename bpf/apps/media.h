/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* RTP, RTCP (RFC 3550) and what goes with them. */
#ifndef SOCKTALLY_BPF_APPS_MEDIA_H
#define SOCKTALLY_BPF_APPS_MEDIA_H

#include "bpf/apps/bytes.h"

/*
 * A packet as RTP's are (5.1): no contributing sources, a payload type that RFC 3551, 6 gives to audio and video or
 * leaves to be agreed upon, and more behind the header.
 */
static __always_inline _Bool st_rtp(const struct st_app_payload *p, __u32 at)
{
	__u32 type = p->bytes[at + 1] & 0x7f;

	return (type <= 34 || type >= 96) && p->length > at + 12;
}

/* What the next packet of the same source must have as well: five bits of that, three of the sequence number. */
static __always_inline __u32 st_rtp_keep(const struct st_app_payload *p, __u32 at)
{
	__u32 mixed =
		(ST_BE32(at + 8) ^ (p->bytes[at + 1] & 0x7fU) << 7 ^ p->bytes[at]) * 0x9e3779b1U;

	return (mixed >> 27) << 3 | (ST_BE16(at + 2) & 7);
}

static __always_inline _Bool st_rtp_next(const struct st_app_payload *p, __u32 at, __u32 kept)
{
	__u32 now = st_rtp_keep(p, at);

	return (now ^ kept) < 8 && ((now - kept) & 7) == 1;
}

/*
 * A compound packet (6.1): it begins with a report or, after RFC 5506, with feedback; each packet's length leads to
 * the next one, and the last one's to the end, which may be outside of what is looked at if two headers are inside.
 */
static __always_inline _Bool st_rtcp(const struct st_app_payload *p)
{
	__u32 at = 0, right = 1, headers = 0;

	ST_APP_ROLLED
	for (__u32 i = 0; i < 6; i++) {
		__u32 type = st_app_byte(p, at + 1);

		if (at + 4 > p->there)
			break;
		right &= (st_app_byte(p, at) & 0xc0) == 0x80 && type >= 200 && type <= 207;
		at += 4 + 4 * st_app_be16(p, at + 2);
		headers++;
	}
	return right && p->there >= 8 &&
	       (at == p->length || (headers > 1 && at > p->there && at < p->length));
}

/* RFC 3489, 11.1 and 11.2: a type, the length of all that follows, and attributes that lead to its end. */
static __always_inline _Bool st_stun_classic(const struct st_app_payload *p)
{
	__u32 at = 20;

	ST_APP_ROLLED
	for (__u32 i = 0; i < 4; i++) {
		if (at + 4 > p->there)
			break;
		at += 4 + ((st_app_be16(p, at + 2) + 3) & ~3u);
	}
	return p->length == 20U + ST_BE16(2) &&
	       (at == p->length ||
		(at + 4 > p->there && p->there == ST_APP_BLOCK && at < p->length));
}

#endif
