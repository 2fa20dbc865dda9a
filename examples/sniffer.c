// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * A sniffer with a ring (TPACKET_V3), which says how much it has read; with the plugin, also what there
 * was, by protocol. It knows nothing of socktally but its plugin option:
 *
 *	cc sniffer.c $(pkg-config --cflags socktally) -o sniffer
 *	sudo ./sniffer --plugin /usr/local/lib/libsocktally.so eth0 10
 */
#include "plugin_host.h"
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BLOCK_SIZE = 1 << 18, BLOCKS = 4 };

static int print_cell(void *ctx, const struct socktally_cell *cell)
{
	(void)ctx;
	printf("%-32s %10llu packets %12llu bytes\n", cell->path,
	       (unsigned long long)cell->counts.packets, (unsigned long long)cell->counts.bytes);
	return 0;
}

static int print_totals(void *ctx, const struct socktally_totals *totals)
{
	(void)ctx;
	return printf("%llu seen by the kernel\n", (unsigned long long)totals->counts.packets) < 0;
}

static unsigned char *ring_open(int fd)
{
	struct tpacket_req3 ring = {BLOCK_SIZE, BLOCKS, 2048, BLOCK_SIZE / 2048 * BLOCKS,
				    100,        0,      0};
	int version = TPACKET_V3;
	void *mapped = MAP_FAILED;

	if (!setsockopt(fd, SOL_PACKET, PACKET_VERSION, &version, sizeof(version)) &&
	    !setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &ring, sizeof(ring)))
		mapped = mmap(NULL, (size_t)BLOCK_SIZE * BLOCKS, PROT_READ | PROT_WRITE, MAP_SHARED,
			      fd, 0);
	return mapped == MAP_FAILED ? NULL : mapped;
}

static int bind_to(int fd, const char *interface)
{
	struct sockaddr_ll address = {.sll_family = AF_PACKET,
				      .sll_protocol = htons(ETH_P_ALL),
				      .sll_ifindex = (int)if_nametoindex(interface)};

	return address.sll_ifindex ? bind(fd, (struct sockaddr *)&address, sizeof(address)) : -1;
}

static unsigned long read_packets(int fd, unsigned char *ring, time_t seconds)
{
	struct pollfd readable = {.fd = fd, .events = POLLIN};
	time_t end = time(NULL) + seconds;
	unsigned long count = 0;

	for (unsigned int at = 0; time(NULL) < end;) {
		struct tpacket_block_desc *block = (void *)(ring + (size_t)at * BLOCK_SIZE);

		if (!(__atomic_load_n(&block->hdr.bh1.block_status, __ATOMIC_ACQUIRE) &
		      TP_STATUS_USER)) {
			poll(&readable, 1, 100);
			continue;
		}
		count += block->hdr.bh1.num_pkts; /* a real one would look at them */
		__atomic_store_n(&block->hdr.bh1.block_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
		at = (at + 1) % BLOCKS;
	}
	return count;
}

int main(int argc, char **argv)
{
	const struct socktally_plugin *plugin = NULL;
	struct socktally_sink sink = {.sz = sizeof(sink),
				      .cell = print_cell,
				      .totals = print_totals};
	struct socktally *meter;
	unsigned char *ring;
	int fd;

	if (argc == 5 && !strcmp(argv[1], "--plugin")) {
		plugin = plugin_load(argv[2], &meter);
		if (!plugin)
			return 1;
		argc = 3;
		argv += 2;
	}
	if (argc != 3) {
		fprintf(stderr, "usage: sniffer [--plugin FILE] INTERFACE SECONDS\n");
		return 2;
	}
	fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	ring = fd < 0 ? NULL : ring_open(fd);
	if (plugin && ring && plugin->attach(meter, fd, NULL)) {
		fprintf(stderr, "sniffer: %s\n", plugin->error(meter));
		return 1;
	}
	if (!ring || bind_to(fd, argv[1])) {
		perror("sniffer");
		return 1;
	}
	fprintf(stderr, "sniffer: listening on %s\n", argv[1]);
	printf("%lu packets read\n", read_packets(fd, ring, atoi(argv[2])));
	if (plugin) {
		plugin->snapshot(meter, &sink, NULL);
		plugin->destroy(meter);
	}
	return 0;
}
