/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* How the parser reads a packet that is in memory. */
#ifndef SOCKTALLY_BPF_PACKET_NATIVE_H
#define SOCKTALLY_BPF_PACKET_NATIVE_H

#include <stddef.h>
#include <string.h>
#include "packet.h"

struct st_packet {
	const __u8 *data;
	__u32 len;	 /* bytes that are there */
	__u32 ethertype; /* of a packet without a link header */
	__u32 tag;	 /* ethertype of a VLAN tag that is not in the bytes, or 0 */
	__u8 tail[ST_WINDOW];
};

/*
 * ST_WINDOW bytes from off, off < len, of which only those before the packet's end mean something.
 */
static __always_inline const __u8 *st_packet_at(struct st_packet *pkt, __u32 off)
{
	__u32 left = pkt->len - off;

	if (left >= ST_WINDOW)
		return pkt->data + off;
	memcpy(pkt->tail, pkt->data + off, left);
	memset(pkt->tail + left, 0, ST_WINDOW - left);
	return pkt->tail;
}

static __always_inline __u32 st_get16(const __u8 *bytes)
{
	return (__u32)bytes[0] << 8 | bytes[1];
}

static __always_inline __u32 st_get32(const __u8 *bytes)
{
	return (__u32)bytes[0] << 24 | (__u32)bytes[1] << 16 | (__u32)bytes[2] << 8 | bytes[3];
}

#endif
