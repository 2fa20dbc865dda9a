// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * The kernel's classifier, in both ways that it reads packets, and the native ones, of one packet and of many at
 * once, say the same of every packet: see tests/lib/packet_seeds.h. TEST_PACKETS: how many changed ones.
 */
#include "plugin/attach/attach.h"
#include "bpf/parse/packet_native.h"
#include "bpf/parse/parse.h"
#include "plugin/bpf/direct.h"
#include "plugin/bpf/syscall.h"
#include "plugin/count/classify.h"
#include "plugin/meter/meter.h"
#include "tests/lib/packet_seeds.h"
#include <linux/bpf.h>
#include <sched.h>
#include <sys/syscall.h>

#define LINK_HEADER 14 /* which the kernel takes off before it runs a socket filter */
#define PATHS 30000

/* How the kernel's programs read: by helpers, and in place where they can. */
static struct way {
	const char *reads; /* SOCKTALLY_READS */
	struct socktally *meter;
	int program;
	int attached; /* a socket's, which by helpers loads Ethernet packets for its filter and the parser */
	struct st_region *region;
	uint64_t expected[PATHS]; /* packets of each cell */
	int cells[1 << 16];       /* remembered: the number + 1, by a hash of the path */
} ways[] = {{.reads = "helper"}, {.reads = "direct"}};
static unsigned int way_count = 1;
static const struct st_ports *ports;
static unsigned long checked, different;
static bool failed;

/* Packets that wait for the classifier of many, and what that of one says of them. */
static struct {
	__u32 link;
	__u32 count;
	struct st_batch_packet packets[ST_BATCH];
	__u8 bytes[ST_BATCH][LONGEST + ST_BEHIND];
	struct st_path paths[ST_BATCH];
} many;

static int run_in_kernel(const struct way *way, const struct packet *packet, uint32_t gso_size,
			 uint32_t gso_segments)
{
	static uint8_t data[LINK_HEADER + LONGEST];
	struct __sk_buff context;
	union bpf_attr attr;

	memset(&context, 0, sizeof(context));
	context.cb[ST_CB_VERDICT] = 0xffff;
	context.cb[ST_CB_LINK] = packet->link;
	context.gso_size = gso_size;
	context.gso_segs = gso_segments;
	memcpy(data + LINK_HEADER, packet->bytes, packet->size);
	memset(&attr, 0, sizeof(attr));
	attr.test.prog_fd = (uint32_t)(packet->link == ST_LINK_ETH && checked % 2 ? way->attached
										  : way->program);
	attr.test.data_in = (uintptr_t)data;
	attr.test.data_size_in = LINK_HEADER + packet->size;
	attr.test.ctx_in = (uintptr_t)&context;
	attr.test.ctx_size_in = sizeof(context);
	return (int)syscall(SYS_bpf, BPF_PROG_TEST_RUN, &attr, sizeof(attr));
}

/* The cell of a path; -1: there is none. Cells don't move and have no gaps. */
static int cell_of(struct way *way, struct st_path path)
{
	int *known = &way->cells[(path.lo ^ path.lo >> 21 ^ path.hi * 31) & 0xffff];
	const struct st_cell *cells = st_region_cells(way->region, way->meter->sizes);

	if (*known && cells[*known - 1].path.lo == path.lo && cells[*known - 1].path.hi == path.hi)
		return *known - 1;
	for (uint32_t i = 0; i < way->region->used; i++) {
		if (cells[i].path.lo == path.lo && cells[i].path.hi == path.hi) {
			*known = (int)i + 1;
			return (int)i;
		}
	}
	return -1;
}

static void report(const struct packet *packet, struct st_path path)
{
	printf("link %#x, native path %llx %016llx, packet ", packet->link,
	       (unsigned long long)path.hi, (unsigned long long)path.lo);
	for (uint32_t i = 0; i < packet->size; i++)
		printf("%02x", packet->bytes[i]);
	printf("\n");
}

static void check_many(void)
{
	struct st_path paths[ST_BATCH];

	st_classify_batch(ports, many.link, many.packets, many.count, paths, NULL);
	for (__u32 i = 0; i < many.count; i++) {
		struct packet packet = {.link = many.link, .size = many.packets[i].caplen};

		if (paths[i].lo == many.paths[i].lo && paths[i].hi == many.paths[i].hi)
			continue;
		memcpy(packet.bytes, many.bytes[i], packet.size);
		if (different++ < 10) {
			printf("# one of %u at once: ", many.count);
			report(&packet, paths[i]);
		}
	}
	many.count = 0;
}

