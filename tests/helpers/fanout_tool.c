// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * fanout_tool INTERFACE WORKERS HOW FANOUT RING FILTER: a capture tool of several sockets that are
 * opened at the same time, by "threads" or "processes", each with its own ring ("none", "v1", "v2" or
 * "v3"), in a fanout group ("none", "hash", "lb", "cpu", "rollover") and with a filter ("none", "udp").
 * When standard input ends each worker reads on until nothing comes any more; then the tool prints
 * what it got and what was dropped, all together.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define BLOCK_SIZE (1u << 18)
#define BLOCKS 32u
#define FRAME_SIZE 2048u
#define MAX_WORKERS 16

#ifndef SO_RCVBUFFORCE
#define SO_RCVBUFFORCE 33
#endif

struct worker {
	int fd;
	uint8_t *ring;
	uint32_t next; /* frame or block */
	unsigned long got;
};

/* Shared by the processes. */
static struct shared {
	atomic_ulong got, dropped, wrong;
	atomic_uint ready;
	atomic_bool end;
	pthread_barrier_t start;
} * shared;

static const char *interface, *fanout, *ring_kind, *filter_kind;
static unsigned int workers;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void set_option(int fd, int level, int name, const void *value, socklen_t size,
		       const char *what)
{
	if (setsockopt(fd, level, name, value, size))
		die(what);
}

static void make_ring(struct worker *worker)
{
	static const char names[] = "123";
	const char *name = strchr(names, ring_kind[1]);
	struct tpacket_req3 request = {.tp_block_size = BLOCK_SIZE,
				       .tp_block_nr = BLOCKS,
				       .tp_frame_size = FRAME_SIZE,
				       .tp_frame_nr = BLOCK_SIZE / FRAME_SIZE * BLOCKS,
				       .tp_retire_blk_tov = 20};
	int version = name ? (int)(name - names) : 0;

	set_option(worker->fd, SOL_PACKET, PACKET_VERSION, &version, sizeof(version),
		   "PACKET_VERSION");
	set_option(worker->fd, SOL_PACKET, PACKET_RX_RING, &request,
		   version == TPACKET_V3 ? sizeof(request) : sizeof(struct tpacket_req),
		   "PACKET_RX_RING");
	worker->ring =
		mmap(NULL, BLOCK_SIZE * BLOCKS, PROT_READ | PROT_WRITE, MAP_SHARED, worker->fd, 0);
	if (worker->ring == MAP_FAILED)
		die("mmap");
}

static void set_filter(int fd)
{
	static struct sock_filter udp[] = {
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 23),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 17, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 262144),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog program = {.len = 4, .filter = udp};

	if (strcmp(filter_kind, "none"))
		set_option(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program), "filter");
}

static void join_fanout(int fd)
{
	static const struct {
		const char *name;
		int type;
	} types[] = {{"hash", PACKET_FANOUT_HASH},
		     {"lb", PACKET_FANOUT_LB},
		     {"cpu", PACKET_FANOUT_CPU},
		     {"rollover", PACKET_FANOUT_ROLLOVER}};

	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
		int value = types[i].type << 16 | 4711;

		if (!strcmp(fanout, types[i].name))
			set_option(fd, SOL_PACKET, PACKET_FANOUT, &value, sizeof(value), "fanout");
	}
}

static void open_socket(struct worker *worker)
{
	const int room = 64 << 20;
	struct sockaddr_ll address = {.sll_family = AF_PACKET,
				      .sll_protocol = htons(ETH_P_ALL),
				      .sll_ifindex = (int)if_nametoindex(interface)};

	worker->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (worker->fd < 0)
		die("packet socket");
	if (strcmp(ring_kind, "none"))
		make_ring(worker);
	else
		set_option(worker->fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room), "buffer");
	set_filter(worker->fd);
	if (bind(worker->fd, (struct sockaddr *)&address, sizeof(address)))
		die("bind");
	join_fanout(worker->fd);
}

static void take(struct worker *worker, const uint8_t *packet, uint32_t size)
{
	worker->got++;
	if (strcmp(filter_kind, "none") && (size < 24 || packet[23] != 17))
		shared->wrong++;
}

