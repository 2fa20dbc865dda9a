/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The number of segments of a GSO packet that came without it: a tap with IFF_VNET_HDR and virtio_net only
 * say the size of a segment. As the kernel works it out where it cuts such a packet (tcp_gso_segment(),
 * __udp_gso_segment()).
 */
#ifndef SOCKTALLY_BPF_PARSE_SEGMENTS_H
#define SOCKTALLY_BPF_PARSE_SEGMENTS_H

#include "bpf/parse/part.h"

#define ST_TCP_MIN 20

/* path: this packet's, which has been parsed just now. */
static __always_inline __u32 st_segments(const struct st_packet *pkt, struct st_path path)
{
	__u32 size = pkt->skb->gso_size, end = ST_WALK(pkt)->off;
	__u32 payload;
	__u8 offset;

	/* TCP's data offset, in units of 4 bytes, with 8 bytes of the fixed header behind it */
	if ((path.lo & 0xff) == ST_TCP && !bpf_skb_load_bytes(pkt->skb, end - 8, &offset, 1) &&
	    (offset >> 4) * 4 > ST_TCP_MIN)
		end += (offset >> 4) * 4 - ST_TCP_MIN;
	payload = pkt->skb->len - end;
	if (!size || end >= pkt->skb->len)
		return 1;
	return (payload + size - 1) / size;
}

#endif
