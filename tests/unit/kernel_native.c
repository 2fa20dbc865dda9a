// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * The kernel's classifier and the native ones, of one packet and of many at once, say the same of every
 * packet: those of tests/data/paths.txt, those of other people's captures if there are any (CAPTURES, or
 * ../shared/captures), and all of them with bytes changed and ends cut off. TEST_PACKETS: how many
 * changed ones; TEST_SEED: which.
 */
#include "plugin/attach/attach.h"
#include "bpf/parse/packet_native.h"
#include "bpf/parse/parse.h"
#include "plugin/bpf/syscall.h"
#include "plugin/count/classify.h"
#include "plugin/meter/meter.h"
#include "tools/capture/file.h"
#include <errno.h>
#include <glob.h>
#include <linux/bpf.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define LONGEST 2000   /* of a packet that is given to the kernel: it takes a page at most */
#define LINK_HEADER 14 /* which the kernel takes off before it runs a socket filter */
#define SEEDS 20000
#define PATHS 30000

struct packet {
	uint32_t link;
	uint32_t size;
	uint8_t bytes[LONGEST];
};

static struct packet *seeds;
static size_t seed_count;
static struct socktally *meter;
static int program;
static int attached; /* a socket's, which loads Ethernet packets for its filter and the parser */
static struct st_region *region;
static const struct st_ports *ports;
static uint64_t expected[PATHS]; /* packets of each cell */
static uint64_t random_state;
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

static void bail(const char *what)
{
	printf("Bail out! %s: %s\n", what, strerror(errno));
	exit(1);
}

/* Marsaglia's xorshift64 */
static uint32_t random_below(uint32_t bound)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)((random_state >> 32) * bound >> 32);
}

static int run_in_kernel(const struct packet *packet, uint32_t gso_size, uint32_t gso_segments)
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
	attr.test.prog_fd =
		(uint32_t)(packet->link == ST_LINK_ETH && checked % 2 ? attached : program);
	attr.test.data_in = (uintptr_t)data;
	attr.test.data_size_in = LINK_HEADER + packet->size;
	attr.test.ctx_in = (uintptr_t)&context;
	attr.test.ctx_size_in = sizeof(context);
	return (int)syscall(SYS_bpf, BPF_PROG_TEST_RUN, &attr, sizeof(attr));
}

/* The cell of a path; -1: there is none. Cells don't move and have no gaps: remembered by a hash. */
static int cell_of(struct st_path path)
{
	static int remembered[1 << 16];
	int *known = &remembered[(path.lo ^ path.lo >> 21 ^ path.hi * 31) & 0xffff];
	const struct st_cell *cells = st_region_cells(region, meter->sizes);

	if (*known && cells[*known - 1].path.lo == path.lo && cells[*known - 1].path.hi == path.hi)
		return *known - 1;
	for (uint32_t i = 0; i < region->used; i++) {
		if (cells[i].path.lo == path.lo && cells[i].path.hi == path.hi) {
			*known = (int)i + 1;
			return (int)i;
		}
	}
	return -1;
}

