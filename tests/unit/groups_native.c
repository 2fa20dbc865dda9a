// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * The kernel and the native code find the same keys: each field, of outer and of inner headers, on the
 * packets of tests/data/paths.txt and on those of other people's captures if there are any (CAPTURES, or
 * ../shared/captures), and on all of them with bytes changed and ends cut off. What they have counted in
 * the end is the same. TEST_PACKETS: how many changed ones; TEST_SEED: which.
 */
#include "plugin/bpf/syscall.h"
#include "plugin/groups/groups.h"
#include "plugin/meter/meter.h"
#include "tools/capture/file.h"
#include <errno.h>
#include <glob.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LONGEST 2000   /* of a packet that is given to the kernel: it takes a page at most */
#define LINK_HEADER 14 /* which the kernel takes off before it runs a socket filter */
#define SEEDS 6000
#define GROUPS 24 /* of a meter: packets can make so many tail calls */
#define METERS 8

struct packet {
	uint32_t linktype;
	uint32_t size;
	uint8_t bytes[LONGEST];
};

static struct pair {
	struct socktally *kernel, *native;
	int program;
} pairs[METERS];
static size_t pair_count, group_count;
static struct packet *seeds;
static size_t seed_count;
static uint32_t cpu;
static uint64_t random_state;
static unsigned long checked, different, keys;

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

/* --- meters with a group for each field */

static void pair_open(struct pair *pair)
{
	struct socktally_open_opts opts = {.sz = sizeof(opts),
					   .flags = SOCKTALLY_OPEN_NO_APPLICATIONS};
	int result = socktally_open(&pair->kernel, &opts);

	if (result == -EPERM) {
		printf("1..0 # SKIP BPF is not permitted\n");
		exit(0);
	}
	opts.flags |= SOCKTALLY_OPEN_USERSPACE;
	if (!result)
		result = socktally_open(&pair->native, &opts);
	errno = -result;
	if (result)
		bail("socktally_open");
}

static void add(const char *fields)
{
	const struct socktally_group_opts opts = {.sz = sizeof(opts), .fields = fields, .keys = 64};
	struct pair *pair;

	if (group_count++ % GROUPS == 0) {
		if (pair_count == METERS)
			bail("too few meters");
		pair_open(&pairs[pair_count++]);
	}
	pair = &pairs[pair_count - 1];
	if (socktally_group_add(pair->kernel, &opts) || socktally_group_add(pair->native, &opts)) {
		printf("Bail out! %s: %s\n", fields, socktally_error(pair->kernel));
		exit(1);
	}
}

static int add_field(void *ctx, const char *name, const char *help)
{
	const struct st_group_field *field = st_group_field_find(name, strlen(name));
	char text[64];

	(void)ctx, (void)help;
	if (field->read == ST_READ_CONTEXT || field->read == ST_READ_CPU) /* not of files */
		return 0;
	add(name);
	if (!*field->layers)
		return 0;
	snprintf(text, sizeof(text), "inner.%s", name);
	add(text);
	return 0;
}

static void add_all(void)
{
	static const char *const more[] = {
		"ip.dst/24,tcp.dstport",
		"eth.src/24,eth.dst/47,eth.type,vlan.id,vlan.priority",
		"addr.src/20,addr.dst/70,port.src/1024,port.dst,ip.proto",
		"inner.addr.src,inner.addr.dst,inner.port.src,inner.port.dst",
		"ip.src/0,ipv6.src/0",
		"ipv6.src/33,ipv6.dst/97,ipv6.flow,tcp.len/4",
		"frame.len/64,ip.len/2,ip.ttl/16,ip.flags,ip.frag_offset,tcp.flags,tcp.window_size_value,path",
		"mpls.label,mpls.exp,ip.dst",
		"gre.key,gre.proto,inner.ip.dst",
		"vxlan.vni,inner.eth.dst",
		"app,direction,verdict,frame.len/1",
	};

	socktally_group_fields(add_field, NULL);
	for (size_t i = 0; i < sizeof(more) / sizeof(*more); i++)
		add(more[i]);
	for (size_t i = 0; i < pair_count; i++) {
		const uint32_t first = 0;
		uint32_t id = 0;

		if (st_bpf_map_lookup(pairs[i].kernel->chain_map, &first, &id))
			bail("the chain");
		pairs[i].program = st_bpf_prog_by_id(id);
		if (pairs[i].program < 0)
			bail("the chain's program");
	}
}

