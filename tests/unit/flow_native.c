// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * The kernel and the library recognise the same flows: packet by packet, of all of other people's captures if
 * there are any (CAPTURES, or ../shared/captures), read side by side so that their flows are interleaved; with
 * two CPUs, of which each sees one direction; and of such packets changed at random. TEST_PACKETS: how many
 * changed ones; TEST_SEED: which.
 */
#include "plugin/apps/memory.h"
#include "plugin/attach/attach.h"
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
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define LONGEST 2000   /* of a packet that is given to the kernel: it takes a page at most */
#define LINK_HEADER 14 /* which the kernel takes off before it runs a socket filter */
#define SEEDS 20000
#define PATHS 30000
#define CPUS 2
#define FILES 1000

struct packet {
	uint32_t link, size;
	uint8_t bytes[LONGEST];
};

static struct packet *seeds;
static size_t seed_count;
static struct socktally *meter;
static struct st_flow_memory *memory;
static int program;
static uint64_t expected[CPUS][PATHS]; /* packets of each cell */
static uint64_t random_state = 1;
static unsigned long checked, different, named;
static int tests, failures;

static void bail(const char *what)
{
	printf("Bail out! %s: %s\n", what, strerror(errno));
	exit(1);
}

static void ok(bool good, const char *name)
{
	printf("%sok %d - %s: %lu packets, %lu of them named, %lu different\n", good ? "" : "not ",
	       ++tests, name, checked, named, different);
	failures += !good;
	checked = named = different = 0;
}

/* Marsaglia's xorshift64 */
static uint32_t random_below(uint32_t bound)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)((random_state >> 32) * bound >> 32);
}

static void run_on(int cpu)
{
	static int now = -1;
	cpu_set_t set;

	if (now == cpu)
		return;
	now = cpu;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		bail("sched_setaffinity");
}

static bool run_in_kernel(const struct packet *packet)
{
	static uint8_t data[LINK_HEADER + LONGEST];
	struct __sk_buff context;
	union bpf_attr attr;

	memset(&context, 0, sizeof(context));
	context.cb[ST_CB_VERDICT] = 0xffff;
	context.cb[ST_CB_LINK] = packet->link;
	memcpy(data + LINK_HEADER, packet->bytes, packet->size);
	memset(&attr, 0, sizeof(attr));
	attr.test.prog_fd = (uint32_t)program;
	attr.test.data_in = (uintptr_t)data;
	attr.test.data_size_in = LINK_HEADER + packet->size;
	attr.test.ctx_in = (uintptr_t)&context;
	attr.test.ctx_size_in = sizeof(context);
	return !syscall(SYS_bpf, BPF_PROG_TEST_RUN, &attr, sizeof(attr));
}

/* The cell of a path on a CPU; -1: there is none. */
static int cell_of(int cpu, struct st_path path)
{
	static int remembered[CPUS][1 << 16];
	int *known = &remembered[cpu][(path.lo ^ path.lo >> 21 ^ path.hi * 31) & 0xffff];
	struct st_region *region = st_region_of(meter, (uint32_t)cpu);
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
	if (different++ >= 10)
		return;
	printf("# link %#x, native path %llx %016llx, packet ", packet->link,
	       (unsigned long long)path.hi, (unsigned long long)path.lo);
	for (uint32_t i = 0; i < packet->size && i < 160; i++)
		printf("%02x", packet->bytes[i]);
	printf("\n");
}

/* The native path; *side: 1 if the packet goes from the larger port or address to the smaller one. */
static struct st_path native(const struct packet *packet, int *side)
{
	const struct st_batch_packet one = {.data = packet->bytes,
					    .caplen = packet->size,
					    .len = packet->size};
	struct st_flow_place place;
	struct st_path path, before;
	const uint8_t *h;

	path = before = st_classify_place(NULL, packet->link, packet->bytes, packet->size, &place);
	st_flow_recognise(memory, &one, &place, 1, &path);
	named += path.lo != before.lo;
	*side = 0;
	if (((before.lo & 0xff) == SOCKTALLY_TCP || (before.lo & 0xff) == SOCKTALLY_UDP)) {
		h = packet->bytes + place.off - ((before.lo & 0xff) == SOCKTALLY_TCP ? 20 : 8);
		*side = memcmp(h, h + 2, 2) > 0;
	}
	return path;
}

static void check(const struct packet *packet, bool two)
{
	int side, cpu, cell;
	struct st_path path = native(packet, &side);
	const struct st_cell *cells;
	struct st_region *region;
	uint64_t packets;

	cpu = two ? side : 0;
	run_on(cpu);
	if (!run_in_kernel(packet)) {
		if (packet->size)
			bail("BPF_PROG_TEST_RUN");
		return; /* some kernels take no empty packet */
	}
	checked++;
	region = st_region_of(meter, (uint32_t)cpu);
	cells = st_region_cells(region, meter->sizes);
	cell = cell_of(cpu, path);
	packets = cell < 0 ? 0 : cells[cell].in.packets + cells[cell].out.packets;
	if (cell >= 0 && packets == ++expected[cpu][cell])
		return;
	report(packet, path);
	for (uint32_t i = 0; i < region->used; i++) /* go on from what the kernel has counted */
		expected[cpu][i] = cells[i].in.packets + cells[i].out.packets;
}

