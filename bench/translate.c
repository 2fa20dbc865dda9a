/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The cost of a filter for a packet, run by the kernel itself and translated. On lo in a network
 * namespace, SOCKETS packet sockets have the same filter, which rejects the packet; the cost of the
 * filter "reject all" is subtracted. Also prints the sizes.
 */
#include "tests/unit/translate/pcap.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#define SOCKETS 32
#define PACKETS 500
#define ROUNDS 60

static const struct {
	const char *expression, *name; /* of the packet */
	unsigned char packet[128];
} cases[] = {
	{"port 53",
	 "TCP, port 80",
	 {[12] = 0x08,
	  0x00,
	  0x45,
	  [17] = 100,
	  [22] = 64,
	  6,
	  [26] = 10,
	  0,
	  0,
	  1,
	  10,
	  0,
	  0,
	  2,
	  0xc0,
	  0,
	  0,
	  80}},
	{"port 53",
	 "IPv6 UDP, port 123",
	 {[12] = 0x86, 0xdd, 0x60, [20] = 17, 64, [54] = 0xc0, 0, 0, 123}},
	{"port 53", "ARP", {[12] = 0x08, 0x06, 0, 1, 8, 0, 6, 4}},
	{"tcp port 80 and host 1.2.3.4",
	 "TCP, port 80, other hosts",
	 {[12] = 0x08,
	  0x00,
	  0x45,
	  [17] = 100,
	  [22] = 64,
	  6,
	  [26] = 10,
	  0,
	  0,
	  1,
	  10,
	  0,
	  0,
	  2,
	  0xc0,
	  0,
	  0,
	  80}},
	{"host 1.2.3.4",
	 "IPv4, other hosts",
	 {[12] = 0x08, 0x00, 0x45, [17] = 100, [22] = 64, 6, [26] = 10, 0, 0, 1, 10, 0, 0, 2}},
	{"tcp", "UDP", {[12] = 0x08, 0x00, 0x45, [17] = 100, [22] = 64, 17}},
	{"ip6", "IPv4", {[12] = 0x08, 0x00, 0x45, [17] = 100, [22] = 64, 17}},
	{"ip6 host fe80::1 and tcp port 443",
	 "IPv6 TCP, other hosts",
	 {[12] = 0x86, 0xdd, 0x60, [20] = 6, 64, 0xfe, 0x80, [54] = 0xc0, 0, 1, 0xbb}},
	{"tcp[tcpflags] & (tcp-syn|tcp-fin) != 0",
	 "TCP ACK",
	 {[12] = 0x08, 0x00, 0x45, [17] = 100, [22] = 64, 6, [34] = 0xc0, 0, 0, 80, [47] = 16}},
	{"vlan 7 and udp",
	 "IPv4 UDP, no tag",
	 {[12] = 0x08, 0x00, 0x45, [17] = 100, [22] = 64, 17}},
	{"ether host 2:0:0:0:0:1",
	 "IPv4, other hosts",
	 {[12] = 0x08, 0x00, 0x45, [17] = 100, [22] = 64, 17}},
	{"udp[8:4] = 0x12345678 and greater 60",
	 "UDP, other payload",
	 {[12] = 0x08, 0x00, 0x45, [17] = 100, [22] = 64, 17}},
};

static int sockets[SOCKETS], sender;

static void open_sockets(void)
{
	struct sockaddr_ll lo = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
	struct ifreq up = {.ifr_name = "lo", .ifr_flags = IFF_UP};

	sender = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	lo.sll_ifindex = (int)if_nametoindex("lo");
	if (sender < 0 || ioctl(sender, SIOCSIFFLAGS, &up))
		die("lo");
	for (int i = 0; i < SOCKETS; i++) {
		sockets[i] = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
		if (sockets[i] < 0 || bind(sockets[i], (struct sockaddr *)&lo, sizeof(lo)))
			die("packet socket");
	}
	lo.sll_protocol = 0;
	if (bind(sender, (struct sockaddr *)&lo, sizeof(lo)))
		die("bind");
}

