/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * snapshot ROUNDS REPEAT < PACKETS: what it takes to read all counters, with a path for each packet
 * on every CPU, against a per-CPU hash map of the same content that is read as such maps are.
 * Prints, for each way, the nanoseconds of a whole reading in each round: "WAY NS NS ...".
 *
 *	snapshot      socktally_snapshot() with a callback that adds up
 *	totals        the same without a callback: what all paths come to
 *	lookup        bpf_map_lookup_elem for each path, the paths known already
 *	walk          bpf_map_get_next_key and bpf_map_lookup_elem for each
 *	batch         BPF_MAP_LOOKUP_BATCH: everything in one system call
 */
#include "plugin/attach/attach.h"
#include "bench/bench.h"

#include "plugin/bpf/syscall.h"
#include "plugin/meter/meter.h"

#include <errno.h>
#include <linux/if_ether.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* What a hash map would hold of one path on one CPU. */
struct value {
	struct st_counts in, out;
};

struct table {
	struct socktally *meter;
	int map;
	uint32_t cpus;
	size_t count;
	struct st_path *paths;
	struct value *values; /* room for one path, or, in a batch, for all of them */
	uint64_t packets;     /* found by the last reading */
};

static int call(enum bpf_cmd command, union bpf_attr *attr)
{
	return syscall(__NR_bpf, command, attr, sizeof(*attr)) < 0 ? -errno : 0;
}

/* Each packet once on each CPU. */
static void fill_meter(struct table *table, const struct packet *packets, size_t count)
{
	struct st_socket_link tap = {.link = ST_LINK_ETH};
	unsigned char data[ETH_HLEN + PACKET_MAX];
	int prog = st_socket_program_load(table->meter, &tap, NULL, 0);

	if (prog < 0)
		die(socktally_error(table->meter), prog);
	for (uint32_t cpu = 0; cpu < table->cpus; cpu++) {
		run_on((int)cpu);
		for (size_t i = 0; i < count; i++) {
			memcpy(data, packets[i].data, ETH_HLEN);
			memcpy(data + ETH_HLEN, packets[i].data, packets[i].size);
			if (st_bpf_prog_run(prog, data, ETH_HLEN + packets[i].size, 1, NULL, NULL))
				die("BPF_PROG_TEST_RUN", EIO);
		}
	}
	run_on(0);
	close(prog);
}

/* The paths that the first CPU has; the others have the same. */
static void copy_to_hash(struct table *table)
{
	struct st_region *region = st_region_of(table->meter, 0);
	const struct st_cell *cells = st_region_cells(region, table->meter->sizes);

	table->count = region->used;
	table->paths = calloc(table->count, sizeof(*table->paths));
	table->values = calloc(table->count * table->cpus, sizeof(*table->values));
	table->map = st_bpf_map_create(BPF_MAP_TYPE_PERCPU_HASH, "counts", sizeof(struct st_path),
				       sizeof(struct value), ST_DEFAULT_PATHS, 0);
	if (!table->paths || !table->values || table->map < 0)
		die("hash map", table->map);
	for (size_t i = 0; i < table->count; i++) {
		table->paths[i] = cells[i].path;
		for (uint32_t cpu = 0; cpu < table->cpus; cpu++)
			table->values[cpu] = (struct value){cells[i].in, cells[i].out};
		if (st_bpf_map_update(table->map, &table->paths[i], table->values))
			die("bpf_map_update_elem", errno);
	}
}

static int add_up(void *ctx, const struct socktally_cell *cell)
{
	*(uint64_t *)ctx += cell->counts.packets;
	return 0;
}

static void read_snapshot(struct table *table)
{
	table->packets = 0;
	socktally_snapshot(table->meter, add_up, &table->packets, NULL);
}

static void read_totals(struct table *table)
{
	struct socktally_totals totals;

	socktally_snapshot(table->meter, NULL, NULL, &totals);
	table->packets = totals.counts.packets;
}

static void add_values(struct table *table, const struct value *values)
{
	for (uint32_t cpu = 0; cpu < table->cpus; cpu++)
		table->packets += values[cpu].in.packets + values[cpu].out.packets;
}