static void start(void)
{
	const struct socktally_open_opts opts = {.sz = sizeof(opts),
						 .paths = PATHS,
						 .flows = 1 << 19};
	const uint32_t entry = ST_CHAIN_ENTRY;
	uint32_t id = 0;
	int result = socktally_open(&meter, &opts);

	if (result == -EPERM) {
		printf("1..0 # SKIP BPF is not permitted\n");
		exit(0);
	}
	if (result)
		bail(socktally_error(NULL));
	if (!meter->flow_mask) {
		printf("1..0 # SKIP this kernel does not take the program that looks\n");
		exit(0);
	}
	if (st_bpf_map_lookup(meter->chain_map, &entry, &id))
		bail("chain");
	program = st_bpf_prog_by_id(id);
	memory = st_flow_memory_open(1 << 19, meter->flow_key);
	seeds = malloc(SEEDS * sizeof(*seeds));
	if (program < 0 || !memory || !seeds)
		bail("set-up");
	memset(expected, 0, sizeof(expected));
}

static void end(void)
{
	socktally_close(meter);
	st_flow_memory_close(memory);
	close(program);
	free(seeds);
}

/* The next packet of a file: false at its end. */
static bool take(struct capture_file *file, struct packet *packet)
{
	struct capture_packet from;

	if (capture_file_next(file, &from) <= 0)
		return false;
	packet->link = st_link_of_linktype(from.linktype);
	packet->size = from.caplen < LONGEST ? from.caplen : LONGEST;
	memcpy(packet->bytes, from.data, packet->size);
	if (packet->link & ST_LINK_ENVELOPE) /* files only */
		packet->link = ST_LINK_ETH;
	return true;
}

/* A packet of each file in turn. */
static void take_captures(bool two)
{
	static struct capture_file *files[FILES];
	static struct packet packet;
	const char *sources = getenv("SRCDIR") ? getenv("SRCDIR") : ".";
	const char *folder = getenv("CAPTURES");
	char pattern[4096], message[CAPTURE_MESSAGE_MAX];
	size_t count, open;
	glob_t found;

	snprintf(pattern, sizeof(pattern), "%s%s/*/*.pcap*", folder ? folder : sources,
		 folder ? "" : "/../shared/captures");
	if (glob(pattern, 0, NULL, &found)) {
		printf("ok %d # SKIP no captures of others\n", ++tests);
		return;
	}
	count = found.gl_pathc < FILES ? found.gl_pathc : FILES;
	for (size_t i = 0; i < count; i++)
		files[i] = capture_file_open(found.gl_pathv[i], -1, message);
	globfree(&found);
	do {
		open = 0;
		for (size_t i = 0; i < count; i++) {
			if (!files[i])
				continue;
			open++;
			if (take(files[i], &packet)) {
				check(&packet, two);
				if (!random_below(4) && seed_count < SEEDS)
					seeds[seed_count++] = packet;
			} else {
				capture_file_close(files[i]);
				files[i] = NULL;
			}
		}
	} while (open);
	ok(!different && checked > 10000 && named > checked / 10,
	   two ? "captures, two CPUs that see one direction each" : "captures, one CPU");
}

/* Bytes of headers and payload changed, the end cut off, ports and addresses of another packet. */
static void mutate(struct packet *packet)
{
	const struct packet *other = &seeds[random_below((uint32_t)seed_count)];
	uint32_t changes = random_below(4), from, size;

	while (packet->size && changes--)
		packet->bytes[random_below(packet->size < 160 ? packet->size : 160)] =
			(uint8_t)(random_below(2) ? random_below(256) : 0);
	if (!random_below(4)) {
		from = random_below(80);
		size = 1 + random_below(40);
		if (from + size < packet->size && from + size < other->size)
			memcpy(packet->bytes + from, other->bytes + from, size);
	}
	if (!random_below(6))
		packet->size = random_below(packet->size + 1);
}

/* In full tables it matters which flow is older, and a unit of time does not begin for both at once. */
static void forget(void)
{
	const size_t size = (size_t)meter->flow_count * sizeof(uint64_t);
	void *words = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, meter->flow_map, 0);

	if (words == MAP_FAILED)
		bail("mmap");
	memset(words, 0, size);
	munmap(words, size);
	st_flow_memory_close(memory);
	memory = st_flow_memory_open(meter->flow_count, meter->flow_key);
	if (!memory)
		bail("memory");
}

static void take_mutated(void)
{
	const char *text = getenv("TEST_PACKETS"), *seed = getenv("TEST_SEED");
	unsigned long count = text ? strtoul(text, NULL, 0) : 300000;
	static struct packet packet;

	random_state = seed ? strtoull(seed, NULL, 0) : (uint64_t)time(NULL) * 2 + 1;
	printf("# TEST_SEED=%llu\n", (unsigned long long)random_state);
	for (unsigned long i = 0; i < count && seed_count; i++) {
		if (i % 5000 == 0)
			forget();
		packet = seeds[random_below((uint32_t)seed_count)];
		mutate(&packet);
		check(&packet, false);
	}
	ok(!different && (!seed_count || named), "packets changed at random");
}

int main(void)
{
	struct rlimit files;

	if (!getrlimit(RLIMIT_NOFILE, &files)) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	start();
	take_captures(false);
	take_mutated();
	end();
	seed_count = 0;
	start();
	if (meter->region_count < CPUS || sysconf(_SC_NPROCESSORS_ONLN) < CPUS)
		printf("ok %d # SKIP one CPU only\n", ++tests);
	else
		take_captures(true);
	end();
	printf("1..%d\n", tests);
	return failures != 0;
}
