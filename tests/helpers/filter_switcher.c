// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * filter_switcher INTERFACE [plain]: changes the filter of a metered socket without a pause while it reads
 * all that comes, until its standard input ends. All filters take IPv4 and none takes ARP; IPv6 comes
 * and goes. Then it prints what it did, what was delivered and what was counted, as lines of
 * "WORD NUMBER...". "plain": the socket is not metered, or by the shim, which then reports.
 */
#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <socktally/socktally.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef SO_RCVBUFFORCE
#define SO_RCVBUFFORCE 33
#endif
#define SEQUENCE_AT 54 /* in an IPv4 packet: Ethernet, 20 + 8 bytes, 12 of ours before it */

struct delivery {
	unsigned long long ip, ipv6, other;
	unsigned long long out_of_order; /* an IPv4 packet that isn't the next one */
	uint32_t next;
};

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static const struct sock_filter ip_only[] = {
	BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 12),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IP, 0, 1),
	BPF_STMT(BPF_RET | BPF_K, 0xffff),
	BPF_STMT(BPF_RET | BPF_K, 0),
};
static const struct sock_filter ip_or_ipv6[] = {
	BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 12),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IP, 1, 0),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IPV6, 0, 1),
	BPF_STMT(BPF_RET | BPF_K, 0xffff),
	BPF_STMT(BPF_RET | BPF_K, 0),
};
static const struct sock_filter by_protocol[] = {
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (unsigned int)SKF_AD_OFF + SKF_AD_PROTOCOL),
	BPF_STMT(BPF_ALU | BPF_XOR | BPF_K, ETH_P_IP),
	BPF_STMT(BPF_MISC | BPF_TAX, 0),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1),
	BPF_STMT(BPF_RET | BPF_K, 1000),
	BPF_STMT(BPF_RET | BPF_K, 0),
};
static const struct {
	const struct sock_filter *insns;
	size_t count;
} filters[] = {
	{ip_only, sizeof(ip_only) / sizeof(ip_only[0])},
	{ip_or_ipv6, sizeof(ip_or_ipv6) / sizeof(ip_or_ipv6[0])},
	{by_protocol, sizeof(by_protocol) / sizeof(by_protocol[0])},
};

static void take(struct delivery *delivery, const uint8_t *packet, ssize_t size)
{
	uint32_t sequence;
	uint16_t type;

	memcpy(&type, packet + 12, sizeof(type));
	switch (ntohs(type)) {
	case ETH_P_IP:
		delivery->ip++;
		if (size < SEQUENCE_AT + 4)
			return;
		memcpy(&sequence, packet + SEQUENCE_AT, sizeof(sequence));
		delivery->out_of_order += ntohl(sequence) != delivery->next;
		delivery->next = ntohl(sequence) + 1;
		break;
	case ETH_P_IPV6:
		delivery->ipv6++;
		break;
	default:
		delivery->other++;
	}
}

static void read_all(int fd, struct delivery *delivery)
{
	uint8_t packet[2048];
	ssize_t size;

	while ((size = recv(fd, packet, sizeof(packet), MSG_DONTWAIT)) >= 14)
		take(delivery, packet, size);
}

static bool input_ended(void)
{
	struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};

	return poll(&input, 1, 0) != 0;
}

static int print_cell(void *ctx, const struct socktally_cell *cell)
{
	(void)ctx;
	printf("%s:%u %llu %llu %llu\n", cell->path, cell->direction,
	       (unsigned long long)cell->counts.packets,
	       (unsigned long long)cell->counts.accepted_packets,
	       (unsigned long long)cell->counts.bytes);
	return 0;
}

/* meter: NULL for a plain one. */
static void set_filter(struct socktally *meter, int fd, unsigned long number)
{
	struct sock_fprog program = {.len = (unsigned short)filters[number].count,
				     .filter = (struct sock_filter *)filters[number].insns};

	if (meter && socktally_set_filter(meter, fd, filters[number].insns, filters[number].count))
		die(socktally_error(meter));
	if (!meter && setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)))
		die("SO_ATTACH_FILTER");
}

static int open_socket(struct socktally *meter, const char *interface)
{
	struct sockaddr_ll address = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = (int)if_nametoindex(interface),
	};
	const int room = 256 << 20;
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)))
		die("packet socket");
	set_filter(meter, fd, 0);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)))
		die("bind");
	return fd;
}

int main(int argc, char **argv)
{
	struct delivery delivery = {0};
	struct tpacket_stats drops = {0};
	socklen_t size = sizeof(drops);
	struct socktally *meter = NULL;
	unsigned long switches = 0;
	int fd, error = 0;

	if (argc < 2)
		return 2;
	if (argc == 2)
		error = socktally_open(&meter, NULL);
	if (error) {
		fprintf(stderr, "open: %s\n", strerror(-error));
		return 1;
	}
	fd = open_socket(meter, argv[1]);
	puts("ready");
	fflush(stdout);
	while (!input_ended()) {
		set_filter(meter, fd, ++switches % 3);
		read_all(fd, &delivery);
	}
	read_all(fd, &delivery);
	if (getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &drops, &size))
		die("PACKET_STATISTICS");
	printf("switches %lu\ndrops %u\n", switches, drops.tp_drops);
	printf("delivered_ip %llu\ndelivered_ipv6 %llu\ndelivered_other %llu\nout_of_order %llu\n",
	       delivery.ip, delivery.ipv6, delivery.other, delivery.out_of_order);
	if (meter)
		socktally_snapshot(meter, print_cell, NULL, NULL);
	socktally_close(meter);
	return 0;
}