/* --- packets */

static void run_in_kernel(const struct pair *pair, const struct packet *packet)
{
	static uint8_t data[LINK_HEADER + LONGEST];
	struct __sk_buff context = {0};
	union bpf_attr attr;

	context.cb[ST_CB_VERDICT] = packet->size;
	context.cb[ST_CB_LINK] = st_link_of_linktype(packet->linktype);
	memcpy(data + LINK_HEADER, packet->bytes, packet->size);
	memset(&attr, 0, sizeof(attr));
	attr.test.prog_fd = (uint32_t)pair->program;
	attr.test.data_in = (uintptr_t)data;
	attr.test.data_size_in = LINK_HEADER + packet->size;
	attr.test.ctx_in = (uintptr_t)&context;
	attr.test.ctx_size_in = sizeof(context);
	if (syscall(SYS_bpf, BPF_PROG_TEST_RUN, &attr, sizeof(attr)))
		bail("BPF_PROG_TEST_RUN");
}

static void report(const struct packet *packet, const struct st_group *group)
{
	printf("# %s, link type %u, packet ", group->name, packet->linktype);
	for (uint32_t i = 0; i < packet->size; i++)
		printf("%02x", packet->bytes[i]);
	printf("\n");
}

/* What the code of both has left in their regions. */
static void compare(const struct pair *pair, const struct packet *packet)
{
	const struct st_group *kernel = pair->kernel->groups, *native = pair->native->groups;

	for (; kernel; kernel = kernel->next, native = native->next) {
		const struct st_group_region *one = st_group_region_of(kernel, cpu);
		const struct st_group_region *other = st_group_region_of(native, 0);

		keys += other->has_key;
		if (one->has_key == other->has_key &&
		    (!one->has_key || !memcmp(one->key, other->key, 8 * kernel->sizes.words)))
			continue;
		if (different++ < 10) {
			printf("# kernel %u, native %u\n", one->has_key, other->has_key);
			report(packet, kernel);
		}
	}
}

static void check(const struct packet *packet)
{
	if (packet->size < 1)
		return;
	for (size_t i = 0; i < pair_count; i++) {
		run_in_kernel(&pairs[i], packet);
		if (socktally_count(pairs[i].native, packet->linktype, packet->bytes, packet->size,
				    packet->size, SOCKTALLY_IN))
			bail("socktally_count");
		compare(&pairs[i], packet);
	}
	checked++;
}

/* Links that a socket's packets may have as well. */
static bool is_live(uint32_t linktype)
{
	return !(st_link_of_linktype(linktype) & ST_LINK_ENVELOPE);
}

static void take_file(const char *name, unsigned int most)
{
	char message[CAPTURE_MESSAGE_MAX];
	struct capture_file *file = capture_file_open(name, -1, message);
	struct capture_packet from;
	unsigned int seen = 0;

	while (file && seen++ < most && capture_file_next(file, &from) > 0) {
		struct packet packet = {.linktype = from.linktype};

		if (!is_live(from.linktype))
			continue;
		packet.size = from.caplen < LONGEST ? from.caplen : LONGEST;
		memcpy(packet.bytes, from.data, packet.size);
		check(&packet);
		if (seed_count < SEEDS)
			seeds[seed_count++] = packet;
	}
	if (file)
		capture_file_close(file);
}

static void take_own(void)
{
	const char *sources = getenv("SRCDIR") ? getenv("SRCDIR") : ".";
	char made[] = "/tmp/socktally-test-XXXXXX", command[8192];
	int fd = mkstemp(made);

	if (fd < 0)
		bail("mkstemp");
	close(fd);
	snprintf(
		command, sizeof(command),
		"sed 's/^[!?]//' '%s/tests/data/paths.txt' | python3 '%s/tests/lib/packets.py' - %s pcapng",
		sources, sources, made);
	if (system(command))
		bail("tests/lib/packets.py");
	take_file(made, SEEDS);
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
		take_file(found.gl_pathv[i], 5);
	globfree(&found);
}