static bool read_frames(struct worker *worker)
{
	const uint32_t frames = BLOCK_SIZE / FRAME_SIZE * BLOCKS;
	bool some = false;

	for (;; worker->next = (worker->next + 1) % frames, some = true) {
		uint8_t *frame = worker->ring + (size_t)worker->next * FRAME_SIZE;

		if (ring_kind[1] == '1') {
			struct tpacket_hdr *header = (struct tpacket_hdr *)frame;

			if (!(*(volatile unsigned long *)&header->tp_status & TP_STATUS_USER))
				return some;
			take(worker, frame + header->tp_mac, header->tp_snaplen);
			__atomic_store_n(&header->tp_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
		} else {
			struct tpacket2_hdr *header = (struct tpacket2_hdr *)frame;

			if (!(__atomic_load_n(&header->tp_status, __ATOMIC_ACQUIRE) &
			      TP_STATUS_USER))
				return some;
			take(worker, frame + header->tp_mac, header->tp_snaplen);
			__atomic_store_n(&header->tp_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
		}
	}
}

static bool read_blocks(struct worker *worker)
{
	bool some = false;

	for (;; worker->next = (worker->next + 1) % BLOCKS, some = true) {
		uint8_t *block = worker->ring + (size_t)worker->next * BLOCK_SIZE;
		struct tpacket_block_desc *head = (struct tpacket_block_desc *)block;
		uint8_t *at = block + head->hdr.bh1.offset_to_first_pkt;

		if (!(__atomic_load_n(&head->hdr.bh1.block_status, __ATOMIC_ACQUIRE) &
		      TP_STATUS_USER))
			return some;
		for (uint32_t i = 0; i < head->hdr.bh1.num_pkts; i++) {
			struct tpacket3_hdr *header = (struct tpacket3_hdr *)at;

			take(worker, at + header->tp_mac, header->tp_snaplen);
			at += header->tp_next_offset;
		}
		__atomic_store_n(&head->hdr.bh1.block_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
	}
}

/* Whether there was something. */
static bool read_some(struct worker *worker)
{
	uint8_t packet[2048];
	bool some = false;
	ssize_t size;

	if (worker->ring)
		return ring_kind[1] == '3' ? read_blocks(worker) : read_frames(worker);
	while ((size = recv(worker->fd, packet, sizeof(packet), MSG_DONTWAIT)) >= 0) {
		take(worker, packet, (uint32_t)size);
		some = true;
	}
	return some;
}

static void *work(void *unused)
{
	struct worker worker = {0};
	struct tpacket_stats_v3 drops = {0};
	socklen_t size = sizeof(drops);

	(void)unused;
	pthread_barrier_wait(&shared->start);
	open_socket(&worker);
	shared->ready++;
	for (;;) {
		struct pollfd readable = {.fd = worker.fd, .events = POLLIN};
		bool end = shared->end;

		poll(&readable, 1, 100);
		if (!read_some(&worker) && end)
			break;
	}
	if (getsockopt(worker.fd, SOL_PACKET, PACKET_STATISTICS, &drops, &size))
		die("PACKET_STATISTICS");
	shared->got += worker.got;
	shared->dropped += drops.tp_drops;
	close(worker.fd);
	return NULL;
}

static void wait_for_end(void)
{
	char byte;

	while (shared->ready < workers)
		usleep(1000);
	puts("ready");
	fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
	shared->end = true;
}

static void run_threads(void)
{
	pthread_t threads[MAX_WORKERS];

	for (unsigned int i = 0; i < workers; i++)
		if (pthread_create(&threads[i], NULL, work, NULL))
			die("thread");
	wait_for_end();
	for (unsigned int i = 0; i < workers; i++)
		pthread_join(threads[i], NULL);
}

static void run_processes(void)
{
	int status, bad = 0;

	for (unsigned int i = 0; i < workers; i++) {
		pid_t child = fork();

		if (child < 0)
			die("fork");
		if (!child) {
			work(NULL);
			_exit(0);
		}
	}
	wait_for_end();
	while (wait(&status) > 0)
		bad |= status;
	if (bad)
		exit(1);
}

int main(int argc, char **argv)
{
	pthread_barrierattr_t attributes;

	if (argc != 7 || atoi(argv[2]) < 1 || atoi(argv[2]) > MAX_WORKERS)
		return 2;
	interface = argv[1];
	workers = (unsigned int)atoi(argv[2]);
	fanout = argv[4];
	ring_kind = argv[5];
	filter_kind = argv[6];
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED)
		die("mmap");
	pthread_barrierattr_init(&attributes);
	pthread_barrierattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
	pthread_barrier_init(&shared->start, &attributes, workers);
	if (!strcmp(argv[3], "threads"))
		run_threads();
	else
		run_processes();
	printf("got %lu\ndropped %lu\nwrong %lu\n", shared->got, shared->dropped, shared->wrong);
	return 0;
}
