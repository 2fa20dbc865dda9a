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
 * PACKETS has a line "NAME HEX" for each kind; they are sent in turn, but for live frames of different
 * lengths BURST of one at a time. Prints one line of JSON. If an empty line ends PACKETS, each further
 * line "COUNT SECONDS RATE" is a flood, with 0 for what is not given.
 */
#include "bench/bench.h"

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
#define BURST 256 /* live frames for one system call, of a kind */
#define BURST_MIXED 4096
#define LIVE_WIDTH 192 /* bytes of a frame that are written anew at most */
#define BATCH 128      /* messages for one */
#define LIVE_LEAST 40  /* of a kind at once, as such a call itself takes some 20 us */

struct options {
	const char *method, *interface;
	uint64_t count;
	double seconds, rate;
	int cpu;
};

struct sender {
	struct options *options;
	struct packet *packets;
	size_t kinds;
	uint64_t sent, blocked;
	int fd; /* the socket, or the program */
	struct starts {
		uint32_t next;
		unsigned char slots[];
	} * starts;
	size_t slots, width;
	int mixed; /* a slot for each kind */
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

/* What the program writes to the frames' starts in turn; it reads it where we write it. */
static int starts_map(struct sender *sender)
{
	size_t size = sizeof(*sender->starts) + sender->slots * sender->width;
	union bpf_attr attr;
	int map;

	memset(&attr, 0, sizeof(attr));
	attr.map_type = BPF_MAP_TYPE_ARRAY;
	attr.key_size = sizeof(uint32_t);
	attr.value_size = (uint32_t)size;
	attr.max_entries = 1;
	attr.map_flags = BPF_F_MMAPABLE;
	map = bpf(BPF_MAP_CREATE, &attr);
	if (map < 0)
		die("map", map);
	sender->starts = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, map, 0);
	if (sender->starts == MAP_FAILED)
		die("map", errno);
	return map;
}

/* r5: the next slot's bytes */
static size_t take_slot(const struct sender *sender, int map, struct bpf_insn *insns)
{
	size_t count = 0;

	insns[count++] = INSN(BPF_LD | BPF_IMM | BPF_DW, 5, BPF_PSEUDO_MAP_VALUE, 0, map);
	insns[count++] = INSN(0, 0, 0, 0, 0);
	insns[count++] = INSN(BPF_LDX | BPF_MEM | BPF_W, 0, 5, 0, 0);
	insns[count++] = INSN(BPF_JMP | BPF_JLT | BPF_K, 0, 0, 1, sender->slots);
	insns[count++] = INSN(BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 0);
	insns[count++] = INSN(BPF_ALU64 | BPF_MOV | BPF_X, 4, 0, 0, 0);
	insns[count++] = INSN(BPF_ALU64 | BPF_ADD | BPF_K, 4, 0, 0, 1);
	insns[count++] = INSN(BPF_STX | BPF_MEM | BPF_W, 5, 4, 0, 0);
	insns[count++] = INSN(BPF_ALU64 | BPF_MUL | BPF_K, 0, 0, 0, sender->width);
	insns[count++] = INSN(BPF_ALU64 | BPF_ADD | BPF_X, 5, 0, 0, 0);
	insns[count++] = INSN(BPF_ALU64 | BPF_ADD | BPF_K, 5, 0, 0, sizeof(*sender->starts));
	return count;
}

/*
 * Passes a frame on. The kernel uses a frame's memory again as the stack leaves it, which has moved
 * the addresses if it took a tag out: so they are written anew. One program for all kinds: the kernel
 * has a table of the programs in use (bpf_prog_change_xdp), and a run of one that is not on an
 * interface changes it twice, which takes two RCU grace periods, some 25 ms.
 */
static int live_program(const struct sender *sender, int map)
{
	struct bpf_insn insns[32 + LIVE_WIDTH / 2];
	size_t count = 0;
	int16_t width = (int16_t)sender->width;
	union bpf_attr attr;
	int prog;

	insns[count++] = INSN(BPF_LDX | BPF_MEM | BPF_W, 2, 1, 0, 0); /* data */
	insns[count++] = INSN(BPF_LDX | BPF_MEM | BPF_W, 3, 1, 4, 0); /* data_end */
	count += take_slot(sender, map, insns + count);
	insns[count++] = INSN(BPF_ALU64 | BPF_MOV | BPF_X, 4, 2, 0, 0);
	insns[count++] = INSN(BPF_ALU64 | BPF_ADD | BPF_K, 4, 0, 0, width);
	insns[count++] = INSN(BPF_JMP | BPF_JGT | BPF_X, 4, 3, width / 2, 0);
	for (int16_t at = 0; at < width; at += 4) {
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

/* Kinds of one length can be sent in turn, frame by frame: the program writes the whole of each. */
static int of_one_length(const struct sender *sender)
{
	size_t size = sender->packets[0].size;

	for (size_t i = 1; i < sender->kinds; i++)
		if (sender->packets[i].size != size)
			return 0;
	return size <= LIVE_WIDTH && size % 4 == 0;
}

static void fill_slots(struct sender *sender, size_t first)
{
	for (size_t i = 0; i < sender->slots; i++)
		memcpy(sender->starts->slots + i * sender->width, sender->packets[first + i].data,
		       sender->width);
}

/* The interface gets receive queues that know XDP by a program on it, for as long as we run. */
static void live_open(struct sender *sender)
{
	union bpf_attr attr;
	int result;

	sender->mixed = of_one_length(sender);
	sender->slots = sender->mixed ? sender->kinds : 1;
	sender->width = sender->mixed ? sender->packets[0].size : LIVE_START;
	sender->fd = live_program(sender, starts_map(sender));
	fill_slots(sender, 0);
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

/* The same number of each kind, as many as fit one call, or at least one: how many in all. */
static uint64_t live_round(struct sender *sender, uint64_t most)
{
	uint64_t room = sender->mixed ? BURST_MIXED / sender->kinds : BURST;
	uint64_t each = most / sender->kinds < room ? most / sender->kinds : room;

	each = each ? each : 1;
	if (sender->mixed)
		live_burst(sender, 0, (uint32_t)(each * sender->kinds));
	for (size_t i = 0; i < sender->kinds && !sender->mixed; i++) {
		fill_slots(sender, i);
		live_burst(sender, i, (uint32_t)each);
	}
	return each * sender->kinds;
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
	/* short steps, so that a slow flood is an even one */
	uint64_t step = (uint64_t)(options->rate / 1000);

	if (live && step < LIVE_LEAST * sender->kinds)
		step = LIVE_LEAST * sender->kinds;
	sender->sent = 0;
	start = seconds_of(CLOCK_MONOTONIC);
	cpu = cpu_seconds();
	while (options->count ? sender->sent < options->count
			      : seconds_of(CLOCK_MONOTONIC) - start < options->seconds) {
		uint64_t most = options->count ? options->count - sender->sent : UINT64_MAX;

		if (options->rate > 0 && most > step)
			most = step;
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
	fflush(stdout);
}

/* One flood, or one for each further line of standard input. */
static void floods(struct sender *sender)
{
	struct options *options = sender->options;
	unsigned long long count;

	if (feof(stdin))
		flood(sender);
	else
		while (scanf("%llu %lf %lf", &count, &options->seconds, &options->rate) == 3) {
			options->count = count;
			flood(sender);
		}
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
	if (!strcmp(options.method, "live"))
		live_open(&sender);
	else
		socket_open(&sender);
	floods(&sender);
	return 0;
}