/* Some bytes near the front changed, the end cut off, or two packets put together. */
static void mutate(struct packet *packet)
{
	const struct packet *other;
	uint32_t front, keep;

	for (uint32_t changes = random_below(5); packet->size && changes--;) {
		front = packet->size < 128 ? packet->size : 128;
		packet->bytes[random_below(front)] = (uint8_t)random_below(256);
	}
	if (!random_below(3))
		packet->size = random_below(packet->size + 1);
	if (!random_below(4)) {
		other = &seeds[random_below((uint32_t)seed_count)];
		keep = random_below((packet->size < 100 ? packet->size : 100) + 1);
		packet->size = other->size < LONGEST - keep ? keep + other->size : LONGEST;
		memcpy(packet->bytes + keep, other->bytes, packet->size - keep);
	}
}

/* --- what was counted */

struct sums {
	uint64_t rows, other, none, hash;
};

static int sum_row(void *ctx, const struct socktally_group_row *row)
{
	struct sums *sums = ctx;
	uint64_t hash = row->counts.packets + 7 * row->counts.bytes;

	if (row->kind == SOCKTALLY_GROUP_OTHER)
		sums->other += row->counts.packets;
	else if (row->kind == SOCKTALLY_GROUP_NONE)
		sums->none += row->counts.packets;
	else
		sums->rows += row->counts.packets;
	for (uint32_t i = 0; i < row->key_count; i++)
		for (const char *byte = row->key[i].text; *byte; byte++)
			hash = hash * 31 + (unsigned char)*byte;
	sums->hash += hash;
	return 0;
}

/* A table of 64 keys is full for many fields: its rows are the same all the same. */
static bool same_rows(const struct pair *pair)
{
	bool same = true;

	for (struct st_group *group = pair->native->groups; group; group = group->next) {
		struct sums kernel = {0}, native = {0};

		if (socktally_group_rows(pair->kernel, group->name, UINT32_MAX, sum_row, &kernel) ||
		    socktally_group_rows(pair->native, group->name, UINT32_MAX, sum_row, &native))
			bail("rows");
		if (!memcmp(&kernel, &native, sizeof(kernel)) &&
		    kernel.rows + kernel.other + kernel.none == checked)
			continue;
		same = false;
		printf("# %s: kernel %llu rows %llu other %llu none, native %llu, %llu, %llu, of %lu\n",
		       group->name, (unsigned long long)kernel.rows,
		       (unsigned long long)kernel.other, (unsigned long long)kernel.none,
		       (unsigned long long)native.rows, (unsigned long long)native.other,
		       (unsigned long long)native.none, checked);
	}
	return same;
}

int main(void)
{
	const char *packets = getenv("TEST_PACKETS"), *seed = getenv("TEST_SEED");
	unsigned long changed = packets ? strtoul(packets, NULL, 10) : 20000;
	bool same = true;
	cpu_set_t cpus;

	random_state = seed ? strtoull(seed, NULL, 10) | 1 : 0x2545f4914f6cdd1dull;
	cpu = (uint32_t)sched_getcpu();
	CPU_ZERO(&cpus);
	CPU_SET(cpu, &cpus);
	if (sched_setaffinity(0, sizeof(cpus), &cpus))
		bail("sched_setaffinity");
	seeds = malloc(SEEDS * sizeof(*seeds));
	if (!seeds)
		bail("malloc");
	add_all();
	take_own();
	take_captures();
	for (unsigned long i = 0; i < changed; i++) {
		struct packet packet = seeds[random_below((uint32_t)seed_count)];

		mutate(&packet);
		check(&packet);
	}
	printf("%sok 1 - %lu packets, %zu groups, %lu keys: kernel and native say the same\n",
	       different ? "not " : "", checked, group_count, keys);
	for (size_t i = 0; i < pair_count; i++) {
		same &= same_rows(&pairs[i]);
		socktally_close(pairs[i].kernel);
		socktally_close(pairs[i].native);
	}
	printf("%sok 2 - the same rows, and all add up\n1..2\n", same ? "" : "not ");
	return different || !same;
}
