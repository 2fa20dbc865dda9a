/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* What the tests of hooks share: TAP, a loopback of their own, and tests/data/steps.bpf.c as compiled. */
#ifndef SOCKTALLY_TESTS_LIB_HOOK_HELP_H
#define SOCKTALLY_TESTS_LIB_HOOK_HELP_H

#include "tests/data/steps.bpf.h"
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sched.h>
#include <socktally/socktally.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static unsigned int tap_ran, tap_failed;

__attribute__((format(printf, 2, 3), unused)) static bool ok(bool good, const char *format, ...)
{
	va_list arguments;

	printf("%sok %u - ", good ? "" : "not ", ++tap_ran);
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	putchar('\n');
	fflush(stdout);
	tap_failed += !good;
	return good;
}

__attribute__((unused)) static bool is_number(unsigned long long is, unsigned long long wanted,
					      const char *name)
{
	if (ok(is == wanted, "%s", name))
		return true;
	printf("# is %llu, wanted %llu\n", is, wanted);
	return false;
}

__attribute__((noreturn, unused)) static void bail(const char *what)
{
	printf("Bail out! %s: %s\n", what, strerror(errno));
	exit(1);
}

__attribute__((unused)) static int done(void)
{
	printf("1..%u\n", tap_ran);
	return tap_failed != 0;
}

/* A network namespace with nothing but lo in it, up. */
__attribute__((unused)) static void own_network(void)
{
	struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	int fd;

	if (geteuid() || unshare(CLONE_NEWNET)) {
		printf("1..0 # SKIP needs root\n");
		exit(0);
	}
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request))
		bail("lo up");
	close(fd);
}

/* A packet socket on lo; protocol 0: it gets nothing, and is there to send. */
__attribute__((unused)) static int socket_on_lo(int protocol)
{
	struct sockaddr_ll address = {.sll_family = AF_PACKET,
				      .sll_protocol = htons((uint16_t)protocol),
				      .sll_ifindex = (int)if_nametoindex("lo")};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)))
		bail("packet socket");
	return fd;
}

/*
 * A flood on lo of which nothing is lost. What a CPU receives waits in a queue of limited length (1000
 * packets, unless net.core.netdev_max_backlog is another number), and what does not fit is dropped
 * before any socket sees it, without a word to the sender. So there is a second socket, unmetered and
 * unread, whose statistics tell what has come as far as the sockets.
 */
struct flow {
	int out;
	int witness; /* made before the metered socket: then it is the last to see a packet */
	uint64_t sent, seen;
};

#define FLOW_AHEAD 256 /* packets that may be on their way */

__attribute__((unused)) static void flow_open(struct flow *flow)
{
	const int least = 1;

	*flow = (struct flow){.out = socket_on_lo(0), .witness = socket_on_lo(ETH_P_ALL)};
	if (setsockopt(flow->witness, SOL_SOCKET, SO_RCVBUF, &least, sizeof(least)))
		bail("SO_RCVBUF");
}

__attribute__((unused)) static void flow_close(struct flow *flow)
{
	close(flow->out);
	close(flow->witness);
}

/* Until all but so many have been seen, each going out and coming in. False: they don't come. */
static bool flow_wait(struct flow *flow, uint64_t ahead)
{
	const struct timespec moment = {.tv_nsec = 200 * 1000};
	struct tpacket_stats stats; /* the number of packets has those dropped in it */

	for (unsigned int i = 0; i < 150000 && flow->seen + ahead < 2 * flow->sent; i++) {
		socklen_t size = sizeof(stats);

		if (i)
			nanosleep(&moment, NULL);
		if (getsockopt(flow->witness, SOL_PACKET, PACKET_STATISTICS, &stats, &size))
			bail("PACKET_STATISTICS"); /* reading resets it */
		flow->seen += stats.tp_packets;
	}
	return flow->seen + ahead >= 2 * flow->sent;
}

__attribute__((unused)) static void flow_send(struct flow *flow, const void *packet, size_t size)
{
	while (send(flow->out, packet, size, 0) != (ssize_t)size)
		if (errno != ENOBUFS && errno != EAGAIN)
			bail("send");
	flow->sent++;
	if (!flow_wait(flow, FLOW_AHEAD))
		bail("packets that were sent don't arrive");
}

/* All that was sent is at the sockets. */
__attribute__((unused)) static void flow_end(struct flow *flow)
{
	flow_wait(flow, 0);
	is_number(flow->seen, 2 * flow->sent, "each packet came to the sockets, going and coming");
}

#endif
