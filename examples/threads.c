// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * Four workers share the packets of an interface (PACKET_FANOUT), each with a socket of its own, all on
 * one meter. The main thread attaches them; any thread may take a snapshot at any time.
 *
 *	cc threads.c $(pkg-config --cflags --libs socktally) -pthread -o threads
 *	sudo ./threads eth0 10
 */
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <socktally/socktally.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { WORKERS = 4 };

struct worker {
	pthread_t thread;
	int fd;
	time_t end;
	unsigned long count;
};

static void *work(void *ctx)
{
	struct worker *worker = ctx;
	struct pollfd readable = {.fd = worker->fd, .events = POLLIN};
	char packet[2048];

	while (time(NULL) < worker->end)
		if (poll(&readable, 1, 100) > 0 && recv(worker->fd, packet, sizeof(packet), 0) >= 0)
			worker->count++;
	return NULL;
}

/* Metered from its first packet on, and a member of the group. */
static int open_worker(struct socktally *meter, const char *interface)
{
	struct sockaddr_ll address = {.sll_family = AF_PACKET,
				      .sll_protocol = htons(ETH_P_ALL),
				      .sll_ifindex = (int)if_nametoindex(interface)};
	int group = (getpid() & 0xffff) | PACKET_FANOUT_HASH << 16;
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	if (fd < 0 || !address.sll_ifindex) {
		perror(interface);
		return -1;
	}
	if (socktally_attach(meter, fd, NULL)) {
		fprintf(stderr, "threads: %s\n", socktally_error(meter));
		return -1;
	}
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) ||
	    setsockopt(fd, SOL_PACKET, PACKET_FANOUT, &group, sizeof(group))) {
		perror(interface);
		return -1;
	}
	return fd;
}

static int print_cell(void *ctx, const struct socktally_cell *cell)
{
	(void)ctx;
	printf("%-32s %-3s %10llu packets\n", cell->path,
	       cell->direction == SOCKTALLY_OUT ? "out" : "in",
	       (unsigned long long)cell->counts.packets);
	return 0;
}

int main(int argc, char **argv)
{
	struct worker workers[WORKERS] = {0};
	struct socktally *meter;
	unsigned long count = 0;
	time_t end;

	if (argc != 3) {
		fprintf(stderr, "usage: threads INTERFACE SECONDS\n");
		return 2;
	}
	if (socktally_open(&meter, NULL)) {
		fprintf(stderr, "threads: %s\n", socktally_error(NULL));
		return 1;
	}
	end = time(NULL) + atoi(argv[2]);
	for (int i = 0; i < WORKERS; i++) {
		workers[i].end = end;
		workers[i].fd = open_worker(meter, argv[1]);
		if (workers[i].fd < 0 ||
		    pthread_create(&workers[i].thread, NULL, work, &workers[i]))
			return 1;
	}
	fprintf(stderr, "threads: listening on %s\n", argv[1]);
	for (int i = 0; i < WORKERS; i++) {
		pthread_join(workers[i].thread, NULL);
		count += workers[i].count;
		close(workers[i].fd);
	}
	socktally_snapshot(meter, print_cell, NULL, NULL);
	printf("%lu packets read\n", count);
	socktally_close(meter);
	return 0;
}
