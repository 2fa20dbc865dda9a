// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* Expressions that a filter may be, or be made of. */
#include "tools/filter_text/name.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_PORTS 12
#define MAX_HOSTS 8

static const char *const plain[] = {
	"ip",
	"ip6",
	"arp",
	"tcp",
	"udp",
	"icmp",
	"icmp6",
	"igmp",
	"sctp",
	"rarp",
	"esp",
	"ah",
	"vrrp",
	"pim",
	"stp",
	"ether broadcast",
	"ether multicast",
	"broadcast",
	"multicast",
	"ip multicast",
	"ip6 multicast",
	"pppoed",
	"pppoes",
	"mpls",
	"tcp[tcpflags] & tcp-syn != 0",
	"tcp[tcpflags] & tcp-rst != 0",
	"tcp[tcpflags] & (tcp-syn|tcp-fin) != 0",
	"tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-syn",
	"tcp[tcpflags] == tcp-syn",
	"inbound",
	"outbound",
};

static const char *const port_words[] = {
	"port",         "tcp port",     "udp port",     "src port",     "dst port",
	"tcp src port", "tcp dst port", "udp src port", "udp dst port", "sctp port",
};

static const char *const host_words[] = {
	"host", "src host", "dst host", "ip host", "ip src", "ip dst", "arp host",
};

static void try_plain(struct naming *naming)
{
	for (size_t i = 0; i < sizeof(plain) / sizeof(*plain); i++)
		naming_try(naming, true, "%s", plain[i]);
}

static bool is_port(uint32_t k)
{
	return k && k <= 0xffff && k != 0x800 && k != 0x806 && k != 0x86dd && k != 0x8035 &&
	       k != 0x1fff;
}

static void try_numbers(struct naming *naming)
{
	const size_t words = sizeof(port_words) / sizeof(*port_words);
	unsigned int ports = 0;

	for (unsigned int i = 0; i < naming->constants; i++) {
		uint32_t k = naming->constant[i];

		if (k <= 0xffff) {
			naming_try(naming, true, "ether proto 0x%x", k);
			naming_try(naming, true, "greater %u", k);
			naming_try(naming, true, "less %u", k);
		}
		if (k <= 0xff) {
			naming_try(naming, true, "ip proto %u", k);
			naming_try(naming, true, "ip6 proto %u", k);
		}
		if (!is_port(k) || ports++ >= MAX_PORTS)
			continue;
		for (size_t word = 0; word < words; word++)
			naming_try(naming, true, "%s %u", port_words[word], k);
	}
}

static void try_ranges(struct naming *naming)
{
	static const char *const words[] = {
		"portrange",     "tcp portrange",     "udp portrange",     "src portrange",
		"dst portrange", "tcp dst portrange", "udp dst portrange",
	};

	for (size_t i = 0; i < naming->count; i++) {
		uint32_t from = naming->insns[i].k;

		if (naming->insns[i].code != (BPF_JMP | BPF_JGE | BPF_K) || from > 0xffff)
			continue;
		for (size_t j = i + 1; j < naming->count && j < i + 4; j++) {
			if (naming->insns[j].code != (BPF_JMP | BPF_JGT | BPF_K) ||
			    naming->insns[j].k > 0xffff)
				continue;
			for (size_t word = 0; word < sizeof(words) / sizeof(*words); word++)
				naming_try(naming, true, "%s %u-%u", words[word], from,
					   naming->insns[j].k);
		}
	}
}

static const char *address_text(uint32_t address, char text[INET_ADDRSTRLEN])
{
	struct in_addr in = {.s_addr = htonl(address)};

	return inet_ntop(AF_INET, &in, text, INET_ADDRSTRLEN);
}

/* 24 for 255.255.255.0; -1: not a netmask. */
static int mask_length(uint32_t mask)
{
	uint32_t rest = ~mask;

	return rest & (rest + 1) ? -1 : 32 - __builtin_popcount(rest);
}

