// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * A snapshot of several CPUs' cells: each path is there once, with the counts of all CPUs and its own
 * name, also where CPUs met with the paths in different orders, where a path's text is as long as can
 * be, where paths come later, where a CPU meets a path during the snapshot, and where threads take
 * their snapshots at the same time.
 */
#include "bpf/parse/dispatch.h"
#include "plugin/meter/meter.h"
#include "plugin/count/path.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CPUS = 3, PATHS = 300, THREADS = 4, ROUNDS = 200 };

static struct socktally *meter;
static int test_number, failed;

static void result(bool good, const char *what)
{
	printf("%sok %d - %s\n", good ? "" : "not ", ++test_number, what);
	failed |= !good;
}

static void bail(const char *what)
{
	printf("Bail out! %s\n", what);
	exit(1);
}

/* All different; from 3 to 14 layers, of long names. */
static struct st_path path_of(uint32_t number)
{
	static const uint8_t layers[] = {ST_IPV6_FRAGHDR, ST_IPV6_ROUTING, ST_IPV6_HOPOPTS};
	struct st_path path = {.lo = ST_ETH << 16 | (number / 128 + 1) << 8 | (number % 128 + 1)};

	for (uint32_t i = 0; i < number % 12; i++) {
		path.hi = path.hi << 8 | path.lo >> 56;
		path.lo = path.lo << 8 | layers[number % 3];
	}
	return path;
}

/* The n-th path that a CPU meets with. */
static uint32_t met(uint32_t cpu, uint32_t n, uint32_t paths)
{
	return cpu == 2 ? paths - 1 - n : cpu == 1 ? n ^ 1 : n;
}

static void count(uint32_t paths)
{
	for (uint32_t cpu = 0; cpu < CPUS; cpu++) {
		for (uint32_t n = 0; n < paths; n++) {
			uint32_t number = met(cpu, n, paths);
			struct st_skb_facts facts = {.len = number + 1, .segments = 1};

			facts.out = number % 5 == 0;
			st_tally(st_region_of(meter, cpu), meter->sizes, path_of(number), &facts);
		}
	}
}

/* Each CPU meets with paths that no other does: at the same places there are different ones. */
static void count_apart(uint32_t paths)
{
	for (uint32_t number = 0; number < paths; number++) {
		struct st_skb_facts facts = {.len = number + 1, .segments = 1};

		facts.out = number % 5 == 0;
		for (uint32_t i = 0; i < CPUS; i++)
			st_tally(st_region_of(meter, number % CPUS), meter->sizes, path_of(number),
				 &facts);
	}
}

struct seen {
	uint32_t cells;
	uint64_t packets;
	bool good;
};

/* Lengths tell paths apart: all packets of a path have the same. */
static int look(void *ctx, const struct socktally_cell *cell)
{
	struct seen *seen = ctx;
	uint32_t number = (uint32_t)(cell->counts.bytes / cell->counts.packets) - 1;
	uint8_t layers[SOCKTALLY_MAX_LAYERS];
	char text[SOCKTALLY_PATH_TEXT_MAX];
	uint32_t layer_count = st_path_layers(path_of(number), layers);

	socktally_path_text(layers, layer_count, text, sizeof(text));
	seen->good &= !strcmp(cell->path, text) && cell->layer_count == layer_count &&
		      !memcmp(cell->layers, layers, layer_count) &&
		      cell->direction == (number % 5 == 0) && !(cell->counts.packets % CPUS);
	seen->cells++;
	seen->packets += cell->counts.packets;
	return 0;
}

static bool all_there(uint32_t paths, uint64_t packets)
{
	struct seen seen = {.good = true};
	struct socktally_totals totals;

	return !socktally_snapshot(meter, look, &seen, &totals) && seen.good &&
	       seen.cells == paths && seen.packets == packets && totals.counts.packets == packets;
}

static void *take_many(void *bad)
{
	for (int i = 0; i < ROUNDS; i++)
		if (!all_there(PATHS, 2 * PATHS * CPUS))
			*(bool *)bad = true;
	return NULL;
}

static void at_once(void)
{
	pthread_t threads[THREADS];
	bool bad[THREADS] = {0}, any = false;

	for (int i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, take_many, &bad[i]))
			bail("pthread_create");
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		any |= bad[i];
	}
	result(!any, "threads at the same time");
}

/* What a CPU counts while a snapshot is being taken: the first packet of a path that another CPU has. */
struct meanwhile {
	uint32_t number;
	int times;  /* that it was reported */
	bool armed; /* nothing has been counted yet */
	uint64_t packets;
};

static void tally(uint32_t cpu, uint32_t number, uint32_t packets)
{
	const struct st_skb_facts facts = {.len = number + 1, .segments = 1, .accepted = true};

	while (packets--)
		st_tally(st_region_of(meter, cpu), meter->sizes, path_of(number), &facts);
}

static int count_meanwhile(void *ctx, const struct socktally_cell *cell)
{
	struct meanwhile *meanwhile = ctx;

	if (cell->counts.bytes / cell->counts.packets - 1 == meanwhile->number) {
		meanwhile->times++;
		meanwhile->packets = cell->counts.packets;
	}
	if (meanwhile->armed)
		tally(0, meanwhile->number, 1);
	meanwhile->armed = false;
	return 0;
}

