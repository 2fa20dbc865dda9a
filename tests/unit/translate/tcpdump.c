/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Every filter of expressions.txt, as libpcap sets it on a live Ethernet socket and on a live
 * cooked one ("any", with both of its link types), and as it compiles it for Ethernet and for raw
 * IP: the translation gives the kernel's verdict for packets that look like traffic.
 */
#include "tests/unit/translate/device.h"
#include "tests/unit/translate/pcap.h"
#include "tests/unit/translate/traffic.h"

#define PACKETS 200

enum link { LIVE_ETHERNET, LIVE_SLL, LIVE_SLL2, ETHERNET, RAW_IP, LINKS };
static const char *const link_names[LINKS] = {"live Ethernet", "live cooked", "live cooked v2",
					      "Ethernet", "raw IP"};

static struct device device;
static pcap_t *live[ETHERNET];
static int classic_pair[2], translated_pair[2];

static pcap_t *open_live(const char *interface, int linktype)
{
	char text[PCAP_ERRBUF_SIZE];
	pcap_t *pcap = pcap_create(interface, text);

	if (!pcap || pcap_activate(pcap) < 0 || (linktype && pcap_set_datalink(pcap, linktype)))
		die(interface);
	return pcap;
}

/* The filter that libpcap has set on its socket. */
static struct sock_filter *compile_live(pcap_t *pcap, const char *expression, size_t *count)
{
	static struct sock_filter insns[4096];
	struct bpf_program program;
	struct sock_filter *copy = NULL;
	socklen_t length = 4096;

	if (pcap_compile(pcap, &program, expression, 1, PCAP_NETMASK_UNKNOWN))
		return NULL;
	/* If the kernel can't run it, libpcap does, and there is none. */
	if (!pcap_setfilter(pcap, &program) &&
	    !getsockopt(pcap_fileno(pcap), SOL_SOCKET, SO_GET_FILTER, insns, &length) && length) {
		*count = length;
		copy = malloc(length * sizeof(*copy));
		if (!copy)
			die("malloc");
		memcpy(copy, insns, length * sizeof(*copy));
	}
	pcap_freecode(&program);
	return copy;
}

static struct sock_filter *compile_for(enum link link, const char *expression, size_t *count)
{
	switch (link) {
	case ETHERNET:
		return compile(DLT_EN10MB, expression, count);
	case RAW_IP:
		return compile(DLT_RAW, expression, count);
	default:
		return compile_live(live[link], expression, count);
	}
}

static void verdicts(enum link link, struct traffic *packet, long *expected, long *got)
{
	const int *sockets = device.sockets[link == LIVE_ETHERNET ? 0 : 1];

	traffic_packet(packet, link != RAW_IP, link < ETHERNET ? 14 : 1);
	if (link >= ETHERNET) {
		*expected = unix_verdict(classic_pair, packet->bytes, packet->size);
		*got = unix_verdict(translated_pair, packet->bytes, packet->size);
		return;
	}
	if (random_percent(30))
		transmit(&device, packet->bytes, packet->size);
	else
		inject(&device, packet->bytes, packet->size, 0);
	*expected = received(sockets[0]);
	*got = received(sockets[1]);
}

static void reject_everywhere(void)
{
	static const struct sock_filter reject = {BPF_RET | BPF_K, 0, 0, 0};

	for (int i = 0; i < 4; i++) {
		if (attach_classic(device.sockets[i / 2][i % 2], &reject, 1))
			die("SO_ATTACH_FILTER");
	}
}

/* Adds to accepted and rejected. */
static bool same(enum link link, const struct sock_filter *insns, size_t count,
		 unsigned long *accepted, unsigned long *rejected)
{
	int *sockets = device.sockets[link == LIVE_ETHERNET ? 0 : 1];
	int program = load_translated(insns, count, false, NULL, 0);
	struct traffic packet;

	if (program < 0) {
		printf("# %s: %s\n", link_names[link], strerror(-program));
		return false;
	}
	reject_everywhere();
	if (attach_classic(link < ETHERNET ? sockets[0] : classic_pair[1], insns, count) ||
	    attach_program(link < ETHERNET ? sockets[1] : translated_pair[1], program))
		die("attach");
	close(program);
	for (int i = 0; i < PACKETS; i++) {
		long expected, got;

		verdicts(link, &packet, &expected, &got);
		if (expected != got) {
			printf("# %s: the kernel says %ld, the translation %ld, for\n# ",
			       link_names[link], expected, got);
			for (size_t at = 0; at < packet.size; at++)
				printf("%02x", packet.bytes[at]);
			printf("\n");
			print_filter(insns, count);
			return false;
		}
		*accepted += expected != 0;
		*rejected += expected == 0;
	}
	return true;
}

/* Whether some packets were accepted and some rejected. */
static bool try_expression(const char *expression)
{
	unsigned long accepted = 0, rejected = 0;
	char links[128] = "";
	bool good = true;

	for (enum link link = 0; link < LINKS; link++) {
		size_t count;
		struct sock_filter *insns = compile_for(link, expression, &count);

		if (!insns)
			continue;
		good &= same(link, insns, count, &accepted, &rejected);
		snprintf(links + strlen(links), sizeof(links) - strlen(links), "%s%s",
			 *links ? ", " : "", link_names[link]);
		free(insns);
	}
	ok(good && *links, "%s (%s)", expression, links);
	return accepted && rejected;
}

int main(void)
{
	unsigned long seed = from_environment("SEED", (unsigned long)time(NULL));
	const char *source = getenv("SRCDIR");
	unsigned int expressions = 0, both = 0;
	char line[1000];
	FILE *file;

	printf("# SEED=%lu\n", seed);
	random_seed(seed);
	snprintf(line, sizeof(line), "%s/tests/data/expressions.txt", source ? source : ".");
	file = fopen(line, "re");
	if (!file)
		die(line);
	private_network();
	open_device(&device, "whole", 0);
	live[LIVE_ETHERNET] = open_live("whole", 0);
	live[LIVE_SLL] = open_live("any", DLT_LINUX_SLL);
	live[LIVE_SLL2] = open_live("any", DLT_LINUX_SLL2);
	unix_pair(classic_pair);
	unix_pair(translated_pair);
	while (fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = '\0';
		if (line[0] == '#' || line[0] == '\0')
			continue;
		expressions++;
		both += try_expression(line);
	}
	fclose(file);
	for (int i = 0; i < ETHERNET; i++)
		pcap_close(live[i]);
	ok(expressions >= 100, "%u expressions", expressions);
	ok(both * 10 > expressions * 9, "%u of them accepted some packets and rejected others",
	   both);
	done_testing();
}
