/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Random expressions of pcap-filter(7), and packets with the same few addresses and ports. */
#ifndef SOCKTALLY_TESTS_UNIT_EXPRESSIONS_H
#define SOCKTALLY_TESTS_UNIT_EXPRESSIONS_H

#include "tests/unit/translate/pcap.h"
#include "plugin/classes/ruleset/ruleset.h"

#include <arpa/inet.h>

#define PACKET_ROOM 256

static const char *const some_hosts[] = {"10.0.0.1",    "10.0.0.2",    "10.0.1.1",  "10.1.0.1",
					 "192.168.0.1", "192.168.7.9", "224.0.0.1", "0.0.0.0"};
static const char *const some_hosts6[] = {"2001:db8::1", "2001:db8::2", "2001:db8:0:1::1",
					  "fe80::1", "::1"};
static const unsigned short some_ports[] = {22, 53, 80, 443, 1024, 4789, 8080, 65535};

#define PICK(ARRAY) ((ARRAY)[random_below(sizeof(ARRAY) / sizeof(*(ARRAY)))])

/* Half of the time one of these, else one of many more. */
static const char *random_host(void)
{
	static char text[4][16];
	static unsigned int used;
	char *host = text[used++ % 4];

	if (random_percent(50))
		return PICK(some_hosts);
	snprintf(host, sizeof(text[0]), "10.2.%u.%u", random_below(6), random_below(6));
	return host;
}

__attribute__((unused)) static const char *random_direction(void)
{
	static const char *const directions[] =
		{"", "", "", "src ", "dst ", "src or dst ", "src and dst "};

	return PICK(directions);
}

/* A primitive as classes mostly have it. wide: of any kind. */
static void random_primitive(char *text, size_t size, bool ethernet, bool wide)
{
	static const char *const words[] = {
		"ip",
		"ip6",
		"arp",
		"tcp",
		"udp",
		"icmp",
		"icmp6",
		"sctp",
		"ip proto 47",
		"igmp",
		"ip6 proto 58",
		"rarp",
		"ip multicast",
		"esp",
		"greater 100",
		"less 64",
		"tcp[tcpflags] & (tcp-syn|tcp-fin) != 0",
		"tcp[tcpflags] == tcp-syn",
		"ip[6:2] & 0x2000 != 0",
		"ip[8] < 64",
		"icmp[icmptype] == icmp-echo",
		"ip[2:2] > 576",
		"ip[0] & 0xf != 5",
		"tcp[0:2] > 1023",
		"udp[4:2] = 8",
		"ip[0] >> 4 = 4",
		"ip[2:2] >> 8 > 1",
		"tcp[12] >> 4 > 5",
		"ip[8] >> 3 & 5 = 1",
	};
	static const char *const strange[] = {
		"tcp[12] & 0xf0 > 0x50",
		"udp[8:4] = 0x12345678",
		"(ip[2:2] - ((ip[0]&0xf)<<2)) - ((tcp[12]&0xf0)>>2) != 0",
		"len > 60 and len < 90",
		"ip[100] = 7",
		"ip6[40] = 128",
		"ip[ip[0] & 3] = 0",
		"tcp[((tcp[12:1] & 0xf0) >> 2):4] = 0x47455420",
		"ip[8] * 2 = 128",
		"ip[10:2] / 3 > 1000",
		"ip6[6] % 2 = 1",
		"-1 * ip[8] > 7",
		"ip[1] | 3 = 3",
	};
	static const char *const link[] = {"ether host 02:00:00:00:00:01",
					   "ether src 02:00:00:00:00:02",
					   "ether proto 0x88cc",
					   "ether broadcast",
					   "ether multicast",
					   "vlan",
					   "vlan 5",
					   "vlan 7 and ip",
					   "vlan and tcp port 80",
					   "pppoes",
					   "mpls 3 and ip",
					   "ether[0] & 1 != 0",
					   "llc"};
	static const char *const protocols[] = {"", "", "tcp ", "udp ", "sctp "};
	unsigned int port = PICK(some_ports);

	switch (random_below(wide ? 11 : 7)) {
	case 0:
		if (random_percent(50))
			snprintf(text, size, "%shost %s", random_direction(), random_host());
		else
			snprintf(text, size, "src host %s and dst host %s and tcp dst port %u",
				 random_host(), random_host(), port);
		return;
	case 1:
		snprintf(text, size, "%shost %s", random_direction(), PICK(some_hosts6));
		return;
	case 2:
	case 3:
		snprintf(text, size, "%s%sport %u", PICK(protocols), random_direction(), port);
		return;
	case 4: {
		struct in_addr address;
		unsigned int bits = random_below(33);

		inet_pton(AF_INET, random_host(), &address);
		address.s_addr &= htonl(bits ? 0xffffffffu << (32 - bits) : 0);
		snprintf(text, size, "%snet %s/%u", random_direction(), inet_ntoa(address), bits);
		return;
	}
	case 5:
		snprintf(text, size, "%snet 2001:db8::/%u", random_direction(),
			 32 + random_below(30));
		return;
	case 6:
		snprintf(text, size, "%s", PICK(words));
		return;
	case 7:
		snprintf(text, size, "%s%sportrange %u-%u", PICK(protocols), random_direction(),
			 port < 10 ? port : port - random_below(10), port + random_below(1000));
		return;
	case 8:
		if (ethernet) {
			snprintf(text, size, "%s", PICK(link));
			return;
		}
		/* fall through */
	default:
		snprintf(text, size, "%s", PICK(strange));
	}
}