static void report(const struct packet *packet, struct st_path path)
{
	printf("# link %#x, native path %llx %016llx, packet ", packet->link,
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
			printf("# one of %u at once:\n", many.count);
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

static void check(const struct packet *packet)
{
	struct st_packet native = {.data = packet->bytes, .len = packet->size, .ports = ports};
	struct st_path path = st_parse(&native, packet->link);
	const struct st_cell *cells = st_region_cells(region, meter->sizes);
	uint64_t packets;
	int cell;

	check_with_many(packet);
	if (run_in_kernel(packet, 0, 0)) {
		if (packet->size)
			bail("BPF_PROG_TEST_RUN");
		return; /* some kernels take no empty packet */
	}
	checked++;
	cell = cell_of(path);
	packets = cell < 0 ? 0 : cells[cell].in.packets + cells[cell].out.packets;
	if (cell >= 0 && packets == ++expected[cell])
		return;
	if (different++ < 10)
		report(packet, path);
	for (uint32_t i = 0; i < region->used; i++) /* go on from what the kernel has counted */
		expected[i] = cells[i].in.packets + cells[i].out.packets;
}

static void take_file(const char *name, size_t most)
{
	char message[CAPTURE_MESSAGE_MAX];
	struct capture_file *file = capture_file_open(name, -1, message);
	struct capture_packet from;
	size_t seen = 0;

	while (file && capture_file_next(file, &from) > 0) {
		struct packet packet = {.link = st_link_of_linktype(from.linktype)};

		packet.size = from.caplen < LONGEST ? from.caplen : LONGEST;
		memcpy(packet.bytes, from.data, packet.size);
		check(&packet);
		if (seen++ < most && seed_count < SEEDS)
			seeds[seed_count++] = packet;
	}
	if (file)
		capture_file_close(file);
}

static char made[] = "/tmp/socktally-test-XXXXXX";

/* The name of a capture file with the packets of a text file. */
static const char *packets_of(const char *text)
{
	const char *sources = getenv("SRCDIR") ? getenv("SRCDIR") : ".";
	char command[8192];
	int fd;

	strcpy(made + strlen(made) - 6, "XXXXXX");
	fd = mkstemp(made);
	if (fd < 0)
		bail("mkstemp");
	close(fd);
	snprintf(command, sizeof(command),
		 "sed 's/^[!?]//' '%s' | python3 '%s/tests/lib/packets.py' - %s pcapng", text,
		 sources, made);
	if (system(command))
		bail("tests/lib/packets.py");
	return made;
}

static void take_own(void)
{
	const char *sources = getenv("SRCDIR") ? getenv("SRCDIR") : ".";
	char text[4096];

	snprintf(text, sizeof(text), "%s/tests/data/paths.txt", sources);
	take_file(packets_of(text), SEEDS);
	unlink(made);
}

static void take_captures(void)
{
	const char *sources = getenv("SRCDIR") ? getenv("SRCDIR") : ".";
	const char *folder = getenv("CAPTURES");
	char pattern[4096];
	glob_t found;

	snprintf(pattern, sizeof(pattern), "%s%s/*/*.pcap*", folder ? folder : sources,
		 folder ? "" : "/../shared/captures");
	if (glob(pattern, 0, NULL, &found))
		return;
	for (size_t i = 0; i < found.gl_pathc; i++)
		take_file(found.gl_pathv[i], 12);
	globfree(&found);
}

/* Some bytes near the front changed, the end cut off or two packets put together, the link type too. */
static void mutate(struct packet *packet)
{
	static const uint8_t likely[] = {0,    1,    4,    6,    8,    17,   41,   43,
					 44,   47,   50,   51,   58,   60,   0x45, 0x60,
					 0x81, 0x86, 0x88, 0xdd, 0x58, 0x65, 0xaa, 0xff,
					 0x2f, 0x42, 0x47, 0x64, 0xbe, 0x0b};
	const struct packet *other;
	uint32_t front, keep;

	for (uint32_t changes = random_below(5); packet->size && changes--;) {
		front = packet->size < 128 ? packet->size : 128;
		packet->bytes[random_below(front)] = random_below(2)
							     ? likely[random_below(sizeof(likely))]
							     : (uint8_t)random_below(256);
	}
	if (!random_below(3))
		packet->size = random_below(packet->size + 1);
	if (!random_below(4)) {
		other = &seeds[random_below((uint32_t)seed_count)];
		keep = random_below((packet->size < 100 ? packet->size : 100) + 1);
		packet->size = other->size < LONGEST - keep ? keep + other->size : LONGEST;
		memcpy(packet->bytes + keep, other->bytes, packet->size - keep);
	}
	if (!random_below(20)) {
		packet->link = 1 + random_below(ST_LINK_PPP_DIR);
		if (packet->link == ST_LINK_SLL) /* its ethertype is not in the bytes */
			packet->link = ST_LINK_OTHER | random_below(400);
	}
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

static uint64_t segments_counted(void)
{
	const struct st_cell *cells = st_region_cells(region, meter->sizes);
	uint64_t sum = 0;

	for (uint32_t i = 0; i < region->used; i++)
		sum += cells[i].in.segments + cells[i].out.segments;
	return sum;
}

static void check_gso(int number)
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
		uint64_t before = segments_counted();

		if (!file || capture_file_next(file, &from) <= 0)
			bail("packets of GSO cases");
		packet.size = from.caplen;
		memcpy(packet.bytes, from.data, packet.size);
		if (run_in_kernel(&packet, gso->size, gso->segments))
			bail("BPF_PROG_TEST_RUN");
		if (segments_counted() - before == gso->want)
			continue;
		right = false;
		printf("# %s, gso_size %u, gso_segs %u: %llu segments, want %u\n", gso->packet,
		       gso->size, gso->segments, (unsigned long long)(segments_counted() - before),
		       gso->want);
	}
	capture_file_close(file);
	for (uint32_t i = 0; i < region->used; i++)
		expected[i] = st_region_cells(region, meter->sizes)[i].in.packets +
			      st_region_cells(region, meter->sizes)[i].out.packets;
	printf("%sok %d - segments of GSO packets\n", right ? "" : "not ", number);
	failed |= !right;
}

static void pin(void)
{
	cpu_set_t cpus;
	int cpu = sched_getcpu();

	CPU_ZERO(&cpus);
	CPU_SET(cpu, &cpus);
	if (cpu < 0 || sched_setaffinity(0, sizeof(cpus), &cpus))
		bail("sched_setaffinity");
	region = st_region_of(meter, (uint32_t)cpu);
}

static void start(void)
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
	int result = socktally_open(&meter, &opts);

	if (result == -EPERM) {
		printf("1..0 # SKIP BPF is not permitted\n");
		exit(0);
	}
	errno = -result;
	if (result || st_bpf_map_lookup(meter->chain_map, &first, &id))
		bail("socktally_open");
	program = st_bpf_prog_by_id(id);
	if (program < 0)
		bail("the chain's program");
	attached = st_socket_program_load(meter, &tap, filter, 2);
	if (attached < 0)
		bail(socktally_error(meter));
	ports = &meter->ports;
	pin();
	seeds = malloc(SEEDS * sizeof(*seeds));
	if (!seeds)
		bail("malloc");
}

