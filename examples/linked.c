// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * A sniffer of one's own with three calls more: open, attach, snapshot.
 *
 *	cc linked.c $(pkg-config --cflags --libs socktally) -o linked
 *	sudo ./linked eth0 10
 *
 * It reads packets for so many seconds, as slowly as it likes: what the socket drops is counted.
 */
#include <arpa/inet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netpacket/packet.h>
#include <poll.h>
#include <socktally/socktally.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static int print_cell(void *ctx, const struct socktally_cell *cell)
{
	(void)ctx;
	printf("%-32s %-3s %10llu packets %12llu bytes\n", cell->path,
	       cell->direction == SOCKTALLY_OUT ? "out" : "in",
	       (unsigned long long)cell->counts.packets, (unsigned long long)cell->counts.bytes);
	return 0;
}

/* A packet socket that gets nothing until it is bound. */
static int bind_to(int fd, const char *interface)
{
	struct sockaddr_ll address = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = (int)if_nametoindex(interface),
	};

	if (!address.sll_ifindex)
		return -1;
	return bind(fd, (struct sockaddr *)&address, sizeof(address));
}

static unsigned long long read_packets(int fd, time_t seconds)
{
	struct pollfd readable = {.fd = fd, .events = POLLIN};
	time_t end = time(NULL) + seconds;
	unsigned long long count = 0;
	char packet[2048];

	while (time(NULL) < end)
		if (poll(&readable, 1, 100) > 0 && recv(fd, packet, sizeof(packet), 0) >= 0)
			count++;
	return count;
}

int main(int argc, char **argv)
{
	struct socktally *meter;
	struct socktally_totals totals;
	unsigned long long count;
	int fd, error;

	if (argc != 3) {
		fprintf(stderr, "usage: linked INTERFACE SECONDS\n");
		return 2;
	}
	fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		perror("linked: packet socket");
		return 1;
	}
	error = socktally_open(&meter, NULL); /* 1 */
	if (error) {
		fprintf(stderr, "linked: %s\n", socktally_error(NULL));
		return 1;
	}
	error = socktally_attach(meter, fd, NULL); /* 2 */
	if (error) {
		fprintf(stderr, "linked: %s\n", socktally_error(meter));
		return 1;
	}
	if (bind_to(fd, argv[1])) {
		perror(argv[1]);
		return 1;
	}
	fprintf(stderr, "linked: listening on %s\n", argv[1]);
	count = read_packets(fd, atoi(argv[2]));
	socktally_snapshot(meter, print_cell, NULL, &totals); /* 3 */
	printf("%llu packets read, %llu seen by the kernel\n", count,
	       (unsigned long long)totals.counts.packets);
	socktally_close(meter);
	close(fd);
	return 0;
}
