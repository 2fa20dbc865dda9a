/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * flood [OPTIONS] INTERFACE < PACKETS: sends as fast as this machine can, and knows to the packet
 * how many of each kind went out.
 *
 *	-m METHOD   live: XDP live frames, which come in on INTERFACE as from its driver;
 *	            send: packets sent on INTERFACE through a packet socket, sendmmsg(2)
 *	-n COUNT    packets in all, rounded up to whole rounds of all kinds
 *	-t SECONDS  or for so long
 *	-r RATE     packets a second at most
 *	-c CPU      runs there
 *
 * PACKETS has a line "NAME HEX" for each kind; they are sent in turn, BURST of one at a time for
 * live frames. Prints one line of JSON.
 */
#include "bench.h"

#include <errno.h>
#include <getopt.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef BPF_F_TEST_XDP_LIVE_FRAMES
#define BPF_F_TEST_XDP_LIVE_FRAMES (1U << 1)
#endif
#define BURST 256 /* live frames for one system call */
#define BATCH 128 /* messages for one */

struct options {
	const char *method, *interface;
	uint64_t count;
	double seconds, rate;
	int cpu;
};

struct sender {
	const struct options *options;
	struct packet *packets;
	size_t kinds;
	uint64_t sent, blocked;
	int fd;               /* the socket, or the program */
	unsigned char *start; /* what the program writes to each frame's start */
	unsigned int ifindex;
};

static int bpf(enum bpf_cmd command, union bpf_attr *attr)
{
	long result = syscall(__NR_bpf, command, attr, sizeof(*attr));

	return result < 0 ? -errno : (int)result;
}

/* Bytes at a frame's start, the addresses and a VLAN tag: a multiple of 4. */
#define LIVE_START 20
#define INSN(CODE, DST, SRC, OFF, IMM)                                                             \
	((struct bpf_insn){.code = (CODE),                                                         \
			   .dst_reg = (DST),                                                       \
			   .src_reg = (SRC),                                                       \
			   .off = (OFF),                                                           \
			   .imm = (int32_t)(IMM)})

/* One value that the program reads and we write through the mapping. */
static int start_map(struct sender *sender)
{
	union bpf_attr attr;
	int map;

	memset(&attr, 0, sizeof(attr));
	attr.map_type = BPF_MAP_TYPE_ARRAY;
	attr.key_size = sizeof(uint32_t);
	attr.value_size = LIVE_START;
	attr.max_entries = 1;
	attr.map_flags = BPF_F_MMAPABLE;
	map = bpf(BPF_MAP_CREATE, &attr);
	if (map < 0)
		die("map", map);
	sender->start = mmap(NULL, LIVE_START, PROT_READ | PROT_WRITE, MAP_SHARED, map, 0);
	if (sender->start == MAP_FAILED)
		die("map", errno);
	return map;
}

/*
 * Passes a frame on. The kernel uses a frame's memory again as the stack leaves it, which has moved
 * the addresses if it took a tag out: so they are written anew. One program for all kinds: the kernel
 * has a table of the programs in use (bpf_prog_change_xdp), and a run of one that is not on an
 * interface changes it twice, which takes two RCU grace periods, some 25 ms.
 */
