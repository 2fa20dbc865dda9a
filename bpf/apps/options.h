/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Protocols whose evidence is a list of options, each with its length. */
#ifndef SOCKTALLY_BPF_APPS_OPTIONS_H
#define SOCKTALLY_BPF_APPS_OPTIONS_H

#include "bpf/apps/bytes.h"

/* Attributes (RFC 2865, 5) from 20 on: a type that isn't 0 and a length of at least 2, up to the end. */
static __always_inline _Bool st_radius(const struct st_app_payload *p)
{
	__u32 at = 20, right = 1, length;

	if (ST_BE16(2) < 20 || ST_BE16(2) > 4096 || ST_BE16(2) != p->length)
		return 0;
	ST_APP_ROLLED
	for (__u32 i = 0; i < 8; i++) {
		if (at + 2 > p->there)
			break;
		length = st_app_byte(p, at + 1);
		right &= length >= 2 && st_app_byte(p, at) != 0;
		at += length;
	}
	return right && at <= p->length;
}

/* Options (RFC 8415, 21.1) from `at` on: a number that is in use, and a length that leads to the end. */
static __always_inline _Bool st_dhcpv6(const struct st_app_payload *p, __u32 at)
{
	__u32 right = p->length >= at;

	ST_APP_ROLLED
	for (__u32 i = 0; i < 4; i++) {
		__u32 code = st_app_be16(p, at);

		if (at + 4 > p->there)
			break;
		right &= code >= 1 && code <= 151;
		at += 4 + st_app_be16(p, at + 2);
	}
	return right && at <= p->length;
}

/* Elements of a message (RFC 8175, 11.2): a type, and a length that leads to the end. */
static __always_inline _Bool st_dlep(const struct st_app_payload *p)
{
	__u32 at = 4, right = ST_BE16(2) == p->length - 4 && p->length > 4;

	ST_APP_ROLLED
	for (__u32 i = 0; i < 8; i++) {
		if (at + 4 > p->there)
			break;
		right &= st_app_be16(p, at) >= 1 && st_app_be16(p, at) <= 30;
		at += 4 + st_app_be16(p, at + 2);
	}
	return right && at <= p->length && (at == p->length || at >= p->there);
}

/* RFC 7252, 12.1: methods, and answers of success, the client's and the server's fault; 4.2, 4.3: which kinds carry them. */
static __always_inline _Bool st_coap_code(__u32 kind, __u32 code)
{
	__u32 class = code >> 5, detail = code & 31;

	if (class == 0)
		return detail <= 7 && kind < 2;
	return kind < 3 && ((class == 2 && (detail <= 5 || detail == 31)) ||
			    (class == 4 && detail <= 29) || (class == 5 && detail <= 8));
}

/*
 * RFC 7252, 3: a token, options with their differences and lengths, up to the end or to the marker with something
 * behind it. A bit for each number below 64 that is in use, and for each even one: these may be
 * unknown (5.4.1).
 */
static __always_inline _Bool st_coap(const struct st_app_payload *p)
{
	const __u64 in_use = 0x555555ddddffdffe;
	__u32 token = ST_BE8(0) & 15, at = 4 + token, number = 0;
	__u32 right = token <= 8 && p->length >= at;

	if (!ST_BE8(1)) /* a ping, its answer, an acknowledgement (4.1) */
		return p->length == 4 && !token;
	if (!st_coap_code(ST_BE8(0) >> 4 & 3, ST_BE8(1)))
		return 0;
	ST_APP_ROLLED
	for (__u32 i = 0; i < 8; i++) {
		__u32 option = st_app_byte(p, at), delta = option >> 4, length = option & 15;
		__u32 extended = (delta == 13) + 2 * (delta == 14);

		if (at >= p->there)
			break;
		if (option == 0xff) {
			right &= at + 1 < p->length;
			at = p->length;
			break;
		}
		right &= delta != 15 && length != 15;
		if (delta == 13)
			delta = 13 + st_app_byte(p, at + 1);
		else if (delta == 14)
			delta = 269 + st_app_be16(p, at + 1);
		number += delta;
		right &= number < 64 ? in_use >> (number & 63) & 1
				     : number == 252 || number == 258 || number == 292;
		if (length == 13)
			length = 13 + 1 + st_app_byte(p, at + 1 + extended);
		else if (length == 14)
			length = 269 + 2 + st_app_be16(p, at + 1 + extended);
		at += 1 + extended + length;
	}
	return right && at <= p->length;
}

#endif
