// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* The table of cells holds as many paths as it is made for, also where they hardly differ. */
#include "bpf/parse/dispatch.h"
#include "bpf/tally.h"
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static int test_number, failed;

/* Layers out of few, in every order: the digits of number to that base. */
static struct st_path path_of(uint32_t number, const uint8_t *layers, uint32_t base, uint32_t depth)
{
	struct st_path path = {.lo = ST_ETH};

	for (uint32_t i = 0; i < depth; i++) {
		path.hi = path.hi << 8 | path.lo >> 56;
		path.lo = path.lo << 8 | layers[number % base];
		number /= base;
	}
	return path;
}

static void fill(const char *what, uint32_t paths, const uint8_t *layers, uint32_t base,
		 uint32_t depth)
{
	const struct st_sizes sizes = {.paths = paths, .slots = st_table_slots(paths)};
	const struct st_skb_facts facts = {.len = 60, .segments = 1};
	struct st_region *region = calloc(1, st_region_size(paths));
	uint64_t overflow = 0;
	bool good;

	if (!region) {
		puts("Bail out! no memory");
		exit(1);
	}
	for (uint32_t round = 0; round < 2; round++)
		for (uint32_t i = 0; i < paths; i++)
			st_tally(region, sizes, path_of(i, layers, base, depth), &facts);
	overflow = region->overflow.in.packets;
	good = region->used == paths && !overflow;
	for (uint32_t i = 0; i < region->used; i++)
		good &= st_region_cells(region, sizes)[i].in.packets == 2;
	printf("%sok %d - %u paths: %s\n", good ? "" : "not ", ++test_number, paths, what);
	if (!good)
		printf("# %u cells, %llu packets in overflow\n", region->used,
		       (unsigned long long)overflow);
	failed |= !good;
	free(region);
}

int main(void)
{
	static const uint8_t headers[] = {ST_IPV6_HOPOPTS, ST_IPV6_DSTOPTS, ST_IPV6_ROUTING};
	static const uint8_t tags[] = {ST_VLAN, ST_IEEE8021AD};
	uint8_t all[8];

	for (uint8_t i = 0; i < sizeof(all); i++)
		all[i] = 1 + i;
	for (uint32_t paths = 256; paths <= ST_MAX_PATHS; paths *= 2) {
		fill("extension headers in every order", paths, headers, sizeof(headers), 10);
		fill("tags in every order", paths, tags, sizeof(tags), 15);
		fill("eight protocols in every order", paths, all, sizeof(all), 5);
	}
	printf("1..%d\n", test_number);
	return failed;
}