__attribute__((unused)) static void random_expression(char *text, size_t size, bool ethernet,
						      bool wide)
{
	int terms = random_percent(50) ? 1 : 1 + (int)random_below(4);
	size_t used = 0;

	*text = 0;
	for (int i = 0; i < terms && used + 200 < size; i++) {
		char primitive[128];
		bool not = wide && random_percent(15), open = random_percent(10);

		random_primitive(primitive, sizeof(primitive), ethernet, wide);
		used += (size_t)snprintf(text + used, size - used, "%s%s%s%s%s",
					 i ? random_percent(60) ? " and " : " or " : "",
					 not ? "not " : "", open ? "(" : "", primitive,
					 open ? ")" : "");
	}
}

static size_t put16(unsigned char *at, unsigned int value)
{
	at[0] = (unsigned char)(value >> 8);
	at[1] = (unsigned char)value;
	return 2;
}

/* A transport header with ports of the pool; its length. */
static size_t random_transport(unsigned char *at, unsigned int protocol)
{
	for (int i = 0; i < 40; i++)
		at[i] = (unsigned char)random_u32();
	if (protocol == 1 || protocol == 58) {
		at[0] = random_percent(50) ? 8 : 0;
		return 16;
	}
	put16(at, PICK(some_ports));
	put16(at + 2, PICK(some_ports));
	if (protocol == 6) {
		at[12] = 0x50;
		at[13] = random_percent(30) ? 2 : (unsigned char)random_below(64);
	}
	return 20 + random_below(20);
}

static size_t random_network(unsigned char *at, unsigned int *ethertype)
{
	static const unsigned char protocols[] = {6, 6, 6, 17, 17, 1, 58, 132, 47, 50, 2, 44};
	unsigned int protocol = PICK(protocols), kind = random_below(10), header = 20;

	if (kind < 5) {
		*ethertype = 0x0800;
		if (random_percent(15))
			header = 20 + 4 * random_below(11);
		memset(at, 0, header);
		at[0] = (unsigned char)(0x40 | header / 4);
		put16(at + 2, random_below(1500));
		put16(at + 6, random_percent(10)   ? 0x2000
			      : random_percent(10) ? 1 + random_below(100)
						   : 0x4000);
		at[8] = (unsigned char)(random_percent(50) ? 64 : random_below(256));
		at[9] = (unsigned char)protocol;
		inet_pton(AF_INET, random_host(), at + 12);
		inet_pton(AF_INET, random_host(), at + 16);
		return header + random_transport(at + header, protocol);
	}
	if (kind < 8) {
		*ethertype = 0x86dd;
		memset(at, 0, 48);
		at[0] = 0x60;
		at[6] = (unsigned char)protocol;
		inet_pton(AF_INET6, PICK(some_hosts6), at + 8);
		inet_pton(AF_INET6, PICK(some_hosts6), at + 24);
		at[40] = protocol == 44 ? 6 : 0;
		return 40 + (protocol == 44 ? 8 + random_transport(at + 48, 6)
					    : random_transport(at + 40, protocol));
	}
	*ethertype = random_percent(80) ? 0x0806 : 0x8035;
	memset(at, 0, 28);
	at[1] = 1;
	at[2] = 8;
	at[4] = 6;
	at[5] = 4;
	at[7] = 1;
	inet_pton(AF_INET, PICK(some_hosts), at + 14);
	inet_pton(AF_INET, PICK(some_hosts), at + 24);
	return 28;
}