static void try_nets(struct naming *naming)
{
	char text[INET_ADDRSTRLEN];

	for (size_t i = 0; i + 1 < naming->count; i++) {
		const struct sock_filter *and = &naming->insns[i], *jump = and+1;
		int length = mask_length(and->k);

		if (and->code != (BPF_ALU | BPF_AND | BPF_K) || length < 1 ||
		    jump->code != (BPF_JMP | BPF_JEQ | BPF_K))
			continue;
		address_text(jump->k, text);
		naming_try(naming, true, "net %s/%d", text, length);
		naming_try(naming, true, "src net %s/%d", text, length);
		naming_try(naming, true, "dst net %s/%d", text, length);
		naming_try(naming, true, "ip net %s/%d", text, length);
	}
}

static void try_hosts(struct naming *naming)
{
	const size_t words = sizeof(host_words) / sizeof(*host_words);
	char text[INET_ADDRSTRLEN];
	unsigned int hosts = 0;

	for (unsigned int i = 0; i < naming->constants && hosts < MAX_HOSTS; i++) {
		if (naming->constant[i] <= 0xffff)
			continue;
		hosts++;
		address_text(naming->constant[i], text);
		for (size_t word = 0; word < words; word++)
			naming_try(naming, true, "%s %s", host_words[word], text);
	}
}

/* A hardware address is compared in two parts: its last four bytes and its first two. */
static void try_hardware(struct naming *naming)
{
	for (size_t i = 0; i + 2 < naming->count; i++) {
		const struct sock_filter *low = &naming->insns[i], *high = low + 2;
		char text[18];

		if (low->code != (BPF_JMP | BPF_JEQ | BPF_K) || high->code != low->code ||
		    high->k > 0xffff)
			continue;
		snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", high->k >> 8 & 0xff,
			 high->k & 0xff, low->k >> 24, low->k >> 16 & 0xff, low->k >> 8 & 0xff,
			 low->k & 0xff);
		naming_try(naming, true, "ether host %s", text);
		naming_try(naming, true, "ether src %s", text);
		naming_try(naming, true, "ether dst %s", text);
	}
}

/* An IPv6 address is compared in four parts. */
static void try_hosts6(struct naming *naming)
{
	for (size_t i = 0; i + 6 < naming->count; i++) {
		char text[INET6_ADDRSTRLEN];
		struct in6_addr address;
		unsigned int part;

		for (part = 0; part < 4; part++) {
			const struct sock_filter *jump = &naming->insns[i + 2 * part];
			uint32_t word = htonl(jump->k);

			if (jump->code != (BPF_JMP | BPF_JEQ | BPF_K))
				break;
			memcpy(&address.s6_addr[4 * part], &word, sizeof(word));
		}
		if (part < 4 || !inet_ntop(AF_INET6, &address, text, sizeof(text)))
			continue;
		naming_try(naming, true, "host %s", text);
		naming_try(naming, true, "src host %s", text);
		naming_try(naming, true, "dst host %s", text);
		naming_try(naming, true, "ip6 host %s", text);
	}
}

/* "port 67 or port 68 or ...": all ports of the filter, or all hosts, in its order. */
static void try_list(struct naming *naming, const char *word, bool hosts)
{
	char *text = NULL, address[INET_ADDRSTRLEN];
	unsigned int members = 0;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return;
	for (unsigned int i = 0; i < naming->constants; i++) {
		uint32_t k = naming->constant[i];

		if (hosts ? k <= 0xffff : !is_port(k) || k <= 0xff)
			continue;
		if (hosts)
			fprintf(out, "%s%s %s", members++ ? " or " : "", word,
				address_text(k, address));
		else
			fprintf(out, "%s%s %u", members++ ? " or " : "", word, k);
	}
	if (!fclose(out) && members > 1)
		naming_try(naming, true, "%s", text);
	free(text);
}

static void try_lists(struct naming *naming)
{
	for (size_t i = 0; i < sizeof(port_words) / sizeof(*port_words); i++)
		try_list(naming, port_words[i], false);
	for (size_t i = 0; i < sizeof(host_words) / sizeof(*host_words); i++)
		try_list(naming, host_words[i], true);
}

void naming_guess(struct naming *naming)
{
	try_plain(naming);
	try_numbers(naming);
	try_hosts(naming);
	try_lists(naming);
	try_ranges(naming);
	try_nets(naming);
	try_hardware(naming);
	try_hosts6(naming);
}
