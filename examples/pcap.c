// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * A libpcap sniffer, metered: three calls, and one more where it sets a filter.
 *
 *	cc pcap.c $(pkg-config --cflags --libs socktally libpcap) -o pcap
 *	sudo ./pcap eth0 10 arp
 */
#include <pcap/pcap.h>
#include <socktally/socktally.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int print_cell(void *ctx, const struct socktally_cell *cell)
{
	(void)ctx;
	printf("%-32s %-3s %10llu packets %10llu accepted\n", cell->path,
	       cell->direction == SOCKTALLY_OUT ? "out" : "in",
	       (unsigned long long)cell->counts.packets,
	       (unsigned long long)cell->counts.accepted_packets);
	return 0;
}

/*
 * libpcap puts the filter on the socket, which ends the counting; attaching again composes anew with
 * what libpcap has put there. Between the two, for microseconds, packets are filtered but not counted;
 * where a filter is set in another place, socktally_poll() does the same when it is called next.
 */
static int set_filter(struct socktally *meter, pcap_t *pcap, const char *text)
{
	struct bpf_program program;
	int result;

	if (pcap_compile(pcap, &program, text, 1, PCAP_NETMASK_UNKNOWN))
		return -1;
	result = pcap_setfilter(pcap, &program);
	pcap_freecode(&program);
	return result ? result : socktally_attach(meter, pcap_fileno(pcap), NULL);
}

static pcap_t *capture(const char *interface)
{
	char error[PCAP_ERRBUF_SIZE];
	pcap_t *pcap = pcap_create(interface, error);

	if (!pcap)
		return NULL;
	pcap_set_snaplen(pcap, 65535);
	pcap_set_timeout(pcap, 100);
	pcap_set_immediate_mode(pcap, 1);
	if (pcap_activate(pcap) < 0) {
		pcap_perror(pcap, interface);
		pcap_close(pcap);
		return NULL;
	}
	return pcap;
}

static void count_packet(unsigned char *ctx, const struct pcap_pkthdr *header,
			 const unsigned char *data)
{
	(void)header;
	(void)data;
	++*(unsigned long *)ctx;
}

int main(int argc, char **argv)
{
	char error[PCAP_ERRBUF_SIZE];
	unsigned long count = 0;
	struct socktally *meter;
	pcap_t *pcap;
	time_t end;

	if (argc != 3 && argc != 4) {
		fprintf(stderr, "usage: pcap INTERFACE SECONDS [FILTER]\n");
		return 2;
	}
	pcap = capture(argv[1]);
	if (!pcap)
		return 1;
	if (socktally_open(&meter, NULL)) { /* 1 */
		fprintf(stderr, "pcap: %s\n", socktally_error(NULL));
		return 1;
	}
	if (socktally_attach(meter, pcap_fileno(pcap), NULL)) { /* 2 */
		fprintf(stderr, "pcap: %s\n", socktally_error(meter));
		return 1;
	}
	if (argc == 4 && set_filter(meter, pcap, argv[3])) {
		fprintf(stderr, "pcap: %s %s\n", pcap_geterr(pcap), socktally_error(meter));
		return 1;
	}
	pcap_setnonblock(pcap, 1, error);
	fprintf(stderr, "pcap: listening on %s\n", argv[1]);
	for (end = time(NULL) + atoi(argv[2]); time(NULL) < end;) {
		if (!pcap_dispatch(pcap, -1, count_packet, (unsigned char *)&count))
			socktally_poll(meter, 50); /* notices filters that others set */
	}
	socktally_snapshot(meter, print_cell, NULL, NULL); /* 3 */
	printf("%lu packets read\n", count);
	socktally_close(meter);
	pcap_close(pcap);
	return 0;
}
