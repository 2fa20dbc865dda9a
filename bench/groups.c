/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * groups ROUNDS REPEAT KEYS < PACKETS: what groups cost a packet, by BPF_PROG_TEST_RUN of an attached
 * program without a filter. Each packet, Ethernet and IPv4 without options, comes with KEYS destination
 * addresses and ports, REPEAT times each in a round. Prints, for each packet and set of groups, the
 * nanoseconds of each round.
 */
#include "plugin/attach/attach.h"
#include "bench/prog_run.h"

#include "plugin/meter/meter.h"

#include <errno.h>

static const struct set {
	const char *name;
	const char *fields[2];
} sets[] = {
	{"none", {NULL}},
	{"ip.dst", {"ip.dst"}},
	{"ip.dst/24,port.dst", {"ip.dst/24,port.dst"}},
	{"inner.ip.dst,inner.port.dst", {"inner.ip.dst,inner.port.dst"}},
	{"addresses,ports,ip.proto", {"addr.src,addr.dst,port.src,port.dst,ip.proto"}},
	{"path,frame.len", {"path,frame.len"}},
	{"two", {"ip.dst/24,port.dst", "ip.src,port.src"}},
};
#define SETS (sizeof(sets) / sizeof(*sets))

static struct socktally *meters[SETS];
static int programs[SETS];

static void load(size_t number)
{
	struct st_socket_link tap = {.link = ST_LINK_ETH};
	int result = socktally_open(&meters[number], NULL);

	for (size_t i = 0; i < 2 && sets[number].fields[i] && !result; i++)
		result = socktally_group_add(meters[number],
					     &(struct socktally_group_opts){
						     .sz = sizeof(struct socktally_group_opts),
						     .fields = sets[number].fields[i],
					     });
	if (result)
		die(sets[number].name, result);
	programs[number] = st_socket_program_load(meters[number], &tap, NULL, 0);
	if (programs[number] < 0)
		die("program", programs[number]);
}

/* The packet with another address and port. */
static struct packet variant(const struct packet *packet, uint32_t key)
{
	struct packet changed = *packet;

	changed.data[31] = (unsigned char)(key >> 8);
	changed.data[32] = (unsigned char)key;
	changed.data[36] = (unsigned char)(4 + (key >> 8));
	changed.data[37] = (unsigned char)key;
	return changed;
}

static double round_run(size_t set, const struct packet *packet, uint32_t keys, uint32_t repeat)
{
	double seconds = 0;

	for (uint32_t key = 0; key < keys; key++) {
		const struct packet changed = variant(packet, key);

		seconds += prog_run(programs[set], &changed, repeat);
	}
	return 1e9 * seconds / keys;
}

static int see(void *ctx, const struct socktally_group_row *row)
{
	*(uint64_t *)ctx += row->counts.packets;
	return 0;
}

/* What was timed has counted every packet. */
static void check(uint64_t packets)
{
	for (size_t i = 0; i < SETS; i++) {
		for (size_t j = 0; j < 2 && sets[i].fields[j]; j++) {
			uint64_t counted = 0;

			socktally_group_rows(meters[i], sets[i].fields[j], 0, see, &counted);
			if (counted != packets)
				die("not every packet was counted", ERANGE);
		}
		socktally_close(meters[i]);
	}
}

int main(int argc, char **argv)
{
	uint32_t rounds, repeat, keys;
	struct packet *packets;
	double *figures;
	size_t count;

	if (argc < 4)
		die("groups ROUNDS REPEAT KEYS", EINVAL);
	rounds = (uint32_t)atoi(argv[1]);
	repeat = (uint32_t)atoi(argv[2]);
	keys = (uint32_t)atoi(argv[3]);
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
					round_run(set, &packets[i], keys, repeat);
	for (size_t i = 0; i < count; i++) {
		for (size_t set = 0; set < SETS; set++) {
			printf("%s %s", packets[i].name, sets[set].name);
			for (uint32_t round = 0; round < rounds; round++)
				printf(" %.3f", figures[(i * SETS + set) * rounds + round]);
			putchar('\n');
		}
	}
	check((uint64_t)count * rounds * repeat * keys);
	free(figures);
	free(packets);
	return 0;
}
