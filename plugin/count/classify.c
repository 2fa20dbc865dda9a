/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* The kernel's parser, compiled natively. */
#include <socktally/socktally.h>
#include <string.h>
#include "plugin/count/classify.h"
#include "plugin/count/classify_parse.h"
#include "plugin/count/path.h"
#include "plugin/meter/meter.h"

struct st_path st_classify(const struct st_ports *ports, __u32 link, const void *data,
			   size_t caplen)
{
	struct st_packet packet = {.data = data,
				   .len = caplen < ST_LONGEST ? caplen : ST_LONGEST,
				   .ports = ports};

	return st_parse_file(&packet, link);
}

struct st_path st_classify_place(const struct st_ports *ports, __u32 link, const void *data,
				 size_t caplen, struct st_flow_place *place)
{
	struct st_packet packet = {.data = data,
				   .len = caplen < ST_LONGEST ? caplen : ST_LONGEST,
				   .ports = ports};
	struct st_path path = st_parse_file(&packet, link);

	*place = (struct st_flow_place){
		.network = packet.walk.network,
		.transport = packet.walk.transport,
		.off = packet.walk.off,
		.end = packet.walk.end,
		.tags = packet.walk.tags,
	};
	return path;
}

/* https://www.tcpdump.org/linktypes.html */
__u32 st_link_of_linktype(__u32 linktype)
{
	switch (linktype) {
	case 0: /* NULL */
		return ST_LINK_NULL;
	case 1: /* ETHERNET */
		return ST_LINK_ETH;
	case 9:  /* PPP */
	case 50: /* PPP_HDLC */
		return ST_LINK_PPP;
	case 12:  /* RAW as some systems' DLT_ number */
	case 14:  /* the same of OpenBSD */
	case 101: /* RAW */
		return ST_LINK_RAW;
	case 11:  /* ATM_RFC1483 as some systems' DLT_ number */
	case 100: /* ATM_RFC1483 */
		return ST_LINK_LAYER | ST_DIRECT(ST_LLC);
	case 10: /* FDDI */
		return ST_LINK_LAYER | ST_DIRECT(ST_FDDI);
	case 104: /* C_HDLC */
		return ST_LINK_LAYER | ST_DIRECT(ST_CHDLC);
	case 107: /* FRELAY */
		return ST_LINK_LAYER | ST_DIRECT(ST_FR);
	case 109: /* ENC */
		return ST_LINK_LAYER | ST_DIRECT(ST_ENC);
	case 8:   /* SLIP */
	case 15:  /* SLIP_BSDOS as some systems' DLT_ number */
	case 102: /* SLIP_BSDOS */
	case 192: /* PPI */
	case 197: /* ERF */
	case 226: /* IPNET */
	case 239: /* NFLOG */
	case 242: /* IPOIB */
	case 258: /* PKTAP */
		return ST_LINK_ENVELOPE | linktype;
	case 219: /* MPLS */
		return ST_LINK_LAYER | ST_DIRECT(ST_MPLS);
	case 51: /* PPP_ETHER */
		return ST_LINK_LAYER | ST_ETHERTYPE(0x8864);
	case 204: /* PPP_WITH_DIR */
		return ST_LINK_PPP_DIR;
	case 228: /* IPV4 */
		return ST_LINK_LAYER | ST_DIRECT(ST_IP);
	case 229: /* IPV6 */
		return ST_LINK_LAYER | ST_DIRECT(ST_IPV6);
	case 248: /* SCTP */
		return ST_LINK_LAYER | ST_IPPROTO(132);
	case 108: /* LOOP */
		return ST_LINK_LOOP;
	case 113: /* LINUX_SLL */
		return ST_LINK_SLL_V1;
	case 276: /* LINUX_SLL2 */
		return ST_LINK_SLL_V2;
	}
	return ST_LINK_OTHER | (linktype & 0xffff);
}

void socktally_classify_for(const struct socktally *meter, uint32_t linktype, const void *data,
			    size_t caplen, struct socktally_path *path)
{
	const struct st_ports *ports = meter && st_registry_has(meter) ? &meter->ports : NULL;
	struct st_path found = st_classify(ports, st_link_of_linktype(linktype), data, caplen);

	memset(path, 0, sizeof(*path));
	path->layer_count = st_path_layers(found, path->layers);
}

void socktally_classify(uint32_t linktype, const void *data, size_t caplen,
			struct socktally_path *path)
{
	socktally_classify_for(NULL, linktype, data, caplen, path);
}
