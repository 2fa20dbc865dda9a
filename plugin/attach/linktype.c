// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
#include "plugin/attach/linktype.h"
#include "bpf/table.h"
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <linux/if_arp.h>
#include <socktally/socktally.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

/* Link types as numbered in capture files. */
enum {
	LINKTYPE_IEEE802_11 = 105,
	LINKTYPE_IEEE802_11_PRISM = 119,
	LINKTYPE_IEEE802_11_RADIOTAP = 127,
	LINKTYPE_IEEE802_15_4_NOFCS = 230,
	LINKTYPE_CAN_SOCKETCAN = 227,
	LINKTYPE_INFINIBAND = 247,
	LINKTYPE_NETLINK = 253,
	LINKTYPE_VSOCK = 271,
	LINKTYPE_UNKNOWN = 0x3fff, /* no such number: "DLT16383" */
};

/*
 * RAW are devices whose packets have no link-layer header, as far as a packet socket sees: the kernel's
 * drivers, and libpcap's map_arphrd_to_dlt(), say which these are.
 */
uint32_t st_link_of_hardware(unsigned int hardware)
{
	switch (hardware) {
	case ARPHRD_ETHER:
	case ARPHRD_LOOPBACK:
		return ST_LINK_ETH;
	case ARPHRD_NONE: /* tun, WireGuard */
	case ARPHRD_RAWIP:
	case ARPHRD_PPP:
	case ARPHRD_SLIP:
	case ARPHRD_CSLIP:
	case ARPHRD_SLIP6:
	case ARPHRD_CSLIP6:
	case ARPHRD_ADAPT: /* SLIP, adaptive */
	case ARPHRD_TUNNEL:
	case ARPHRD_TUNNEL6:
	case ARPHRD_SIT:
	case ARPHRD_IPGRE:
	case ARPHRD_IP6GRE:
	case ARPHRD_PIMREG:
	case ARPHRD_6LOWPAN:
		return ST_LINK_RAW;
	case ARPHRD_IEEE80211:
		return ST_LINK_OTHER | LINKTYPE_IEEE802_11;
	case ARPHRD_IEEE80211_PRISM:
		return ST_LINK_OTHER | LINKTYPE_IEEE802_11_PRISM;
	case ARPHRD_IEEE80211_RADIOTAP:
		return ST_LINK_OTHER | LINKTYPE_IEEE802_11_RADIOTAP;
	case ARPHRD_IEEE802154:
		return ST_LINK_OTHER | LINKTYPE_IEEE802_15_4_NOFCS;
	case ARPHRD_CAN:
		return ST_LINK_OTHER | LINKTYPE_CAN_SOCKETCAN;
	case ARPHRD_INFINIBAND:
		return ST_LINK_OTHER | LINKTYPE_INFINIBAND;
	case ARPHRD_NETLINK:
		return ST_LINK_OTHER | LINKTYPE_NETLINK;
	case ARPHRD_VSOCKMON:
		return ST_LINK_OTHER | LINKTYPE_VSOCK;
	default:
		return ST_LINK_OTHER | LINKTYPE_UNKNOWN;
	}
}

/* The name and link of an interface in the socket's own namespace. */
static int interface_read(int fd, int ifindex, char name[16], uint32_t *link)
{
	struct ifreq request;

	memset(&request, 0, sizeof(request));
	request.ifr_ifindex = ifindex;
	if (ioctl(fd, SIOCGIFNAME, &request))
		return -errno;
	memcpy(name, request.ifr_name, sizeof(request.ifr_name));
	if (ioctl(fd, SIOCGIFHWADDR, &request))
		return -errno;
	*link = st_link_of_hardware(request.ifr_hwaddr.sa_family);
	return 0;
}

void st_socket_link_widen(struct st_socket_link *socket_link)
{
	if (socket_link->link != ST_LINK_SLL)
		socket_link->link = ST_LINK_ANY;
}

int st_socket_link_read(struct st_socket_link *socket_link, int fd, int ifindex)
{
	struct sockaddr_ll address;
	socklen_t size = sizeof(address);
	int type, result;

	memset(socket_link, 0, sizeof(*socket_link));
	memset(&address, 0, sizeof(address));
	if (getsockname(fd, (struct sockaddr *)&address, &size))
		return -errno;
	size = sizeof(type);
	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size))
		return -errno;
	socket_link->ifindex = ifindex ? ifindex : address.sll_ifindex;
	strcpy(socket_link->interface, "any");
	if (socket_link->ifindex) {
		result = interface_read(fd, socket_link->ifindex, socket_link->interface,
					&socket_link->link);
		if (result == -ENODEV || result == -ENXIO) {
			/* gone in the meantime: the kernel still knows what kind it was */
			socket_link->link = st_link_of_hardware(address.sll_hatype);
			strcpy(socket_link->interface, "?");
		} else if (result) {
			return result;
		}
	}
	if (type == SOCK_DGRAM)
		socket_link->link = ST_LINK_SLL;
	else if (!socket_link->ifindex)
		st_socket_link_widen(socket_link);
	return 0;
}

void st_link_text(uint32_t link, char *text, uint32_t size)
{
	uint8_t layers[3] = {SOCKTALLY_DLT};

	switch (link) {
	case ST_LINK_ANY: /* mostly */
	case ST_LINK_ETH:
		layers[0] = SOCKTALLY_ETH;
		break;
	case ST_LINK_SLL:
		layers[0] = SOCKTALLY_SLL;
		break;
	case ST_LINK_RAW:
		layers[0] = SOCKTALLY_RAW;
		break;
	default:
		layers[1] = 0x80 | (link >> 7 & 0x7f);
		layers[2] = 0x80 | (link & 0x7f);
	}
	socktally_path_text(layers, layers[0] == SOCKTALLY_DLT ? 3 : 1, text, size);
}
