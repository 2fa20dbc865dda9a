/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* How the parser reads a packet that is in memory. */
#ifndef SOCKTALLY_BPF_PARSE_PACKET_NATIVE_H
#define SOCKTALLY_BPF_PARSE_PACKET_NATIVE_H

#include <endian.h>
#include <stddef.h>
#include <string.h>
#include "bpf/parse/packet.h"

struct st_packet {
	const __u8 *data;
	__u32 len;
	const struct st_ports *ports; /* NULL: none */
	__u8 tail[ST_WINDOW];
	struct st_walk walk;
};

#define ST_WALK(pkt) (&(pkt)->walk)

/* See packet_kernel.h. */
#define ST_FORGET()
#define ST_NOTE_COMMON(pkt, h, common, len) st_common_walk(&(pkt)->walk, h, common, len)

/* Metadata and packets without a link header exist only on sockets. */
static __always_inline __u32 st_packet_tag(const struct st_packet *pkt)
{
	(void)pkt;
	return 0;
}

static __always_inline __u32 st_packet_vlan(const struct st_packet *pkt)
{
	(void)pkt;
	return 0;
}

static __always_inline __u32 st_packet_ethertype(const struct st_packet *pkt)
{
	(void)pkt;
	return 0;
}

static __always_inline __u32 st_packet_kind(const struct st_packet *pkt, const __u8 *h, __u32 len,
					    __u32 link)
{
	(void)pkt, (void)h, (void)len;
	return link;
}

static __always_inline const __u8 *st_packet_link(const struct st_packet *pkt)
{
	(void)pkt;
	return NULL;
}

/*
 * ST_WINDOW bytes from walk->off, off < len, of which only those before the packet's end mean
 * something.
 */
static __always_inline _Bool st_packet_at(struct st_packet *pkt, const struct st_walk *walk,
					  const __u8 **h)
{
	__u32 left = walk->len - walk->off;

	*h = pkt->data + walk->off;
	if (left >= ST_WINDOW)
		return 1;
	memcpy(pkt->tail, *h, left);
	memset(pkt->tail + left, 0, ST_WINDOW - left);
	*h = pkt->tail;
	return 1;
}

static __always_inline const __u8 *st_packet_open(struct st_packet *pkt, __u32 *len, __u32 *there)
{
	const __u8 *h;

	*len = *there = pkt->len;
	st_packet_at(pkt, &(struct st_walk){.len = pkt->len}, &h);
	return h;
}

static __always_inline __u32 st_standard_port(const struct st_ports *ports, __u32 port)
{
	for (__u32 i = 0; ports && i < ports->count; i++)
		if (ports->pairs[i] >> 16 == port)
			return ports->pairs[i] & 0xffff;
	return port;
}

static __always_inline const struct st_ports *st_packet_ports(const struct st_packet *pkt)
{
	return pkt->ports;
}

/* See packet_kernel.h. */
static __always_inline const __u8 *st_at(const __u8 *h, __u32 at)
{
	return h + at;
}

static __always_inline __u32 st_get16(const __u8 *bytes)
{
	return (__u32)bytes[0] << 8 | bytes[1];
}

/* In the machine's byte order. */
static __always_inline __u16 st_raw16(const __u8 *bytes)
{
	__u16 number;

	memcpy(&number, bytes, sizeof(number));
	return number;
}

static __always_inline __u32 st_raw32(const __u8 *bytes)
{
	__u32 number;

	memcpy(&number, bytes, sizeof(number));
	return number;
}

static __always_inline __u64 st_raw64(const __u8 *bytes)
{
	__u64 number;

	memcpy(&number, bytes, sizeof(number));
	return number;
}

static __always_inline __u64 st_get64(const __u8 *bytes)
{
	__u64 value;

	memcpy(&value, bytes, sizeof(value));
	return be64toh(value);
}

static __always_inline __u32 st_get32(const __u8 *bytes)
{
	return (__u32)bytes[0] << 24 | (__u32)bytes[1] << 16 | (__u32)bytes[2] << 8 | bytes[3];
}

#endif
