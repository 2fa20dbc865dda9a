/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Packets on a TAP device in a network namespace of our own, which ends with the process, and
 * packet sockets that see them: raw and cooked, one with the classic filter and one with its
 * translation.
 */
#ifndef SOCKTALLY_TESTS_UNIT_TRANSLATE_DEVICE_H
#define SOCKTALLY_TESTS_UNIT_TRANSLATE_DEVICE_H

#include "tests/unit/translate/help.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/uio.h>

static const unsigned char device_mac[ETH_ALEN] = {2, 0, 0, 0, 0, 1};

struct device {
	int tap; /* what is written here comes in */
	int ifindex;
	int sender;        /* what is sent here goes out */
	int sockets[2][2]; /* raw, cooked; classic, translated */
};

/* Only answers to our own packets may come from the device, so there are none. */
__attribute__((unused)) static void private_network(void)
{
	int fd;

	if (unshare(CLONE_NEWNET))
		die("unshare");
	fd = open("/proc/sys/net/ipv6/conf/default/disable_ipv6", O_WRONLY | O_CLOEXEC);
	if (fd >= 0) {
		if (write(fd, "1", 1) != 1)
			die("disable_ipv6");
		close(fd);
	}
}

static int packet_socket(int type, int ifindex, int protocol)
{
	struct sockaddr_ll address = {
		.sll_family = AF_PACKET,
		.sll_ifindex = ifindex,
		.sll_protocol = htons((unsigned short)protocol),
	};
	int fd = socket(AF_PACKET, type | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)))
		die("packet socket");
	return fd;
}

/* flags: IFF_NAPI | IFF_NAPI_FRAGS, for packets in fragments */
__attribute__((unused)) static void open_device(struct device *device, const char *name, int flags)
{
	static const int types[2] = {SOCK_RAW, SOCK_DGRAM};
	struct ifreq request = {.ifr_flags = (short)(IFF_TAP | IFF_NO_PI | flags)};

	device->tap = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	if (device->tap < 0 || ioctl(device->tap, TUNSETIFF, &request))
		die("/dev/net/tun");
	device->ifindex = (int)if_nametoindex(name);
	device->sender = packet_socket(SOCK_RAW, device->ifindex, 0);
	request.ifr_hwaddr.sa_family = ARPHRD_ETHER;
	memcpy(request.ifr_hwaddr.sa_data, device_mac, ETH_ALEN);
	if (ioctl(device->sender, SIOCSIFHWADDR, &request))
		die("SIOCSIFHWADDR");
	request.ifr_mtu = 9000;
	if (ioctl(device->sender, SIOCSIFMTU, &request))
		die("SIOCSIFMTU");
	request.ifr_flags = IFF_UP;
	if (ioctl(device->sender, SIOCSIFFLAGS, &request))
		die("SIOCSIFFLAGS");
	for (int kind = 0; kind < 2; kind++) {
		for (int i = 0; i < 2; i++)
			device->sockets[kind][i] =
				packet_socket(types[kind], device->ifindex, ETH_P_ALL);
	}
}

#define FRAGMENT 1024

/* linear: bytes before the fragments, on a device that has fragments; 0: no fragments */
static void inject(const struct device *device, unsigned char *packet, size_t size, size_t linear)
{
	struct iovec parts[1 + 9000 / FRAGMENT + 1];
	int count = 1;

	parts[0] = (struct iovec){packet, linear && linear < size ? linear : size};
	for (size_t at = parts[0].iov_len; at < size; at += parts[count++].iov_len) {
		size_t length = size - at < FRAGMENT ? size - at : FRAGMENT;

		parts[count] = (struct iovec){packet + at, length};
	}
	if (writev(device->tap, parts, count) != (ssize_t)size)
		die("write to the tap");
}

static void transmit(const struct device *device, const unsigned char *packet, size_t size)
{
	char drain[1];

	if (send(device->sender, packet, size, 0) != (ssize_t)size)
		die("send");
	while (read(device->tap, drain, sizeof(drain)) > 0)
		;
}

static long received(int socket)
{
	char got[1];
	ssize_t length = recv(socket, got, sizeof(got), MSG_DONTWAIT | MSG_TRUNC);

	if (length < 0 && errno != EAGAIN)
		die("recv");
	return length < 0 ? 0 : length;
}

/* An Ethernet packet of size bytes with random contents, mostly with a likely header. */
__attribute__((unused)) static void random_packet(unsigned char *packet, size_t size)
{
	static const unsigned short types[] = {0x0800, 0x86dd, 0x0806, 0x8100, 0x88a8,
					       0x8847, 0x0026, 0x8863, 0x8864};

	for (size_t at = 0; at < size; at++)
		packet[at] = (unsigned char)(random_u32() >> random_below(32));
	switch (random_below(4)) {
	case 0:
		memcpy(packet, device_mac, ETH_ALEN);
		break;
	case 1:
		memset(packet, 0xff, ETH_ALEN);
		break;
	case 2:
		packet[0] |= 1;
	}
	if (random_percent(90)) {
		unsigned short type = types[random_below(sizeof(types) / sizeof(*types))];

		packet[12] = (unsigned char)(type >> 8);
		packet[13] = (unsigned char)type;
	}
}

#endif
