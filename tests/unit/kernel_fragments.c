// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * Packets whose headers are not, or not all, in the linear part: the kernel's classifier, in both ways that it reads
 * packets, counts what the native one says, and a filter of the tool's lets the same through. They are sent from
 * the ring of a packet socket (PACKET_TX_RING), whose pages are the fragments; with PACKET_VNET_HDR the sender says how
 * much of each is linear. TEST_PACKETS: how many; TEST_SEED: which.
 */
#include "bpf/parse/packet_native.h"
#include "bpf/parse/parse.h"
#include "tests/lib/packet_seeds.h"
#include "plugin/bpf/direct.h"
#include "plugin/meter/meter.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sched.h>
#include <socktally/socktally.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#define FRAMES 64
#define FRAME_SIZE 4096
#define PATHS 8192

static struct {
	const char *reads; /* SOCKTALLY_READS */
	struct socktally *meter;
	int socket;
	struct st_region *region;
} ways[] = {{.reads = "helper"}, {.reads = "direct"}};
static unsigned int way_count = 1;

/* What has to be counted, by the native parser; in no order. */
static struct {
	struct st_path path;
	uint64_t packets, accepted;
} expected[PATHS];
static size_t expected_count;
static uint64_t total;
static unsigned int ran, failed;

static void ok(bool good, const char *what, const char *reads)
{
	printf("%sok %u - %s%s%s\n", good ? "" : "not ", ++ran, what, *reads ? ": " : "", reads);
	failed += !good;
}

/* A tool's filter: what has 0x45 behind its link header, or 17 in a place that is mostly beyond the linear part. */
static const struct sock_filter filter[] = {
	BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 14),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x45, 4, 0),
	BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 14),
	BPF_STMT(BPF_LD | BPF_B | BPF_IND, 60),
	BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 1, 1, 0),
	BPF_STMT(BPF_RET | BPF_K, 0),
	BPF_STMT(BPF_RET | BPF_K, 0xffff),
};

static bool accepts(const uint8_t *bytes, uint32_t size)
{
	uint32_t at;

	if (size < 15)
		return false;
	if (bytes[14] == 0x45)
		return true;
	at = 4 * (bytes[14] & 15) + 60;
	return at < size && bytes[at] & 1;
}

static void expect(const struct packet *packet)
{
	struct st_packet native = {.data = packet->bytes, .len = packet->size};
	struct st_path path = st_parse(&native, ST_LINK_ETH);
	size_t i = 0;

	while (i < expected_count &&
	       (expected[i].path.lo != path.lo || expected[i].path.hi != path.hi))
		i++;
	if (i == PATHS)
		bail("too many paths");
	expected_count += i == expected_count;
	expected[i].path = path;
	expected[i].packets++;
	total++;
	expected[i].accepted += accepts(packet->bytes, packet->size);
}

static bool counted(const struct st_region *region, struct st_sizes sizes)
{
	const struct st_cell *cells = st_region_cells((struct st_region *)region, sizes);
	uint64_t sum = 0;
	size_t wrong = 0;

	for (size_t i = 0; i < expected_count; i++) {
		uint64_t packets = 0, accepted = 0;

		for (uint32_t j = 0; j < region->used; j++) {
			if (cells[j].path.lo != expected[i].path.lo ||
			    cells[j].path.hi != expected[i].path.hi)
				continue;
			packets = cells[j].out.packets;
			accepted = cells[j].out.accepted_packets;
		}
		if (packets == expected[i].packets && accepted == expected[i].accepted)
			continue;
		if (wrong++ < 10)
			printf("# path %llx %016llx: %llu packets, %llu accepted, want %llu, %llu\n",
			       (unsigned long long)expected[i].path.hi,
			       (unsigned long long)expected[i].path.lo, (unsigned long long)packets,
			       (unsigned long long)accepted,
			       (unsigned long long)expected[i].packets,
			       (unsigned long long)expected[i].accepted);
	}
	for (uint32_t j = 0; j < region->used; j++)
		sum += cells[j].out.packets;
	return !wrong && sum == total;
}

#define DEVICE "fragments"

/* A device that nothing comes in from, and where the kernel has nothing to say. */
static void device_make(int socket)
{
	struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI};
	int ipv6 = open("/proc/sys/net/ipv6/conf/default/disable_ipv6", O_WRONLY | O_CLOEXEC);
	int tap = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	if (ipv6 >= 0 && write(ipv6, "1", 1) != 1)
		bail("disable_ipv6");
	close(ipv6);
	strcpy(request.ifr_name, DEVICE);
	if (tap < 0 || ioctl(tap, TUNSETIFF, &request))
		bail("/dev/net/tun");
	request.ifr_flags = IFF_UP;
	if (ioctl(socket, SIOCSIFFLAGS, &request))
		bail("SIOCSIFFLAGS");
}

static struct sockaddr_ll on_device(int protocol)
{
	return (struct sockaddr_ll){.sll_family = AF_PACKET,
				    .sll_protocol = htons((uint16_t)protocol),
				    .sll_ifindex = (int)if_nametoindex(DEVICE)};
}

