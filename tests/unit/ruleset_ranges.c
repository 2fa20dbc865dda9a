/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Ranges of ports in a rule set: a filter with one range becomes prefixes in tables; the ranges of a
 * filter that would be too many prefixes together stay. Both accept what libpcap accepts.
 */
#include "plugin/classes/ruleset/plan.h"
#include "tests/unit/expressions.h"

#define FILTERS 200
#define CONJUNCTIONS_MAX 256 /* of one filter, once its ranges are prefixes */
#define PACKETS 5000

static struct st_filter filters[FILTERS];
static bool met[FILTERS];

static void meet(void *ctx, uint32_t list)
{
	const struct st_ruleset *ruleset = ctx;

	for (;; list++) {
		met[ruleset->lists[list] & ~ST_LIST_END] = true;
		if (ruleset->lists[list] & ST_LIST_END)
			return;
	}
}

/* Two ranges with 4 to 14 prefixes each. */
static void make_pair(unsigned int i, char *text, size_t size)
{
	snprintf(text, size, "src portrange %u-%u and dst portrange %u-%u", 1 + i * 5, 301 + i * 6,
		 2 + i * 3, 700 + i * 7);
}

static void make_range(unsigned int i, char *text, size_t size)
{
	snprintf(text, size, "portrange %u-%u", 1 + i * 5, 301 + i * 6);
}

static void make_filters(void (*make)(unsigned int i, char *text, size_t size))
{
	char text[128];

	for (unsigned int i = 0; i < FILTERS; i++) {
		make(i, text, sizeof(text));
		filters[i].insns = compile(DLT_EN10MB, text, &filters[i].count);
		if (!filters[i].insns)
			die("compile");
		filters[i].number = i;
	}
}

static void free_filters(void)
{
	for (unsigned int i = 0; i < FILTERS; i++)
		free((void *)filters[i].insns);
}

/* The most conjunctions that a filter becomes. */
static size_t most_conjunctions(void)
{
	size_t counts[FILTERS] = {0}, most = 0;
	struct st_conjunctions conjunctions = {0};
	struct st_fields fields = {0};
	int error = 0;

	for (unsigned int i = 0; i < FILTERS; i++)
		if (!st_filter_symexec(&fields, filters[i].insns, i, &conjunctions, &error))
			die("st_filter_symexec");
	if (st_conjunctions_split_ranges(&fields, &conjunctions, FILTERS))
		die("st_conjunctions_split_ranges");
	for (size_t i = 0; i < conjunctions.count; i++)
		if (++counts[conjunctions.items[i].filter] > most)
			most = counts[conjunctions.items[i].filter];
	free(conjunctions.items);
	free(fields.field);
	return most;
}

/* Packets with ports in and around the ranges. */
static size_t wrong_verdicts(const struct st_ruleset *ruleset)
{
	static const unsigned char start[] = {8, 0, 0x45, [11] = 6, [14] = 10, 2,
					      0, 1, 10,   3,        0,         1};
	size_t wrong = 0;

	for (int i = 0; i < PACKETS; i++) {
		unsigned char bytes[60] = {0};
		struct st_ruleset_packet packet = {.data = bytes, .caplen = 60, .len = 60};

		memcpy(bytes + 12, start, sizeof(start));
		bytes[23] = random_percent(50) ? 17 : 6;
		put16(bytes + 34, random_below(random_percent(80) ? 2000 : 65536));
		put16(bytes + 36, random_below(random_percent(80) ? 2500 : 65536));
		memset(met, 0, sizeof(met));
		st_ruleset_run(ruleset, &packet, meet, (void *)ruleset);
		for (unsigned int at = 0; at < FILTERS; at++)
			wrong += met[at] != offline(&filters[at], bytes, 60, 60);
	}
	return wrong;
}

int main(void)
{
	unsigned long seed = from_environment("SEED", (unsigned long)time(NULL));
	struct st_ruleset ruleset;
	size_t most;

	printf("# SEED=%lu\n", seed);
	random_seed(seed);
	make_filters(make_range);
	if (st_ruleset_make(&ruleset, filters, FILTERS, false))
		die("st_ruleset_make");
	ok(!ruleset.filter_count, "%d filters with a range each: none has to stay a filter",
	   FILTERS);
	ok(!wrong_verdicts(&ruleset), "they accept what libpcap accepts");
	st_ruleset_free(&ruleset);
	free_filters();

	make_filters(make_pair);
	most = most_conjunctions();
	if (!ok(most <= CONJUNCTIONS_MAX, "two ranges each: no filter is multiplied without limit"))
		printf("# one becomes %zu conjunctions\n", most);
	if (st_ruleset_make(&ruleset, filters, FILTERS, false))
		die("st_ruleset_make");
	ok(!wrong_verdicts(&ruleset), "they accept what libpcap accepts");
	st_ruleset_free(&ruleset);
	free_filters();
	done_testing();
}
