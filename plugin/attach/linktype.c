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

/*
 * A socket that isn't bound gets packets of every interface, and its filter can't see their kind.
 * The interfaces up to this index are asked one by one: the socket itself knows its namespace, and
 * SIOCGIFCONF would leave out those without an address.
 */
#define ST_LAST_IFINDEX 1024

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
	case ARPHRD_TUNNEL:
	case ARPHRD_TUNNEL6:
	case ARPHRD_SIT:
	case ARPHRD_IPGRE:
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

void st_socket_link_widen(struct st_socket_link *tap, int fd)
{
	char name[16];
	uint32_t link;

	if (tap->link == ST_LINK_SLL)
		return;
	tap->link = 0;
	tap->other_count = 0;
	for (int i = 1; i <= ST_LAST_IFINDEX && tap->other_count < ST_MAX_LINKS; i++) {
		if (interface_read(fd, i, name, &link) || link == ST_LINK_ETH)
			continue;
		tap->others[tap->other_count].ifindex = i;
		tap->others[tap->other_count++].link = link;
	}
	if (!tap->other_count)
		tap->link = ST_LINK_ETH;
}

int st_socket_link_read(struct st_socket_link *tap, int fd, int ifindex)
{
	struct sockaddr_ll address;
	socklen_t size = sizeof(address);
	int type, result;

	memset(tap, 0, sizeof(*tap));
	memset(&address, 0, sizeof(address));
	if (getsockname(fd, (struct sockaddr *)&address, &size))
		return -errno;
	size = sizeof(type);
	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size))
		return -errno;
	tap->ifindex = ifindex ? ifindex : address.sll_ifindex;
	strcpy(tap->interface, "any");
	if (tap->ifindex) {
		result = interface_read(fd, tap->ifindex, tap->interface, &tap->link);
		if (result == -ENODEV || result == -ENXIO) {
			/* gone in the meantime: the kernel still knows what kind it was */
			tap->link = st_link_of_hardware(address.sll_hatype);
			strcpy(tap->interface, "?");
		} else if (result) {
			return result;
		}
	}
	if (type == SOCK_DGRAM)
		tap->link = ST_LINK_SLL;
	else if (!tap->ifindex)
		st_socket_link_widen(tap, fd);
	return 0;
}

void st_link_text(uint32_t link, char *text, uint32_t size)
{
	uint8_t layers[3] = {SOCKTALLY_DLT};

	switch (link) {
	case 0:
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