static int live_program(int map)
{
	struct bpf_insn insns[16 + LIVE_START / 2];
	size_t count = 0;
	union bpf_attr attr;
	int prog;

	insns[count++] = INSN(BPF_LDX | BPF_MEM | BPF_W, 2, 1, 0, 0); /* data */
	insns[count++] = INSN(BPF_LDX | BPF_MEM | BPF_W, 3, 1, 4, 0); /* data_end */
	insns[count++] = INSN(BPF_LD | BPF_IMM | BPF_DW, 5, BPF_PSEUDO_MAP_VALUE, 0, map);
	insns[count++] = INSN(0, 0, 0, 0, 0);
	insns[count++] = INSN(BPF_ALU64 | BPF_MOV | BPF_X, 4, 2, 0, 0);
	insns[count++] = INSN(BPF_ALU64 | BPF_ADD | BPF_K, 4, 0, 0, LIVE_START);
	insns[count++] = INSN(BPF_JMP | BPF_JGT | BPF_X, 4, 3, LIVE_START / 2, 0);
	for (int16_t at = 0; at < LIVE_START; at += 4) {
		insns[count++] = INSN(BPF_LDX | BPF_MEM | BPF_W, 0, 5, at, 0);
		insns[count++] = INSN(BPF_STX | BPF_MEM | BPF_W, 2, 0, at, 0);
	}
	insns[count++] = INSN(BPF_ALU | BPF_MOV | BPF_K, 0, 0, 0, XDP_PASS);
	insns[count++] = INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
	memset(&attr, 0, sizeof(attr));
	attr.prog_type = BPF_PROG_TYPE_XDP;
	attr.insns = (uintptr_t)insns;
	attr.insn_cnt = (uint32_t)count;
	attr.license = (uintptr_t) "GPL";
	prog = bpf(BPF_PROG_LOAD, &attr);
	if (prog < 0)
		die("XDP program", prog);
	return prog;
}

/* The interface gets receive queues that know XDP by a program on it, for as long as we run. */
static void live_open(struct sender *sender)
{
	union bpf_attr attr;
	int result;

	sender->fd = live_program(start_map(sender));
	memset(&attr, 0, sizeof(attr));
	attr.link_create.prog_fd = (uint32_t)sender->fd;
	attr.link_create.target_ifindex = sender->ifindex;
	attr.link_create.attach_type = BPF_XDP;
	result = bpf(BPF_LINK_CREATE, &attr);
	if (result < 0)
		die("XDP link", result);
}

static void live_burst(struct sender *sender, size_t kind, uint32_t count)
{
	const struct packet *packet = &sender->packets[kind];
	struct xdp_md context = {
		.data_end = (uint32_t)packet->size,
		.ingress_ifindex = sender->ifindex,
	};
	union bpf_attr attr;
	int result;

	memcpy(sender->start, packet->data, LIVE_START);
	memset(&attr, 0, sizeof(attr));
	attr.test.prog_fd = (uint32_t)sender->fd;
	attr.test.data_in = (uintptr_t)packet->data;
	attr.test.data_size_in = (uint32_t)packet->size;
	attr.test.ctx_in = (uintptr_t)&context;
	attr.test.ctx_size_in = sizeof(context);
	attr.test.repeat = count;
	attr.test.batch_size = 64;
	attr.test.flags = BPF_F_TEST_XDP_LIVE_FRAMES;
	result = bpf(BPF_PROG_TEST_RUN, &attr);
	if (result < 0)
		die("live frames", result);
	sender->sent += count;
}

static uint64_t live_round(struct sender *sender, uint64_t most)
{
	uint32_t count = most / sender->kinds < BURST ? (uint32_t)(most / sender->kinds) : BURST;

	for (size_t i = 0; i < sender->kinds; i++)
		live_burst(sender, i, count ? count : 1);
	return (count ? count : 1) * sender->kinds;
}

static void socket_open(struct sender *sender)
{
	struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_ifindex = (int)sender->ifindex};

	sender->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0); /* it receives nothing */
	if (sender->fd < 0 || bind(sender->fd, (struct sockaddr *)&to, sizeof(to)))
		die("packet socket", errno);
}

