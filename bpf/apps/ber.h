/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Protocols in ASN.1's basic encoding rules (X.690, 8.1): LDAP, SNMP, Kerberos. */
#ifndef SOCKTALLY_BPF_APPS_BER_H
#define SOCKTALLY_BPF_APPS_BER_H

#include "bpf/apps/bytes.h"

/* How many bytes tag and length take: 2, or up to 6 with a length in bytes of its own (8.1.3.5). */
static __always_inline __u32 st_ber_header(const struct st_app_payload *p, __u32 at)
{
	__u32 length = st_app_byte(p, at + 1);

	return 2 + (length >> 7) * (length & 7);
}

/* The length of what is behind tag and length; more than any payload if that isn't a length. */
static __always_inline __u32 st_ber_length(const struct st_app_payload *p, __u32 at)
{
	__u32 length = st_app_byte(p, at + 1), bytes = length & 0x7f;

	if (length < 0x80)
		return length;
	if (bytes < 1 || bytes > 4)
		return ~0u;
	return st_app_be32(p, at + 2) >> (32 - 8 * bytes);
}

/* Whether the outermost element is all of the payload, from off on. */
static __always_inline _Bool st_ber_whole(const struct st_app_payload *p, __u32 off)
{
	return st_ber_length(p, off) == p->length - off - st_ber_header(p, off) &&
	       p->length > off + st_ber_header(p, off);
}

/* The operation of a message (RFC 4511, 4.1.1), a number of application class, or 0. */
static __always_inline __u32 st_ldap_operation(const struct st_app_payload *p)
{
	__u32 at = st_ber_header(p, 0), size = st_app_byte(p, at + 1), tag;

	if (st_app_byte(p, at) != 2 || size < 1 || size > 4 || st_app_byte(p, at + 2) > 0x7f)
		return 0;
	tag = st_app_byte(p, at + 2 + size);
	if ((tag & 0xc0) != 0x40)
		return 0;
	return tag;
}

/* bind, search, modify, add, rename, compare and extended requests and their answers; unbind, delete, abandon. */
static __always_inline _Bool st_ldap(const struct st_app_payload *p)
{
	const __u32 constructed = 0x0388fbfb; /* a bit for each number of 4.2 to 4.13 */
	__u32 tag = st_ldap_operation(p), number = tag & 0x1f;

	if (!tag)
		return 0;
	if (!(tag & 0x20)) /* unbind, delete, abandon */
		return (number == 2 || number == 10 || number == 16) && st_ber_whole(p, 0);
	if (!(constructed >> number & 1))
		return 0;
	/* A bind that goes on in another segment: LDAP version 2 or 3 follows (4.2). */
	if (!number) {
		__u32 at = st_ber_header(p, 0);

		at += 2 + st_app_byte(p, at + 1);
		at += st_ber_header(p, at);
		if (st_app_be16(p, at) == 0x0201 && (st_app_byte(p, at + 2) & 0xfe) == 2)
			return 1;
	}
	return st_ber_whole(p, 0);
}

/*
 * RFC 4120, 5.4.1, 5.4.2, 5.5.1, 5.5.2, 5.9.1: a tag of application class, a sequence in it, the version 5, and
 * the message type, which is the tag's number.
 */
static __always_inline _Bool st_kerberos(const struct st_app_payload *p, __u32 off)
{
	__u32 tag = st_app_byte(p, off), at = off + st_ber_header(p, off), context;

	if (st_app_byte(p, at) != 0x30 || (tag & 0xe0) != 0x60)
		return 0;
	at += st_ber_header(p, at);
	context = st_app_byte(p, at);
	if ((context & 0xfe) != 0xa0 || st_app_be32(p, at + 1) != 0x03020105)
		return 0;
	return st_app_byte(p, at + 5) == context + 1 && st_app_be16(p, at + 6) == 0x0302 &&
	       st_app_byte(p, at + 8) == 1 && st_app_byte(p, at + 9) == (tag & 0x1f);
}

/* RFC 1157, 4 and RFC 3416, 3: version, community, request; RFC 3412, 6: version 3, a sequence. */
static __always_inline _Bool st_snmp(const struct st_app_payload *p)
{
	__u32 at = st_ber_header(p, 0), version = st_app_byte(p, at + 2), community;

	if (st_app_be16(p, at) != 0x0201 || !st_ber_whole(p, 0))
		return 0;
	if (version == 3)
		return st_app_byte(p, at + 3) == 0x30;
	community = st_app_byte(p, at + 4);
	at += 5 + community;
	return version < 2 && st_app_byte(p, at - community - 2) == 4 && community < 0x80 &&
	       (at >= p->there || (st_app_byte(p, at) - 0xa0) <= 8);
}

#endif
