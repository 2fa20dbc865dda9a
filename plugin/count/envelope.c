// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
#include "plugin/count/envelope.h"
#include "bpf/parse/dispatch.h"
#include "plugin/count/classify.h"
#include <stdbool.h>

#define LAYER(CODE) (ST_LINK_LAYER | (CODE))

static __u32 big16(const __u8 *bytes)
{
	return (__u32)bytes[0] << 8 | bytes[1];
}

static __u32 big32(const __u8 *bytes)
{
	return big16(bytes) << 16 | big16(bytes + 2);
}

static __u32 little16(const __u8 *bytes)
{
	return (__u32)bytes[1] << 8 | bytes[0];
}

static __u32 little32(const __u8 *bytes)
{
	return little16(bytes + 2) << 16 | little16(bytes);
}

/* family: AF_INET is 2 everywhere, AF_INET6 the system's own number. 0: neither. */
static __u32 link_of_family(__u32 family, __u32 inet6)
{
	return family == 2       ? LAYER(ST_DIRECT(ST_IP))
	       : family == inet6 ? LAYER(ST_DIRECT(ST_IPV6))
				 : 0;
}

/* 16 bytes, or 24 of BSD/OS: the direction, and the header as it was compressed on the line. */
static void read_slip(struct st_envelope *envelope, __u32 linktype)
{
	envelope->layers[0] = ST_SLIP;
	envelope->header = linktype == 8 ? 16 : 24;
	envelope->link = ST_LINK_RAW;
}

/* https://www.tcpdump.org/linktypes/LINKTYPE_IPNET.html */
static void read_ipnet(struct st_envelope *envelope, const __u8 *data, __u32 len)
{
	enum { SOLARIS_INET6 = 26 };

	envelope->layers[0] = ST_IPNET;
	envelope->header = 24;
	if (len < 24)
		return;
	envelope->link = link_of_family(data[1], SOLARIS_INET6);
	if (big32(data + 4) < len - 24)
		envelope->end = 24 + big32(data + 4);
}

/* A global route header, then that of RFC 4391, 6. */
static void read_ipoib(struct st_envelope *envelope, const __u8 *data, __u32 len)
{
	envelope->layers[0] = ST_IPOIB;
	envelope->header = 40 + 4;
	if (len >= 42)
		envelope->link = LAYER(ST_ETHERTYPE(big16(data + 40)));
}

/* https://www.tcpdump.org/linktypes/LINKTYPE_PKTAP.html, in little endian wherever it came from */
static void read_pktap(struct st_envelope *envelope, const __u8 *data, __u32 len)
{
	enum { SHORTEST = 108, IS_PACKET = 1 };

	envelope->layers[0] = ST_PKTAP;
	if (len < SHORTEST || little32(data) < SHORTEST || little32(data) > len ||
	    little32(data + 4) != IS_PACKET)
		return;
	envelope->layers[1] = ST_PCAP_PKTDATA;
	envelope->header = little32(data);
	envelope->link = st_link_of_linktype(little32(data + 8));
}

/* Per-Packet Information, CACE Technologies 2007. 802.11 has its radio's words in fields of PPI. */
static void read_ppi(struct st_envelope *envelope, const __u8 *data, __u32 len)
{
	enum { SHORTEST = 8, IEEE802_11 = 105 };
	__u32 linktype;

	envelope->layers[0] = ST_PPI;
	if (len < SHORTEST || data[0] /* version */ || little16(data + 2) < SHORTEST ||
	    little16(data + 2) > len)
		return;
	linktype = little32(data + 4);
	envelope->header = little16(data + 2);
	if (linktype == IEEE802_11) {
		envelope->link = LAYER(ST_DIRECT(ST_WLAN_RADIO));
		return;
	}
	envelope->layers[1] = ST_PCAP_PKTDATA;
	envelope->link = st_link_of_linktype(linktype);
}

