/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * sockets COUNT INTERFACE [metered]: so many packet sockets that reject everything, on one meter or
 * on none. Prints "ready", waits for the end of standard input, and then prints what was counted:
 * packets, paths, and packets that did not fit the table.
 */
#include "bench/bench.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <signal.h>
#include <socktally/socktally.h>
#include <sys/socket.h>
#include <unistd.h>

#define TABLE_PATHS 16384

static int count_paths(void *ctx, const struct socktally_cell *cell)
{
	(void)cell;
	++*(unsigned long *)ctx;
	return 0;
}

static void socket_open(const char *interface, struct socktally *meter)
{
	static struct sock_filter reject = BPF_STMT(BPF_RET | BPF_K, 0);
	const struct sock_fprog filter = {.len = 1, .filter = &reject};
	struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), result;

	to.sll_ifindex = (int)if_nametoindex(interface);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter)) ||
	    bind(fd, (struct sockaddr *)&to, sizeof(to)))
		die("packet socket", errno);
	if (!meter)
		return;
	result = socktally_attach(meter, fd, NULL);
	if (result)
		die(socktally_error(meter), result);
}

int main(int argc, char **argv)
{
	struct socktally_open_opts opts = {.sz = sizeof(opts), .paths = TABLE_PATHS};
	struct socktally_totals totals = {0};
	struct socktally *meter = NULL;
	unsigned long paths = 0;
	int result;

	signal(SIGINT, SIG_IGN); /* meant for those beside it */
	if (argc < 3)
		die("sockets COUNT INTERFACE [metered]", EINVAL);
	result = argc > 3 ? socktally_open(&meter, &opts) : 0;
	if (result)
		die("meter", result);
	for (int i = 0; i < atoi(argv[1]); i++)
		socket_open(argv[2], meter);
	puts("ready");
	fflush(stdout);
	while (getchar() != EOF)
		;
	if (meter)
		socktally_snapshot(meter, count_paths, &paths, &totals);
	printf("packets %llu\npaths %lu\noverflow %llu\n",
	       (unsigned long long)totals.counts.packets, paths,
	       (unsigned long long)totals.overflow_packets);
	socktally_close(meter);
	return 0;
}