/* Those of one link are put together, with bytes behind them that are anything. */
static void check_with_many(const struct packet *packet)
{
	__u8 *bytes;

	if (many.count == ST_BATCH || (many.count && many.link != packet->link))
		check_many();
	many.link = packet->link;
	bytes = many.bytes[many.count];
	memcpy(bytes, packet->bytes, packet->size);
	for (__u32 i = 0; i < ST_BEHIND; i++)
		bytes[packet->size + i] = (__u8)(checked * 31 + i * 7);
	many.packets[many.count] = (struct st_batch_packet){.data = bytes,
							    .caplen = packet->size,
							    .len = packet->size};
	many.paths[many.count++] = st_classify(ports, packet->link, packet->bytes, packet->size);
}

static void check_way(struct way *way, const struct packet *packet, struct st_path path)
{
	const struct st_cell *cells = st_region_cells(way->region, way->meter->sizes);
	uint64_t packets;
	int cell;

	if (run_in_kernel(way, packet, 0, 0)) {
		if (packet->size)
			bail("BPF_PROG_TEST_RUN");
		return; /* some kernels take no empty packet */
	}
	cell = cell_of(way, path);
	packets = cell < 0 ? 0 : cells[cell].in.packets + cells[cell].out.packets;
	if (cell >= 0 && packets == ++way->expected[cell])
		return;
	if (different++ < 10) {
		printf("# %s: ", way->reads);
		report(packet, path);
	}
	for (uint32_t i = 0; i < way->region->used;
	     i++) /* go on from what the kernel has counted */
		way->expected[i] = cells[i].in.packets + cells[i].out.packets;
}

static void check(const struct packet *packet)
{
	struct st_packet native = {.data = packet->bytes, .len = packet->size, .ports = ports};
	struct st_path path = st_parse(&native, packet->link);

	check_with_many(packet);
	for (unsigned int i = 0; i < way_count; i++)
		check_way(&ways[i], packet, path);
	checked++;
}

/* GSO packets: what the device says of the segments, and how many there are. */
static const struct gso_case {
	const char *packet; /* see tests/lib/packets.py */
	uint32_t size, segments, want;
} gso_cases[] = {
	{"eth/ip/tcp/data(1000)", 100, 0, 10},
	{"eth/ip/tcp/data(1001)", 100, 0, 11},
	{"eth/ip/tcp/data(1000)", 100, 3, 3},
	{"eth/ip/tcp/data(1000)", 0, 5, 1}, /* the last of a GSO_PARTIAL series */
	{"eth/ip/tcp/data(1000)", 0, 0, 1},
	{"eth/ip/tcp(options=40)/data(1000)", 1000, 0, 1},
	{"eth/ip(options=4)/tcp(options=12)/data(1000)", 500, 0, 2},
	{"eth/ip(length=0)/tcp/data(1000)", 500, 0, 2}, /* BIG TCP */
	{"eth/ipv6/tcp(options=12)/data(1000)", 500, 0, 2},
	{"eth/vlan/ip/tcp/data(1000)", 500, 0, 2},
	{"eth/ip/udp/data(1000)", 500, 0, 2},
	{"eth/ipv6/udp/data(1000)", 500, 0, 2},
	{"eth/ip/udp/vxlan/eth/ip/tcp(options=12)/data(1000)", 500, 0, 2},
	{"eth/ip/gre/ipv6/tcp/data(1000)", 500, 0, 2},
	{"eth/ip/ip/ip/ip/ip/ip/tcp/data(1000)", 500, 0, 2},
	{"eth/ip/tcp", 500, 0, 1},
	{"eth/ip/tcp(doff=15)", 500, 0, 1}, /* cut short */
	{"eth/arp", 500, 0, 1},
};
#define GSO_CASES (sizeof(gso_cases) / sizeof(*gso_cases))

static uint64_t segments_counted(const struct way *way)
{
	const struct st_cell *cells = st_region_cells(way->region, way->meter->sizes);
	uint64_t sum = 0;

	for (uint32_t i = 0; i < way->region->used; i++)
		sum += cells[i].in.segments + cells[i].out.segments;
	return sum;
}

static void check_gso(struct way *way, int number)
{
	struct capture_file *file;
	struct capture_packet from;
	char message[CAPTURE_MESSAGE_MAX], text[] = "/tmp/socktally-test-XXXXXX";
	FILE *lines = fdopen(mkstemp(text), "w");
	bool right = true;

	if (!lines)
		bail("a file for packets");
	for (size_t i = 0; i < GSO_CASES; i++)
		fprintf(lines, "%s\n", gso_cases[i].packet);
	fclose(lines);
	file = capture_file_open(packets_of(text), -1, message);
	unlink(text);
	unlink(made);
	for (size_t i = 0; i < GSO_CASES; i++) {
		const struct gso_case *gso = &gso_cases[i];
		struct packet packet = {.link = ST_LINK_ETH};
		uint64_t before = segments_counted(way);

		if (!file || capture_file_next(file, &from) <= 0)
			bail("packets of GSO cases");
		packet.size = from.caplen;
		memcpy(packet.bytes, from.data, packet.size);
		if (run_in_kernel(way, &packet, gso->size, gso->segments))
			bail("BPF_PROG_TEST_RUN");
		if (segments_counted(way) - before == gso->want)
			continue;
		right = false;
		printf("# %s, gso_size %u, gso_segs %u: %llu segments, want %u\n", gso->packet,
		       gso->size, gso->segments,
		       (unsigned long long)(segments_counted(way) - before), gso->want);
	}
	capture_file_close(file);
	printf("%sok %d - segments of GSO packets (%s)\n", right ? "" : "not ", number, way->reads);
	failed |= !right;
}