static void during(void)
{
	struct meanwhile meanwhile = {.number = 7};
	uint64_t last = 0;
	bool good = true;

	tally(0, 3, 1);
	tally(1, 7, 1000);
	tally(2, 8, 1);
	for (int i = 0; i < 3; i++) {
		struct socktally_totals totals;

		meanwhile.times = 0;
		meanwhile.armed = i == 1;
		good &= !socktally_snapshot(meter, count_meanwhile, &meanwhile, &totals) &&
			meanwhile.times == 1 && totals.counts.packets >= last;
		last = totals.counts.packets;
	}
	result(good && last == 1003 && meanwhile.packets == 1001,
	       "a path that an earlier CPU meets during the snapshot is neither lost nor there twice");
}

/* Two CPUs, a thread each: the first one meets each path a moment after the second. */
static atomic_uint met_by_second;
static atomic_bool over;

enum { RACE_PATHS = 600 };

static void *second_cpu(void *ctx)
{
	const struct timespec pause = {.tv_nsec = 200000};

	for (uint32_t n = 0; n < RACE_PATHS; n++) {
		tally(1, n, 1000);
		atomic_store(&met_by_second, n + 1);
		nanosleep(&pause, NULL);
	}
	return ctx;
}

static void *first_cpu(void *ctx)
{
	for (uint32_t n = 0; n < RACE_PATHS; n++) {
		while (atomic_load(&met_by_second) < n + 1)
			;
		tally(0, n, 1);
	}
	atomic_store(&over, true);
	return ctx;
}

/* By path: lengths tell them apart. */
struct race {
	uint64_t last[RACE_PATHS];
	uint32_t taken[RACE_PATHS]; /* the snapshot that reported it last */
	uint32_t snapshots, twice, back, more_accepted;
};

static int race_look(void *ctx, const struct socktally_cell *cell)
{
	const struct socktally_counts *counts = &cell->counts;
	struct race *race = ctx;
	/* bytes and packets are not read at the same moment, but the first layers tell as well */
	uint32_t number = (uint32_t)(cell->layers[1] - 1) * 128 + cell->layers[2] - 1;

	race->twice += race->taken[number] == race->snapshots;
	race->taken[number] = race->snapshots;
	race->back += counts->packets < race->last[number];
	race->last[number] = counts->packets;
	race->more_accepted += counts->accepted_packets > counts->packets ||
			       counts->accepted_bytes > counts->bytes;
	return 0;
}

static void race(void)
{
	static struct race race;
	pthread_t threads[2];
	uint64_t last = 0, back = 0, lost = 0;
	bool more = true;

	if (pthread_create(&threads[0], NULL, second_cpu, NULL) ||
	    pthread_create(&threads[1], NULL, first_cpu, NULL))
		bail("pthread_create");
	while (more) {
		struct socktally_totals totals;

		more = !atomic_load(&over);
		race.snapshots++;
		if (socktally_snapshot(meter, race_look, &race, &totals))
			bail("socktally_snapshot");
		back += totals.counts.packets < last;
		last = totals.counts.packets;
		for (uint32_t n = 0; n < RACE_PATHS; n++)
			lost += race.last[n] && race.taken[n] != race.snapshots;
	}
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	printf("# %u snapshots\n", race.snapshots);
	result(!back && !race.back, "no counter goes backwards while CPUs meet the same paths");
	result(!lost && !race.twice, "and each path is there once");
	result(!race.more_accepted, "and no more is accepted than seen");
	result(last == RACE_PATHS * 1001ull, "and in the end all is exact");
}

/* A meter of its own, with the tables of more CPUs than one. */
static void open_meter(void)
{
	struct socktally_open_opts opts = {.sz = sizeof(opts), .flags = SOCKTALLY_OPEN_USERSPACE};

	if (socktally_open(&meter, &opts))
		bail("socktally_open");
	free(meter->regions);
	meter->region_count = CPUS;
	meter->regions = aligned_alloc(64, (size_t)CPUS * meter->region_size);
	if (!meter->regions)
		bail("no memory");
	memset(meter->regions, 0, (size_t)CPUS * meter->region_size);
}

int main(void)
{
	open_meter();
	count(10);
	result(all_there(10, 10 * CPUS), "10 paths");
	result(all_there(10, 10 * CPUS), "and again");
	socktally_close(meter);

	open_meter();
	count(PATHS);
	result(all_there(PATHS, PATHS * CPUS), "300 paths");
	count(PATHS);
	result(all_there(PATHS, 2 * PATHS * CPUS), "and with more packets");
	socktally_close(meter);

	open_meter();
	count(20);
	all_there(20, 20 * CPUS);
	for (uint32_t paths = 40; paths <= PATHS; paths += 20)
		count(paths);
	result(all_there(PATHS, (PATHS / 20) * (PATHS + 20) / 2 * CPUS), "paths that come later");
	socktally_close(meter);

	open_meter();
	count_apart(PATHS);
	result(all_there(PATHS, PATHS * CPUS), "paths of one CPU each");
	result(all_there(PATHS, PATHS * CPUS), "and again");
	socktally_close(meter);

	open_meter();
	count(PATHS);
	count(PATHS);
	at_once();
	socktally_close(meter);

	open_meter();
	during();
	socktally_close(meter);

	open_meter();
	race();
	socktally_close(meter);
	printf("1..%d\n", test_number);
	return failed;
}
