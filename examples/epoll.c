// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * In an event loop: one descriptor more for epoll gives a line each interval, and tells when there are
 * more than 1000 packets of UDP in a second.
 *
 *	cc epoll.c $(pkg-config --cflags --libs socktally) -o epoll
 *	sudo ./epoll eth0 10
 */
#include <arpa/inet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netpacket/packet.h>
#include <socktally/socktally.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { INTERVAL_MS = 250 };

/* What has come since the last interval. */
static int each_interval(void *ctx, struct socktally *meter)
{
	struct socktally_counts *last = ctx;
	struct socktally_totals totals;

	socktally_snapshot(meter, NULL, NULL, &totals);
	printf("+%llu packets\n", (unsigned long long)(totals.counts.packets - last->packets));
	*last = totals.counts;
	return 0;
}

static void crossed(void *ctx, const struct socktally_crossing *crossing)
{
	(void)ctx;
	printf("%s: %s %.0f packets/s\n", crossing->path, crossing->upwards ? "above" : "below",
	       crossing->bound);
}

static int packet_socket(const char *interface)
{
	struct sockaddr_ll address = {.sll_family = AF_PACKET,
				      .sll_protocol = htons(ETH_P_ALL),
				      .sll_ifindex = (int)if_nametoindex(interface)};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd >= 0 &&
	    (!address.sll_ifindex || bind(fd, (struct sockaddr *)&address, sizeof(address)))) {
		close(fd);
		return -1;
	}
	return fd;
}

static void loop(struct socktally *meter, int fd, time_t end)
{
	struct epoll_event packets = {.events = EPOLLIN, .data.fd = fd};
	struct epoll_event due = {.events = EPOLLIN, .data.fd = socktally_fd(meter)};
	int set = epoll_create1(EPOLL_CLOEXEC);
	unsigned long count = 0;
	char packet[2048];

	epoll_ctl(set, EPOLL_CTL_ADD, fd, &packets);
	epoll_ctl(set, EPOLL_CTL_ADD, due.data.fd, &due);
	while (time(NULL) < end) {
		struct epoll_event ready;

		if (epoll_wait(set, &ready, 1, 1000) != 1)
			continue;
		if (ready.data.fd == fd)
			count += recv(fd, packet, sizeof(packet), 0) >= 0;
		else
			socktally_poll(meter, 0);
	}
	printf("%lu packets read\n", count);
	close(set);
}

int main(int argc, char **argv)
{
	struct socktally_threshold_opts many = {.sz = sizeof(many),
						.path = "*:udp",
						.above = 1000,
						.below = 1000};
	struct socktally_counts last = {0};
	struct socktally *meter;
	int fd;

	if (argc != 3) {
		fprintf(stderr, "usage: epoll INTERFACE SECONDS\n");
		return 2;
	}
	fd = packet_socket(argv[1]);
	if (fd < 0) {
		perror(argv[1]);
		return 1;
	}
	if (socktally_open(&meter, NULL)) {
		fprintf(stderr, "epoll: %s\n", socktally_error(NULL));
		return 1;
	}
	if (socktally_attach(meter, fd, NULL) ||
	    socktally_threshold_add(meter, &many, crossed, NULL) < 0 ||
	    socktally_set_interval(meter, INTERVAL_MS, each_interval, &last)) {
		fprintf(stderr, "epoll: %s\n", socktally_error(meter));
		return 1;
	}
	fprintf(stderr, "epoll: listening on %s\n", argv[1]);
	loop(meter, fd, time(NULL) + atoi(argv[2]));
	socktally_close(meter);
	close(fd);
	return 0;
}