static uint8_t *ring_make(int socket)
{
	const int version = TPACKET_V2, one = 1;
	const struct tpacket_req request = {.tp_block_size = FRAMES * FRAME_SIZE,
					    .tp_block_nr = 1,
					    .tp_frame_size = FRAME_SIZE,
					    .tp_frame_nr = FRAMES};
	const struct sockaddr_ll address = on_device(0);
	void *ring;

	if (setsockopt(socket, SOL_PACKET, PACKET_VERSION, &version, sizeof(version)) ||
	    setsockopt(socket, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof(one)) ||
	    setsockopt(socket, SOL_PACKET, PACKET_TX_RING, &request, sizeof(request)) ||
	    bind(socket, (const struct sockaddr *)&address, sizeof(address)))
		bail("PACKET_TX_RING");
	ring = mmap(NULL, FRAMES * FRAME_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, socket, 0);
	if (ring == MAP_FAILED)
		bail("mmap of the ring");
	return ring;
}

/* The least that is sent: what has no whole link header is not taken. */
static void put(uint8_t *frame, const struct packet *packet)
{
	struct tpacket2_hdr *header = (struct tpacket2_hdr *)frame;
	struct virtio_net_hdr virtio = {0};
	uint8_t *data = frame + TPACKET2_HDRLEN - sizeof(struct sockaddr_ll);

	/* anything between the link header and all */
	virtio.hdr_len = (uint16_t)(ETH_HLEN + random_below(packet->size - ETH_HLEN + 1));
	if (random_below(2))
		virtio.hdr_len = (uint16_t)(ETH_HLEN + random_below(60));
	if (virtio.hdr_len > packet->size)
		virtio.hdr_len = (uint16_t)packet->size;
	memcpy(data, &virtio, sizeof(virtio));
	memcpy(data + sizeof(virtio), packet->bytes, packet->size);
	header->tp_len = (uint32_t)sizeof(virtio) + packet->size;
	header->tp_status = TP_STATUS_SEND_REQUEST;
}

static void send_all(int sender, uint8_t *ring, unsigned long count)
{
	for (unsigned long done = 0; done < count; done += FRAMES) {
		for (unsigned int i = 0; i < FRAMES; i++) {
			struct packet packet = seeds[random_below((uint32_t)seed_count)];

			if (random_below(8))
				mutate(&packet);
			if (packet.size < ETH_HLEN)
				packet.size = ETH_HLEN;
			if (packet.size > 1500)
				packet.size = 1500;
			put(ring + (size_t)i * FRAME_SIZE, &packet);
			expect(&packet);
		}
		if (send(sender, NULL, 0, 0) < 0)
			bail("send");
	}
}

static void way_open(unsigned int i, int cpu)
{
	const struct socktally_open_opts opts = {.sz = sizeof(opts), .paths = PATHS};
	const struct sock_fprog program = {.len = sizeof(filter) / sizeof(*filter),
					   .filter = (struct sock_filter *)filter};
	const struct sockaddr_ll address = on_device(ETH_P_ALL);
	int result;

	setenv("SOCKTALLY_READS", ways[i].reads, 1);
	result = socktally_open(&ways[i].meter, &opts);
	if (result == -EPERM) {
		printf("1..0 # SKIP BPF is not permitted\n");
		exit(0);
	}
	errno = -result;
	ways[i].socket = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (result || ways[i].socket < 0 ||
	    setsockopt(ways[i].socket, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) ||
	    bind(ways[i].socket, (const struct sockaddr *)&address, sizeof(address)) ||
	    socktally_attach(ways[i].meter, ways[i].socket, NULL))
		bail("a metered socket");
	ways[i].region = st_region_of(ways[i].meter, (uint32_t)cpu);
}

int main(void)
{
	const char *wanted = getenv("TEST_PACKETS");
	int cpu = sched_getcpu(), sender;
	struct st_direct direct;
	cpu_set_t cpus;
	uint8_t *ring;

	CPU_ZERO(&cpus);
	CPU_SET(cpu, &cpus);
	if (sched_setaffinity(0, sizeof(cpus), &cpus) || unshare(CLONE_NEWNET))
		bail("a network namespace");
	sender = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (sender < 0)
		bail("a packet socket");
	device_make(sender);
	ring = ring_make(sender);
	seeds_start();
	take_own(NULL);
	take_captures(NULL);
	for (size_t i = 0; i < seed_count; i++) { /* of Ethernet only */
		if (seeds[i].link == ST_LINK_ETH)
			continue;
		seeds[i--] = seeds[--seed_count];
	}
	st_direct_get(&direct);
	if (direct.works)
		way_count = 2;
	else
		printf("# not in place: %s\n", direct.reason);
	for (unsigned int i = 0; i < way_count; i++)
		way_open(i, cpu);
	send_all(sender, ring, wanted ? strtoul(wanted, NULL, 0) : 50000);
	for (unsigned int i = 0; i < way_count; i++)
		ok(counted(ways[i].region, ways[i].meter->sizes), "as the native parser says",
		   ways[i].reads);
	printf("# %zu paths\n1..%u\n", expected_count, ran);
	return failed != 0;
}
