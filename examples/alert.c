// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * Says when the rate of a protocol crosses a bound, and when it is back:
 *
 *	cc alert.c $(pkg-config --cflags --libs socktally) -o alert
 *	sudo ./alert eth0 3600 '*:icmp' 100
 *
 * Nobody reads the socket: its filter takes nothing, and what it rejects is counted all the same.
 */
#include <arpa/inet.h>
#include <linux/filter.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netpacket/packet.h>
#include <socktally/socktally.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { INTERVAL_MS = 200 };

static void crossed(void *ctx, const struct socktally_crossing *crossing)
{
	(void)ctx;
	printf("%s: %.0f packets/s, %s %.0f\n", crossing->path, crossing->value,
	       crossing->upwards ? "above" : "no longer above", crossing->bound);
	fflush(stdout);
}

static int bind_to(int fd, const char *interface)
{
	struct sockaddr_ll address = {.sll_family = AF_PACKET,
				      .sll_protocol = htons(ETH_P_ALL),
				      .sll_ifindex = (int)if_nametoindex(interface)};

	return address.sll_ifindex ? bind(fd, (struct sockaddr *)&address, sizeof(address)) : -1;
}

int main(int argc, char **argv)
{
	static const struct sock_filter nothing[] = {BPF_STMT(BPF_RET | BPF_K, 0)};
	struct socktally_threshold_opts bound = {.sz = sizeof(bound)};
	struct socktally *meter;
	time_t end;
	int fd;

	if (argc != 5) {
		fprintf(stderr, "usage: alert INTERFACE SECONDS PATH PACKETS_PER_SECOND\n");
		return 2;
	}
	bound.path = argv[3];
	bound.above = bound.below = atof(argv[4]);
	fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		perror("alert: packet socket");
		return 1;
	}
	if (socktally_open(&meter, NULL)) {
		fprintf(stderr, "alert: %s\n", socktally_error(NULL));
		return 1;
	}
	if (socktally_set_filter(meter, fd, nothing, 1) ||
	    socktally_threshold_add(meter, &bound, crossed, NULL) < 0 ||
	    socktally_set_interval(meter, INTERVAL_MS, NULL, NULL)) {
		fprintf(stderr, "alert: %s\n", socktally_error(meter));
		return 1;
	}
	if (bind_to(fd, argv[1])) {
		perror(argv[1]);
		return 1;
	}
	fprintf(stderr, "alert: listening on %s\n", argv[1]);
	for (end = time(NULL) + atoi(argv[2]); time(NULL) < end;)
		socktally_poll(meter, 1000);
	socktally_close(meter);
	close(fd);
	return 0;
}