static void read_lookup(struct table *table)
{
	table->packets = 0;
	for (size_t i = 0; i < table->count; i++) {
		if (st_bpf_map_lookup(table->map, &table->paths[i], table->values))
			die("bpf_map_lookup_elem", errno);
		add_values(table, table->values);
	}
}

static void read_walk(struct table *table)
{
	struct st_path key, next;
	union bpf_attr attr;

	table->packets = 0;
	memset(&attr, 0, sizeof(attr));
	attr.map_fd = (uint32_t)table->map;
	attr.next_key = (uintptr_t)&next;
	while (!call(BPF_MAP_GET_NEXT_KEY, &attr)) {
		key = next;
		attr.key = (uintptr_t)&key;
		if (st_bpf_map_lookup(table->map, &key, table->values))
			die("bpf_map_lookup_elem", errno);
		add_values(table, table->values);
	}
}

static void read_batch(struct table *table)
{
	static struct st_path keys[4 * ST_DEFAULT_PATHS];
	union bpf_attr attr;
	uint32_t position;
	int result;

	table->packets = 0;
	memset(&attr, 0, sizeof(attr));
	attr.batch.map_fd = (uint32_t)table->map;
	attr.batch.out_batch = (uintptr_t)&position;
	attr.batch.keys = (uintptr_t)keys;
	attr.batch.values = (uintptr_t)table->values;
	attr.batch.count = (uint32_t)table->count;
	result = call(BPF_MAP_LOOKUP_BATCH, &attr);
	if (result && result != -ENOENT)
		die("BPF_MAP_LOOKUP_BATCH", result);
	for (uint32_t i = 0; i < attr.batch.count; i++)
		add_values(table, table->values + (size_t)i * table->cpus);
}

static const struct {
	const char *name;
	void (*read)(struct table *table);
} ways[] = {
	{"snapshot", read_snapshot}, {"totals", read_totals}, {"lookup", read_lookup},
	{"walk", read_walk},         {"batch", read_batch},
};
#define WAYS (sizeof(ways) / sizeof(*ways))

static double time_way(struct table *table, size_t way, uint32_t repeat)
{
	double start = cpu_seconds();

	for (uint32_t i = 0; i < repeat; i++)
		ways[way].read(table);
	return (cpu_seconds() - start) * 1e9 / repeat;
}

/* In a child that is killed at its first system call but for the one that ends it. */
static int needs_no_system_call(struct table *table)
{
	pid_t child = fork();
	int status;

	if (!child) {
		prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT);
		read_snapshot(table);
		syscall(SYS_exit, table->packets ? 0 : 1);
	}
	return waitpid(child, &status, 0) == child && WIFEXITED(status) && !WEXITSTATUS(status);
}

int main(int argc, char **argv)
{
	struct table table = {0};
	struct packet *packets;
	uint32_t rounds, repeat;
	double *figures;
	size_t count;
	int result;

	if (argc != 3)
		die("snapshot ROUNDS REPEAT", EINVAL);
	rounds = (uint32_t)atoi(argv[1]);
	repeat = (uint32_t)atoi(argv[2]);
	figures = calloc(WAYS * rounds, sizeof(*figures));
	packets = packets_read(&count);
	result = socktally_open(&table.meter, NULL);
	if (result || !figures)
		die("meter", result);
	table.cpus = table.meter->region_count;
	fill_meter(&table, packets, count);
	copy_to_hash(&table);
	for (uint32_t round = 0; round < rounds; round++)
		for (size_t way = 0; way < WAYS; way++)
			figures[way * rounds + round] = time_way(&table, way, repeat);
	for (size_t way = 0; way < WAYS; way++) {
		ways[way].read(&table);
		if (table.packets != count * table.cpus)
			die(ways[way].name, ERANGE);
		fputs(ways[way].name, stdout);
		for (uint32_t round = 0; round < rounds; round++)
			printf(" %.1f", figures[way * rounds + round]);
		putchar('\n');
	}
	printf("paths %zu\ncpus %u\nno-system-call %d\n", table.count, table.cpus,
	       needs_no_system_call(&table));
	socktally_close(table.meter);
	return 0;
}
