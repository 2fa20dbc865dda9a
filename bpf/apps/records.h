/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Protocols of records: headers with versions, kinds and lengths that have to fit one another. */
#ifndef SOCKTALLY_BPF_APPS_RECORDS_H
#define SOCKTALLY_BPF_APPS_RECORDS_H

#include "bpf/apps/bytes.h"

/* RFC 8446, 5.1: a record that ends with the payload, or behind which another one begins. */
static __always_inline _Bool st_tls_records(const struct st_app_payload *p)
{
	__u32 end = 5 + ST_BE16(3);

	if (end == p->length)
		return end > 5;
	return end > 5 && end + 3 <= p->there && (st_app_byte(p, end) - 0x14) < 4 &&
	       st_app_byte(p, end + 1) == 3 && st_app_byte(p, end + 2) < 5;
}

/* RFC 6455, 5.2: a frame that is all of the payload, or goes on in the next. */
static __always_inline _Bool st_websocket(const struct st_app_payload *p)
{
	__u32 mask = ST_BE8(1) >> 7 << 2, length = ST_BE8(1) & 0x7f;

	if (length == 127)
		return !ST_BE32(2);
	if (length == 126)
		return ST_BE16(2) >= 126;
	return length + mask + 2 <= p->length;
}

/*
 * RFC 9000, 17.2, from the version on: two connection IDs of at most 20 bytes. Before draft 22 the lengths
 * of both stood in one byte.
 */
static __always_inline _Bool st_quic(const struct st_app_payload *p)
{
	__u32 first = ST_BE8(5);

	if (p->length < 21)
		return 0;
	if ((ST_BE32(1) >> 8) == 0xff0000 && ST_BE8(4) < 22)
		return 1;
	return first <= 20 && (6 + first >= p->there || st_app_byte(p, 6 + first) <= 20);
}

static __always_inline _Bool st_quic_version(__u32 version)
{
	return version == 1 || version == 0x6b3343cf || version >> 8 == 0xff0000 ||
	       (version & 0x0f0f0f0f) == 0x0a0a0a0a || version >> 16 == 0x5130 ||
	       version >> 16 == 0x5430 || version >> 8 == 0xfaceb0;
}

/* RFC 9000, 17.2.1: the connection IDs, then versions up to the end. */
static __always_inline _Bool st_quic_versions(const struct st_app_payload *p)
{
	__u32 at = 6 + ST_BE8(5);

	if (st_app_byte(p, at) > 20)
		return 0;
	at += 1 + st_app_byte(p, at);
	return at + 4 <= p->length && !((p->length - at) & 3) && at + 4 <= p->there &&
	       st_quic_version(st_app_be32(p, at));
}

/*
 * RFC 5905, 7.3: version 1 to 4, a mode, stratum, poll and precision in the range of what they may be, a root delay
 * below 16 seconds. RFC 9327, 2: a control message. Mode 7 is private to implementations.
 */
static __always_inline _Bool st_ntp(const struct st_app_payload *p)
{
	__u32 version = ST_BE8(0) >> 3 & 7, mode = ST_BE8(0) & 7;

	if (version < 1 || version > 4)
		return 0;
	if (mode == 7)
		return p->length >= 8 && ST_BE8(2) < 4 && ST_BE8(3) < 46;
	if (mode == 6)
		return p->length >= 12 && (ST_BE8(1) & 31) < 32 && ST_BE16(10) + 12U <= p->length;
	return mode && p->length >= 48 && ST_BE8(1) <= 16 &&
	       (ST_BE8(2) <= 17 || ST_BE8(2) >= 0xfa) &&
	       (!ST_BE8(3) || ST_BE8(3) >= 0xd0 || ST_BE8(3) < 8) &&
	       (ST_BE16(4) < 16 || ST_BE16(4) >= 0xfff0);
}

/* Parts (kind, length): the host's name, which ends with a zero, then a time of 8 bytes. */
static __always_inline _Bool st_collectd(const struct st_app_payload *p)
{
	__u32 at = ST_BE16(2), kind = st_app_be16(p, at);

	return st_app_byte(p, at - 1) == 0 && (kind == 1 || kind == 8) &&
	       st_app_be16(p, at + 2) == 12;
}

/*
 * RFC 5415, 4.3 and 4.5.1: a header of at least 8 bytes; behind it, a control message whose length leads to the end, or
 * data of IEEE 802.11.
 */
static __always_inline _Bool st_capwap(const struct st_app_payload *p)
{
	__u32 at = (ST_BE8(1) >> 3) * 4, binding = ST_BE8(2) >> 1 & 31;

	if (at < 8 || at > 32 || ST_BE8(3) & 7 || binding > 3)
		return 0;
	return st_app_port(p, 5247) ? binding == 1 : st_app_be16(p, at + 5) + at + 5 == p->length;
}

/* RFC 5531, 9: of a call, program and version; 11: before it, over TCP, the length of the record. */
static __always_inline _Bool st_rpc_call(const struct st_app_payload *p, __u32 at)
{
	return st_app_be32(p, at + 12) >= 100000 && st_app_be32(p, at + 16) < 256 &&
	       st_app_be32(p, at + 20) < 256;
}

static __always_inline _Bool st_rpc_record(const struct st_app_payload *p)
{
	__u32 size = ST_BE32(0) & 0x7fffffff;

	return size >= 20 && size < 0x400000;
}

/* MQTT 3.1.1, 3.3: the length, and in it the length of the topic. */
static __always_inline _Bool st_mqtt_publish(const struct st_app_payload *p)
{
	return ST_BE8(1) + 2U == p->length && ST_BE16(2) + 4U <= p->length;
}

/* C706, 12.6.3: the length of the fragment, in the byte order that the header names, and of what authenticates it. */
static __always_inline _Bool st_dcerpc(const struct st_app_payload *p)
{
	__u32 size = ST_BE8(4) ? ST_LE16(8) : ST_BE16(8);
	__u32 auth = ST_BE8(4) ? ST_LE16(10) : ST_BE16(10);

	return size >= 16 && auth < size && (size <= p->length || p->there == ST_APP_BLOCK);
}

/* Modbus Application Protocol 1.1b3, 6: what a request or an answer is long, by its function. */
static __always_inline _Bool st_modbus(const struct st_app_payload *p)
{
	__u32 length = ST_BE16(4), function = ST_BE8(7);

	if (function & 0x80)
		return length == 3 && ST_BE8(8) < 12;
	if (function >= 1 && function <= 4)
		return length == 6 || ST_BE8(8) + 3U == length;
	if (function == 5 || function == 6)
		return length == 6;
	if (function == 15 || function == 16)
		return length == 6 || ST_BE8(12) + 7U == length;
	return st_app_port(p, 502);
}

/*
 * IEC 60870-5-101, 7.2: information is of a kind that is in use, with at least one object, for a reason. Behind it
 * is the end, or another frame.
 */
static __always_inline _Bool st_iec104(const struct st_app_payload *p)
{
	__u32 end = ST_BE8(1) + 2, kind = ST_BE8(6), cause = ST_BE8(8) & 0x3f;

	if (end != p->length && st_app_byte(p, end) != 0x68)
		return 0;
	return (kind <= 21 || (kind >= 30 && kind <= 40) || (kind >= 45 && kind <= 51) ||
		(kind >= 58 && kind <= 64) || kind == 70 || (kind >= 100 && kind <= 107) ||
		(kind >= 110 && kind <= 113) || kind >= 120) &&
	       cause && cause < 48 && ST_BE8(7) & 0x7f;
}

#endif