static void pin(int cpu)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(cpu, &cpus);
	if (cpu < 0 || sched_setaffinity(0, sizeof(cpus), &cpus))
		bail("sched_setaffinity");
}

static void way_open(struct way *way, int cpu)
{
	/* on which there are other protocols in captures: both parsers have to make the same of them */
	const struct socktally_port named[] = {
		{.port = 5353, .protocol = SOCKTALLY_VXLAN},
		{.port = 443, .protocol = SOCKTALLY_GTP},
		{.port = 138, .protocol = SOCKTALLY_GENEVE},
	};
	struct socktally_open_opts opts = {.sz = sizeof(opts),
					   .paths = PATHS,
					   .flags = SOCKTALLY_OPEN_NO_APPLICATIONS,
					   .ports = named,
					   .port_count = sizeof(named) / sizeof(*named)};
	const struct sock_filter filter[] = {BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0),
					     BPF_STMT(BPF_RET | BPF_K, 0xffff)};
	const struct st_socket_link tap = {.link = ST_LINK_ETH};
	const uint32_t first = 0;
	uint32_t id = 0;
	int result;

	setenv("SOCKTALLY_READS", way->reads, 1);
	result = socktally_open(&way->meter, &opts);
	if (result == -EPERM) {
		printf("1..0 # SKIP BPF is not permitted\n");
		exit(0);
	}
	errno = -result;
	if (result || st_bpf_map_lookup(way->meter->chain_map, &first, &id))
		bail("socktally_open");
	way->program = st_bpf_prog_by_id(id);
	if (way->program < 0)
		bail("the chain's program");
	way->attached = st_socket_program_load(way->meter, &tap, filter, 2);
	if (way->attached < 0)
		bail(socktally_error(way->meter));
	way->region = st_region_of(way->meter, (uint32_t)cpu);
	ports = &way->meter->ports;
}

static void start(void)
{
	int cpu = sched_getcpu();
	struct st_direct direct;

	st_direct_get(&direct);
	if (direct.works)
		way_count = 2;
	else
		printf("# not in place: %s\n", direct.reason);
	pin(cpu);
	for (unsigned int i = 0; i < way_count; i++)
		way_open(&ways[i], cpu);
	seeds_start();
}

/*
 * Instructions that the verifier goes through take about a microsecond each (Linux 5.16 says them).
 * Older verifiers than those of the day see fewer states as the same: VERIFIED_MOST in the
 * environment. None takes more than a million.
 */
#define VERIFIED_MOST 25000

static bool cheap_to_load(const struct way *way)
{
	const char *most = getenv("VERIFIED_MOST");
	struct bpf_prog_info info;

	memset(&info, 0, sizeof(info));
	if (st_bpf_info(way->program, &info, sizeof(info)))
		bail("BPF_OBJ_GET_INFO_BY_FD");
	printf("# %s: verified_insns %u, jited_prog_len %u\n", way->reads, info.verified_insns,
	       info.jited_prog_len);
	return info.verified_insns <= (most ? strtoul(most, NULL, 0) : VERIFIED_MOST);
}

static void result_of(int number, const char *what)
{
	check_many();
	printf("%sok %d - %lu packets: %s\n", different ? "not " : "", number, checked, what);
	fflush(stdout);
}

int main(void)
{
	const char *wanted = getenv("TEST_PACKETS");
	int number = 3;
	unsigned long changed = wanted ? strtoul(wanted, NULL, 0) : 200000;

	start();
	take_own(check);
	result_of(1, "the same path in the kernel and natively, for our own");
	take_captures(check);
	result_of(2, "and those of others");
	for (unsigned long i = 0; i < changed && seed_count; i++) {
		struct packet packet = seeds[random_below((uint32_t)seed_count)];

		mutate(&packet);
		check(&packet);
	}
	result_of(3, "and with changes");
	for (unsigned int i = 0; i < way_count; i++) {
		const bool overflow = ways[i].region->overflow.in.packets;
		const bool cheap = cheap_to_load(&ways[i]);

		printf("%sok %d - no packet in the overflow cell (%s)\n", overflow ? "not " : "",
		       ++number, ways[i].reads);
		printf("%sok %d - loading is no great work for the verifier (%s)\n",
		       cheap ? "" : "not ", ++number, ways[i].reads);
		check_gso(&ways[i], ++number);
		failed |= overflow || !cheap;
	}
	printf("1..%d\n", number);
	return failed || different;
}