/*
 * Instructions that the verifier goes through take about a microsecond each (Linux 5.16 says them).
 * Older verifiers than those of the day see fewer states as the same: VERIFIED_MOST in the
 * environment. None takes more than a million.
 */
#define VERIFIED_MOST 25000

static bool cheap_to_load(void)
{
	const char *most = getenv("VERIFIED_MOST");
	struct bpf_prog_info info;

	memset(&info, 0, sizeof(info));
	if (st_bpf_info(program, &info, sizeof(info)))
		bail("BPF_OBJ_GET_INFO_BY_FD");
	printf("# verified_insns %u, jited_prog_len %u\n", info.verified_insns,
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
	const char *seed = getenv("TEST_SEED"), *wanted = getenv("TEST_PACKETS");
	bool cheap;
	unsigned long changed = wanted ? strtoul(wanted, NULL, 0) : 200000;

	start();
	take_own();
	result_of(1, "the same path in the kernel and natively, for our own");
	take_captures();
	result_of(2, "and those of others");
	random_state =
		seed ? strtoull(seed, NULL, 0) : (uint64_t)time(NULL) << 20 | (uint64_t)getpid();
	random_state += !random_state;
	printf("# TEST_SEED=%#llx\n", (unsigned long long)random_state);
	for (unsigned long i = 0; i < changed && seed_count; i++) {
		struct packet packet = seeds[random_below((uint32_t)seed_count)];

		mutate(&packet);
		check(&packet);
	}
	result_of(3, "and with changes");
	printf("%sok 4 - no packet in the overflow cell\n",
	       region->overflow.in.packets ? "not " : "");
	cheap = cheap_to_load();
	printf("%sok 5 - loading is no great work for the verifier\n", cheap ? "" : "not ");
	check_gso(6);
	printf("1..6\n");
	return failed || different || region->overflow.in.packets || !cheap;
}
