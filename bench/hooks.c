/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * hooks ROUNDS REPEAT < PACKETS: what hooks cost a packet, by BPF_PROG_TEST_RUN of an attached
 * program without a filter. In each round every meter's program runs REPEAT times on every packet,
 * one after the other. Prints, for each packet and set of hooks, the nanoseconds of each round.
 */
#include "plugin/attach/attach.h"
#include "bench/prog_run.h"

#include "bench/pass.bpf.h"
#include "plugin/meter/meter.h"

#include <errno.h>

static const struct set {
	const char *name;
	const char *builtin; /* NULL: the hook that only passes */
	unsigned int count;
	const char *variables[3];
} sets[] = {
	{"none", NULL, 0, {NULL}},
	{"pass-1", NULL, 1, {NULL}},
	{"pass-4", NULL, 4, {NULL}},
	{"pass-28", NULL, 28, {NULL}},
	{"sizes", "sizes", 1, {NULL}},
	{"tcpflags", "tcpflags", 1, {NULL}},
	{"icmp", "icmp", 1, {NULL}},
	{"talkers", "talkers", 1, {NULL}},
	{"rate", "rate", 1, {NULL}},
	{"drop", "drop", 1, {"path=eth:*:ip:*:icmp"}},
	{"snap", "snap", 1, {"path=eth:ip:tcp", "bytes=60"}},
	{"sample", "sample", 1, {"path=eth:ip:tcp", "n=100"}},
};
#define SETS (sizeof(sets) / sizeof(*sets))

static struct socktally *meters[SETS];
static int programs[SETS];

static void load(size_t number)
{
	const struct set *set = &sets[number];
	struct st_socket_link tap = {.link = ST_LINK_ETH};
	struct socktally_hook_opts opts = {
		.sz = sizeof(opts),
		.builtin = set->builtin,
		.object = set->builtin ? NULL : st_object_pass,
		.object_size = set->builtin ? 0 : sizeof(st_object_pass),
		.variables = set->variables,
	};
	int result = socktally_open(&meters[number], NULL);

	while (opts.variable_count < 3 && set->variables[opts.variable_count])
		opts.variable_count++;
	for (unsigned int i = 0; i < set->count && !result; i++)
		result = socktally_hook_add(meters[number], &opts);
	if (result)
		die(set->name, result);
	programs[number] = st_socket_program_load(meters[number], &tap, NULL, 0);
	if (programs[number] < 0)
		die("program", programs[number]);
}

/* What was timed has counted every packet. */
static void check(uint64_t packets)
{
	struct socktally_totals totals;

	for (size_t i = 0; i < SETS; i++) {
		socktally_snapshot(meters[i], NULL, NULL, &totals);
		if (totals.counts.packets != packets)
			die("not every packet was counted", ERANGE);
		socktally_close(meters[i]);
	}
}

int main(int argc, char **argv)
{
	uint32_t rounds, repeat;
	struct packet *packets;
	double *figures;
	size_t count;

	if (argc < 3)
		die("hooks ROUNDS REPEAT", EINVAL);
	rounds = (uint32_t)atoi(argv[1]);
	repeat = (uint32_t)atoi(argv[2]);
	packets = packets_read(&count);
	figures = malloc(count * SETS * rounds * sizeof(*figures));
	if (!figures)
		die("figures", ENOMEM);
	for (size_t i = 0; i < SETS; i++)
		load(i);
	run_on(0);
	for (uint32_t round = 0; round < rounds; round++)
		for (size_t i = 0; i < count; i++)
			for (size_t set = 0; set < SETS; set++)
				figures[(i * SETS + set) * rounds + round] =
					1e9 * prog_run(programs[set], &packets[i], repeat);
	for (size_t i = 0; i < count; i++) {
		for (size_t set = 0; set < SETS; set++) {
			printf("%s %s", packets[i].name, sets[set].name);
			for (uint32_t round = 0; round < rounds; round++)
				printf(" %.3f", figures[(i * SETS + set) * rounds + round]);
			putchar('\n');
		}
	}
	check((uint64_t)count * rounds * repeat);
	free(figures);
	free(packets);
	return 0;
}
