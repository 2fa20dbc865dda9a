/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Messages in the format of DNS (RFC 1035, 4.1). */
#ifndef SOCKTALLY_BPF_APPS_DNS_H
#define SOCKTALLY_BPF_APPS_DNS_H

#include "bpf/apps/bytes.h"

/* Labels of a name of which at most the part inside the block is looked at. */
#define ST_DNS_LABELS 12

/* Where the name at `at` ends: behind its last byte, ST_APP_BLOCK or more if that is outside, 0: it is none. */
static __always_inline __u32 st_dns_name(const struct st_app_payload *p, __u32 at)
{
	__u32 wrong = 0, size;

	ST_APP_ROLLED
	for (__u32 i = 0; i < ST_DNS_LABELS; i++) {
		size = st_app_byte(p, at);
		if (at >= p->there || !size)
			break;
		if (size >= 0xc0) { /* a pointer (4.1.4) */
			at++;
			break;
		}
		wrong |= size > 63;
		at += size + 1;
	}
	return wrong ? 0 : at + 1;
}

/* A question's type and class, as far as they are there. IN, CH, HS, NONE, ANY (RFC 6895, 3.2). */
static __always_inline _Bool st_dns_question(const struct st_app_payload *p, __u32 off)
{
	__u32 end = st_dns_name(p, off + 12), class;

	if (!end)
		return 0;
	if (end + 4 > p->there)
		return end + 4 <= p->length || p->there < p->length || end > p->there;
	class = st_app_be16(p, end + 2) & 0x7fff; /* the top bit: RFC 6762, 5.4 */
	return class == 1 || class == 3 || class == 4 || class == 254 || class == 255;
}

/* Names of hosts: one question, no answer to it yet, or an answer. */
static __always_inline _Bool st_dns(const struct st_app_payload *p, __u32 off)
{
	__u32 flags = st_app_be16(p, off + 2), opcode = flags >> 11 & 15;
	__u32 questions = st_app_be16(p, off + 4), answers = st_app_be16(p, off + 6);
	__u32 authorities = st_app_be16(p, off + 8), more = st_app_be16(p, off + 10);

	if (p->length < off + 17 || flags & 0x40 || opcode > 5 || opcode == 3)
		return 0;
	if (questions != 1 || answers > 255 || authorities > 255 || more > 255)
		return 0;
	if (!(flags & 0x8000) && opcode != 5 &&
	    (flags & 0xf || (answers && opcode == 0) || (authorities && opcode == 0) || more > 3))
		return 0;
	if ((flags & 0xf) > 11)
		return 0;
	return st_dns_question(p, off);
}

/* A header as it must be where the port says what it is: mDNS (RFC 6762, 18), LLMNR (RFC 4795, 2.1.1). */
static __always_inline _Bool st_dns_header(const struct st_app_payload *p)
{
	__u32 flags = st_app_be16(p, 2);

	return p->length >= 12 && !(flags & 0x7800) && st_app_be16(p, 4) < 256 &&
	       st_app_be16(p, 6) < 256 && st_app_be16(p, 8) < 256 && st_app_be16(p, 10) < 256 &&
	       (st_app_be16(p, 4) || st_app_be16(p, 6) || st_app_be16(p, 8) || st_app_be16(p, 10));
}

/* RFC 1002, 4.2.1: what may be asked, and the name, 32 letters for 16 bytes (RFC 1001, 14.1). */
static __always_inline _Bool st_nbns(const struct st_app_payload *p)
{
	__u32 opcode = ST_BE16(2) >> 11 & 15;

	if (p->length < 12 || (opcode != 0 && (opcode < 5 || opcode > 9)) || ST_BE16(2) & 0x60)
		return 0;
	if (ST_BE16(4) > 1 || ST_BE16(6) > 255 || ST_BE16(8) > 255 || ST_BE16(10) > 255)
		return 0;
	if (p->length == 12) /* an error without the question */
		return ST_BE16(2) & 0x8000 && !ST_BE64(4);
	return ST_BE8(12) == 0x20 && (__u8)(ST_BE8(13) - 'A') < 16 && (__u8)(ST_BE8(14) - 'A') < 16;
}

/* Where port 53 says what it is: an answer without the question, and others that are out of the ordinary. */
static __always_inline _Bool st_dns_counts(const struct st_app_payload *p)
{
	return !(ST_BE16(2) & 0x40) && (ST_BE16(2) >> 11 & 15) <= 5 && ST_BE16(4) < 256 &&
	       ST_BE16(6) < 256 && ST_BE16(8) < 256 && ST_BE16(10) < 256;
}

#endif
