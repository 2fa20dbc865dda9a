/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * pcap_loop INTERFACE: what one writes in an afternoon to know the protocols on an interface, as fast
 * as that can be: a libpcap loop with a large buffer and a switch on the protocol's number. At the
 * end, by SIGINT, it prints how many packets it saw.
 */
#include <pcap/pcap.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static pcap_t *pcap;
static unsigned long tcp, udp, icmp, arp, other;

static void stop(int signal_number)
{
	(void)signal_number;
	pcap_breakloop(pcap);
}

static void count_ip(unsigned int protocol)
{
	switch (protocol) {
	case 1:
	case 58:
		icmp++;
		break;
	case 6:
		tcp++;
		break;
	case 17:
		udp++;
		break;
	default:
		other++;
	}
}

static void count(unsigned char *ctx, const struct pcap_pkthdr *header, const unsigned char *data)
{
	unsigned int type;

	(void)ctx;
	type = header->caplen < 60 ? 0 : data[12] << 8u | data[13];
	if (type == 0x0800)
		count_ip(data[23]);
	else if (type == 0x86dd)
		count_ip(data[20]);
	else if (type == 0x0806)
		arp++;
	else
		other++;
}

int main(int argc, char **argv)
{
	char error[PCAP_ERRBUF_SIZE];
	int result;

	if (argc != 2)
		return 2;
	pcap = pcap_create(argv[1], error);
	if (!pcap || pcap_set_snaplen(pcap, 96) || pcap_set_buffer_size(pcap, 64 << 20) ||
	    pcap_set_timeout(pcap, 100) || pcap_activate(pcap) < 0) {
		fprintf(stderr, "%s: %s\n", argv[1], pcap ? pcap_geterr(pcap) : error);
		return 1;
	}
	signal(SIGINT, stop);
	fputs("ready\n", stderr);
	result = pcap_loop(pcap, -1, count, NULL);
	printf("%lu packets: tcp %lu, udp %lu, icmp %lu, arp %lu, other %lu\n",
	       tcp + udp + icmp + arp + other, tcp, udp, icmp, arp, other);
	pcap_close(pcap);
	return result == -1;
}
