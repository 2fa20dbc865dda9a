/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * For tests of the library in C: a network namespace with nothing in it but lo, and datagrams to
 * ourselves on it. A packet socket sees each of them twice, on its way out and on its way in.
 */
#ifndef SOCKTALLY_TESTS_LIB_API_TRAFFIC_H
#define SOCKTALLY_TESTS_LIB_API_TRAFFIC_H

#include <arpa/inet.h>
#include <errno.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netpacket/packet.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static unsigned int ran, failed;

static inline bool ok(bool good, const char *name)
{
	printf("%sok %u - %s\n", good ? "" : "not ", ++ran, name);
	failed += !good;
	return good;
}

static inline int done(void)
{
	printf("1..%u\n", ran);
	return failed != 0;
}

static inline void bail_out(const char *what)
{
	printf("Bail out! %s: %s\n", what, strerror(errno));
	exit(1);
}

/* The socket to send with; exits where there is no root. */
static inline int traffic_open(void)
{
	struct ifreq request = {.ifr_name = "lo"};
	int fd;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (geteuid() || unshare(CLONE_NEWNET)) {
		printf("1..0 # SKIP needs root\n");
		exit(0);
	}
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &request))
		bail_out("lo");
	request.ifr_flags |= IFF_UP;
	if (ioctl(fd, SIOCSIFFLAGS, &request))
		bail_out("lo up");
	return fd;
}

/* 47 bytes each with their headers, to a socket that is there, so that nothing comes back. */
static inline void traffic_send(int fd, unsigned int count)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons(40009),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int receiver = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (bind(receiver, (struct sockaddr *)&address, sizeof(address)))
		bail_out("bind");
	while (count--)
		if (sendto(fd, "hello", 5, 0, (struct sockaddr *)&address, sizeof(address)) != 5)
			bail_out("sendto");
	close(receiver);
}

static inline int packet_socket(int protocol)
{
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, protocol);

	if (fd < 0)
		bail_out("packet socket");
	return fd;
}

/* One that gets all that passes lo, from its first packet on. */
static inline int lo_socket(void)
{
	struct sockaddr_ll address = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = (int)if_nametoindex("lo"),
	};
	int fd = packet_socket(0);

	if (bind(fd, (struct sockaddr *)&address, sizeof(address)))
		bail_out("bind");
	return fd;
}

#endif