/* IP in IP in IP, so long that a parser has to load twice. */
static size_t random_tunnels(unsigned char *at)
{
	size_t size = 0;

	for (int i = 0; i < 3; i++) {
		memset(at + size, 0, 60);
		at[size] = 0x4f;
		at[size + 8] = 64;
		at[size + 9] = i < 2 ? 4 : 17;
		inet_pton(AF_INET, random_host(), at + size + 12);
		inet_pton(AF_INET, random_host(), at + size + 16);
		size += 60;
	}
	return size + 8;
}

/* A packet of this link type, in at most PACKET_ROOM bytes. */
__attribute__((unused)) static size_t random_packet(int linktype, unsigned char *packet)
{
	size_t size = 0;
	unsigned int ethertype;
	unsigned char network[220];
	size_t length = random_network(network, &ethertype);

	if (ethertype == 0x0800 && random_percent(10))
		length = random_tunnels(network);
	memset(packet, 0, 64);
	switch (linktype) {
	case DLT_EN10MB:
		packet[0] = random_percent(20) ? 0xff : 2;
		packet[5] = (unsigned char)(1 + random_below(2));
		packet[6] = 2;
		packet[11] = (unsigned char)(1 + random_below(2));
		size = 12;
		if (random_percent(15)) {
			size += put16(packet + size, random_percent(70) ? 0x8100 : 0x88a8);
			size += put16(packet + size, random_percent(50) ? 5 : 7);
		}
		if (random_percent(3))
			ethertype = random_percent(50) ? 0x8847 : 0x88cc;
		size += put16(packet + size, ethertype);
		break;
	case DLT_LINUX_SLL:
		packet[1] = (unsigned char)random_below(5);
		put16(packet + 14, ethertype);
		size = 16;
		break;
	case DLT_LINUX_SLL2:
		put16(packet, ethertype);
		packet[10] = (unsigned char)random_below(5);
		size = 20;
		break;
	}
	memcpy(packet + size, network, length);
	size += length;
	if (random_percent(10))
		size = random_below((unsigned int)size + 1);
	else if (random_percent(10) && size > length)
		size += 20 + random_below(6) - length; /* mostly where ports are */
	if (random_percent(15) && size)
		packet[random_below((unsigned int)size)] = (unsigned char)random_u32();
	return size;
}

/* Of a hundred filters so many are compiled without libpcap's optimizer. */
static unsigned int not_optimized = 10;

/* Filters of random expressions, numbered in order; their instructions are malloc'ed. */
__attribute__((unused)) static void random_filters(struct st_filter *filters, char (*texts)[1024],
						   size_t count, int linktype, bool wide)
{
	for (size_t i = 0; i < count;) {
		struct sock_filter *insns;
		pcap_t *dead = pcap_open_dead(linktype, 262144);
		struct bpf_program program;

		random_expression(texts[i], sizeof(texts[i]), linktype == DLT_EN10MB, wide);
		if (!dead)
			die("pcap_open_dead");
		if (!pcap_compile(dead, &program, texts[i], !random_percent(not_optimized),
				  PCAP_NETMASK_UNKNOWN)) {
			insns = malloc(program.bf_len * sizeof(*insns));
			if (!insns)
				die("malloc");
			memcpy(insns, program.bf_insns, program.bf_len * sizeof(*insns));
			filters[i] = (struct st_filter){.insns = insns,
							.count = program.bf_len,
							.number = (uint32_t)i};
			pcap_freecode(&program);
			i++;
		}
		pcap_close(dead);
	}
}

/* Whether libpcap accepts the packet. */
__attribute__((unused)) static bool offline(const struct st_filter *filter,
					    const unsigned char *packet, size_t caplen, size_t len)
{
	struct pcap_pkthdr header = {.caplen = (bpf_u_int32)caplen, .len = (bpf_u_int32)len};
	struct bpf_program program = {.bf_len = (unsigned int)filter->count,
				      .bf_insns = (struct pcap_bpf_insn *)filter->insns};

	return pcap_offline_filter(&program, &header, packet);
}

__attribute__((unused)) static void show_packet(const unsigned char *packet, size_t size)
{
	printf("# ");
	for (size_t i = 0; i < size; i++)
		printf("%02x", packet[i]);
	putchar('\n');
}

#endif
