// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * sockex FILE.bpf.o: pings localhost and says once a second how many bytes have left by TCP, UDP and
 * ICMP. The file is sockex.bpf.c as compiled: clang -O2 -g -target bpf -c sockex.bpf.c
 */
#include <arpa/inet.h>
#include <net/ethernet.h>
#include <socktally/socktally.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int take(void *sent, const struct socktally_row *row)
{
	((uint64_t *)sent)[row->key[0].number] = row->value[0].number;
	return 0;
}

int main(int argc, char **argv)
{
	static char object[1 << 20];
	struct socktally_hook_opts hook = {.sz = sizeof(hook), .object = object};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));
	FILE *file = argc == 2 ? fopen(argv[1], "re") : NULL;
	struct socktally *meter;

	if (!file) {
		fprintf(stderr, "usage: sockex sockex.bpf.o\n");
		return 2;
	}
	hook.object_size = fread(object, 1, sizeof(object), file);
	fclose(file);
	if (fd < 0 || socktally_open(&meter, NULL)) {
		perror("sockex: a packet socket and BPF take root");
		return 1;
	}
	if (socktally_hook_add(meter, &hook) || socktally_attach(meter, fd, NULL)) {
		fprintf(stderr, "sockex: %s\n", socktally_error(meter));
		return 1;
	}
	for (int i = 0; i < 5; i++) {
		uint64_t sent[256] = {0};

		socktally_hook_rows(meter, "sockex", "sent", take, sent);
		printf("TCP %llu UDP %llu ICMP %llu bytes\n", (unsigned long long)sent[IPPROTO_TCP],
		       (unsigned long long)sent[IPPROTO_UDP],
		       (unsigned long long)sent[IPPROTO_ICMP]);
		fflush(stdout);
		if (system("ping -4 -q -c 1 localhost >/dev/null"))
			return 1;
		sleep(1);
	}
	socktally_close(meter);
	return 0;
}