/* Seconds for PACKETS packets. Each socket sees a packet twice: outgoing and incoming. */
static double round_time(const void *packet, size_t size)
{
	struct timespec start, end;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &start);
	for (int i = 0; i < PACKETS; i++) {
		if (send(sender, packet, size, 0) < 0)
			die("send");
	}
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);
	return (double)(end.tv_sec - start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec) / 1e9;
}

static void use_classic(const struct sock_filter *insns, size_t count)
{
	for (int i = 0; i < SOCKETS; i++) {
		if (attach_classic(sockets[i], insns, count))
			die("SO_ATTACH_FILTER");
	}
}

/* A program for each socket, as each has its own classic filter. */
static void use_translated(const struct sock_filter *insns, size_t count)
{
	for (int i = 0; i < SOCKETS; i++) {
		int program = load_translated(insns, count, false, NULL, 0);

		if (program < 0 || attach_program(sockets[i], program))
			die("SO_ATTACH_BPF");
		close(program);
	}
}

static void sizes(int program, __u32 *xlated, __u32 *jited)
{
	struct bpf_prog_info info = {0};
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.info.bpf_fd = (__u32)program;
	attr.info.info_len = sizeof(info);
	attr.info.info = (__u64)(unsigned long)&info;
	if (syscall(__NR_bpf, BPF_OBJ_GET_INFO_BY_FD, &attr, sizeof(attr)))
		die("BPF_OBJ_GET_INFO_BY_FD");
	*xlated = info.xlated_prog_len / 8;
	*jited = info.jited_prog_len;
}

static double least(double a, double b)
{
	return a < b ? a : b;
}

static void measure(const char *expression, const char *name, const unsigned char *packet,
		    size_t size)
{
	static const struct sock_filter reject = {BPF_RET | BPF_K, 0, 0, 0};
	double empty = 1e9, classic = 1e9, translated = 1e9;
	const double runs = 2.0 * SOCKETS * PACKETS / 1e9;
	struct sock_filter *insns;
	struct st_code code = {.header_buffer = test_header_buffer(), .direct = test_direct()};
	unsigned char frame[ETH_HLEN + 128] = {0};
	__u32 xlated, jited, verdict;
	size_t count;
	int program;

	insns = compile(DLT_EN10MB, expression, &count);
	if (!insns || st_translate(&code, insns, count, NULL))
		die(expression);
	program = load_translated(insns, count, false, NULL, 0);
	if (program < 0)
		die("load");
	/* BPF_PROG_TEST_RUN takes an Ethernet header off */
	memcpy(frame + ETH_HLEN, packet, size);
	if (st_bpf_prog_run(program, frame, ETH_HLEN + size, 1, &verdict, NULL) || verdict)
		printf("accepted, so not measured: ");
	sizes(program, &xlated, &jited);
	for (int i = 0; i < ROUNDS; i++) {
		use_translated(&reject, 1);
		empty = least(empty, round_time(packet, size));
		use_classic(insns, count);
		classic = least(classic, round_time(packet, size));
		use_translated(insns, count);
		translated = least(translated, round_time(packet, size));
	}
	printf("%-40s %-26s %5.1f ns %5.1f ns   %4zu %4zu %4u  %5u\n", expression, name,
	       (classic - empty) / runs, (translated - empty) / runs, count, code.count, xlated,
	       jited);
	fflush(stdout);
	close(program);
	free(insns);
	st_code_free(&code);
}

int main(void)
{
	if (unshare(CLONE_NEWNET))
		die("unshare");
	open_sockets();
	printf("%-67s  classic translated, instructions: classic, ours, in the kernel, bytes\n",
	       "filter, packet that it rejects");
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		measure(cases[i].expression, cases[i].name, cases[i].packet,
			sizeof(cases[i].packet));
	return 0;
}