/* Extensible Record Format, Endace: the record's type, and whether extension headers follow. */
static void read_erf(struct st_envelope *envelope, const __u8 *data, __u32 len)
{
	enum { FIXED = 16, EXTENSION = 8, MORE = 0x80 };
	__u32 at = FIXED, more;

	envelope->layers[0] = ST_ERF;
	if (len < FIXED)
		return;
	for (more = data[8] & MORE; more && at < len; at += EXTENSION)
		more = data[at] & MORE;
	switch (data[8] & 0x7f) {
	case 1:  /* HDLC_POS */
	case 5:  /* COLOR_HDLC_POS */
	case 15: /* DSM_COLOR_HDLC_POS */
	case 19: /* COLOR_HASH_POS */
		if (at < len)
			envelope->link = (data[at] & 0x7f) == 0x0f ? LAYER(ST_DIRECT(ST_CHDLC))
								   : ST_LINK_PPP;
		break;
	case 2:          /* ETH */
	case 11:         /* COLOR_ETH */
	case 16:         /* DSM_COLOR_ETH */
	case 20:         /* COLOR_HASH_ETH */
		at += 2; /* an offset, and a byte so that what follows is aligned */
		envelope->link = ST_LINK_ETH;
		break;
	case 22:
		envelope->link = LAYER(ST_DIRECT(ST_IP));
		break;
	case 23:
		envelope->link = LAYER(ST_DIRECT(ST_IPV6));
		break;
	}
	envelope->header = at;
	if (at < len &&
	    big16(data + 14) < len - at) /* the length on the wire: what follows is padding */
		envelope->end = at + big16(data + 14);
}

static bool is_nflog_big(const __u8 *attribute)
{
	return !attribute[2] && attribute[3]; /* of the type only the lower byte is used */
}

/*
 * https://www.tcpdump.org/linktypes/LINKTYPE_NFLOG.html: attributes in the byte order of the host, one of
 * which is the packet.
 */
static void read_nflog(struct st_envelope *envelope, const __u8 *data, __u32 len)
{
	enum { FIXED = 4, ATTRIBUTE = 4, PACKET_HEADER = 1, PAYLOAD = 9, INET6 = 10 };
	__u32 length, type, protocol = 0, at = FIXED;
	bool big = len >= FIXED + ATTRIBUTE && is_nflog_big(data + FIXED);

	envelope->layers[0] = ST_NFLOG;
	for (; at < len && len - at >= ATTRIBUTE; at += (length + 3) & ~3u) {
		length = big ? big16(data + at) : little16(data + at);
		type = big ? big16(data + at + 2) : little16(data + at + 2);
		if (length < ATTRIBUTE)
			return;
		if (type == PACKET_HEADER && length >= 6 && len - at >= 6)
			protocol = big16(data + at + 4);
		if (type != PAYLOAD)
			continue;
		envelope->header = at + ATTRIBUTE;
		if (length < len - at)
			envelope->end = at + length;
		envelope->link =
			protocol ? LAYER(ST_ETHERTYPE(protocol)) : link_of_family(data[0], INET6);
		return;
	}
}

struct st_envelope st_envelope_read(__u32 linktype, const __u8 *data, __u32 len)
{
	struct st_envelope envelope = {.end = len};

	switch (linktype) {
	case 192:
		read_ppi(&envelope, data, len);
		break;
	case 197:
		read_erf(&envelope, data, len);
		break;
	case 226:
		read_ipnet(&envelope, data, len);
		break;
	case 239:
		read_nflog(&envelope, data, len);
		break;
	case 242:
		read_ipoib(&envelope, data, len);
		break;
	case 258:
		read_pktap(&envelope, data, len);
		break;
	default:
		read_slip(&envelope, linktype);
	}
	if (envelope.header > envelope.end || envelope.link & ST_LINK_ENVELOPE)
		envelope.link = 0;
	return envelope;
}