/* Some rounds of all kinds; what the interface does not take is sent again. */
static uint64_t socket_round(struct sender *sender, uint64_t most)
{
	static struct mmsghdr messages[BATCH];
	static struct iovec pieces[BATCH];
	size_t rounds = 1 + BATCH / sender->kinds, total, done = 0, filled = 0;

	if (rounds > most / sender->kinds)
		rounds = most / sender->kinds ? most / sender->kinds : 1;
	total = rounds * sender->kinds;
	while (done < total) {
		size_t batch = total - done < BATCH ? total - done : BATCH;
		int result;

		for (filled = 0; filled < batch; filled++) {
			struct packet *packet = &sender->packets[(done + filled) % sender->kinds];

			pieces[filled] = (struct iovec){packet->data, packet->size};
			messages[filled].msg_hdr.msg_iov = &pieces[filled];
			messages[filled].msg_hdr.msg_iovlen = 1;
		}
		result = sendmmsg(sender->fd, messages, (unsigned int)batch, 0);
		if (result < 0 && errno != ENOBUFS && errno != EAGAIN)
			die("sendmmsg", errno);
		if (result < (int)batch)
			sender->blocked++;
		if (result > 0)
			done += (size_t)result;
	}
	sender->sent += total;
	return total;
}

static void pace(const struct sender *sender, double start)
{
	double ahead;
	struct timespec pause;

	if (sender->options->rate <= 0)
		return;
	ahead = (double)sender->sent / sender->options->rate -
		(seconds_of(CLOCK_MONOTONIC) - start);
	if (ahead <= 0)
		return;
	pause.tv_sec = (time_t)ahead;
	pause.tv_nsec = (long)((ahead - (double)pause.tv_sec) * 1e9);
	nanosleep(&pause, NULL);
}

static void flood(struct sender *sender)
{
	const struct options *options = sender->options;
	int live = !strcmp(options->method, "live");
	double start, cpu, taken;

	if (live)
		live_open(sender);
	else
		socket_open(sender);
	start = seconds_of(CLOCK_MONOTONIC);
	cpu = cpu_seconds();
	while (options->count ? sender->sent < options->count
			      : seconds_of(CLOCK_MONOTONIC) - start < options->seconds) {
		uint64_t most = options->count ? options->count - sender->sent : UINT64_MAX;

		/* short steps, so that a slow flood is an even one */
		if (options->rate > 0 && most > options->rate / 1000)
			most = (uint64_t)(options->rate / 1000);
		if (live)
			live_round(sender, most);
		else
			socket_round(sender, most);
		pace(sender, start);
	}
	cpu = cpu_seconds() - cpu;
	taken = seconds_of(CLOCK_MONOTONIC) - start;
	printf("{\"method\":\"%s\",\"sent\":%llu,\"each\":%llu,\"seconds\":%.6f,\"cpu\":%.6f,"
	       "\"start\":%.6f,\"blocked\":%llu}\n",
	       options->method, (unsigned long long)sender->sent,
	       (unsigned long long)(sender->sent / sender->kinds), taken, cpu, start,
	       (unsigned long long)sender->blocked);
}

static void usage(void)
{
	fputs("flood [-m live|send] [-n COUNT | -t SECONDS] [-r RATE] [-c CPU] INTERFACE\n",
	      stderr);
	exit(2);
}

int main(int argc, char **argv)
{
	struct options options = {.method = "send", .seconds = 1, .cpu = -1};
	struct sender sender = {.options = &options};
	int option;

	while ((option = getopt(argc, argv, "m:n:t:r:c:")) != -1) {
		switch (option) {
		case 'm':
			options.method = optarg;
			break;
		case 'n':
			options.count = strtoull(optarg, NULL, 0);
			break;
		case 't':
			options.seconds = strtod(optarg, NULL);
			break;
		case 'r':
			options.rate = strtod(optarg, NULL);
			break;
		case 'c':
			options.cpu = atoi(optarg);
			break;
		default:
			usage();
		}
	}
	if (optind != argc - 1)
		usage();
	options.interface = argv[optind];
	sender.ifindex = if_nametoindex(options.interface);
	if (!sender.ifindex)
		die(options.interface, errno);
	sender.packets = packets_read(&sender.kinds);
	run_on(options.cpu);
	flood(&sender);
	return 0;
}
