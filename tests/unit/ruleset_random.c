/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The rule set of many random expressions has the same result as each filter by itself, run by
 * libpcap. Without the kernel. SEED, COUNT: which filters, how many rule sets.
 */
#include "tests/unit/expressions.h"

#define FILTERS_MAX 1100
#define PACKETS 120

static struct st_filter filters[FILTERS_MAX];
static char texts[FILTERS_MAX][1024];
static bool met[FILTERS_MAX];
static unsigned long verdicts, accepted, kept, compiled, lookups;
static size_t lists_met, numbers_met;

static void meet(void *ctx, uint32_t list)
{
	const struct st_ruleset *ruleset = ctx;

	lists_met++;
	for (;; list++) {
		met[ruleset->lists[list] & ~ST_LIST_END] = true;
		numbers_met++;
		if (ruleset->lists[list] & ST_LIST_END)
			return;
	}
}

static void show(const char *text, const unsigned char *packet, size_t size, bool wanted)
{
	printf("# '%s': libpcap %s, the rule set doesn't\n", text, wanted ? "accepts" : "rejects");
	show_packet(packet, size);
}

static bool same_packet(const struct st_ruleset *ruleset, size_t count, const unsigned char *packet,
			size_t size, size_t len)
{
	struct st_ruleset_packet seen = {.data = packet,
					 .caplen = (uint32_t)size,
					 .len = (uint32_t)len};
	uint32_t smallest = UINT32_MAX, found = UINT32_MAX;

	memset(met, 0, sizeof(met));
	lists_met = numbers_met = 0;
	st_ruleset_run(ruleset, &seen, meet, (void *)ruleset);
	if (lists_met > ruleset->pushes || numbers_met > ruleset->longest) {
		printf("# met %zu lists of at most %zu, %zu numbers of at most %zu\n", lists_met,
		       ruleset->pushes, numbers_met, ruleset->longest);
		return false;
	}
	for (size_t i = 0; i < count; i++) {
		bool wanted = offline(&filters[i], packet, size, seen.len);

		verdicts++;
		accepted += wanted;
		if (wanted && smallest == UINT32_MAX)
			smallest = (uint32_t)i;
		if (met[i] && found == UINT32_MAX)
			found = (uint32_t)i;
		if (met[i] != wanted && !ruleset->first) {
			show(texts[i], packet, size, wanted);
			return false;
		}
	}
	if (smallest != found)
		show("the first one", packet, size, smallest != UINT32_MAX);
	return smallest == found;
}

static bool same(const struct st_ruleset *ruleset, size_t count, int linktype)
{
	unsigned char packet[PACKET_ROOM];
	size_t size = random_packet(linktype, packet);

	return same_packet(ruleset, count, packet, size,
			   size + (random_percent(20) ? random_below(1000) : 0));
}

static bool check_ruleset(size_t count, int linktype, bool wide, bool first)
{
	struct st_ruleset ruleset;
	bool good = true;
	int error;

	random_filters(filters, texts, count, linktype, wide);
	error = st_ruleset_make(&ruleset, filters, count, first);
	if (error) {
		printf("# %zu filters: %s\n", count, strerror(-error));
		good = false;
	}
	for (int i = 0; i < PACKETS && good; i++)
		good = same(&ruleset, count, linktype);
	compiled += count;
	if (!error) {
		kept += ruleset.filter_count;
		lookups += ruleset.table_count;
		if (count > 500)
			printf("# %zu filters%s: %zu ops, %zu tables, %zu words, %zu stay "
			       "filters; a packet meets %zu at most\n",
			       count, wide ? " of all kinds" : "", ruleset.op_count,
			       ruleset.table_count, ruleset.word_count, ruleset.filter_count,
			       ruleset.longest);
		st_ruleset_free(&ruleset);
	}
	for (size_t i = 0; i < count; i++)
		free((void *)filters[i].insns);
	return good;
}

/* A key of several words: conversations that differ from a filter's in one of three parts. */
static void conversations(void)
{
	unsigned char packet[PACKET_ROOM];
	struct st_ruleset ruleset;
	size_t count = 0, wrong = 0;

	for (unsigned int i = 0; i < 1000; i += 3) {
		struct sock_filter *insns;

		snprintf(texts[count], sizeof(texts[0]),
			 "src host 10.2.0.%u and dst host 10.3.0.%u and tcp dst port %u", i / 100,
			 i / 10 % 10, 80 + i % 10);
		insns = compile(DLT_EN10MB, texts[count], &filters[count].count);
		if (!insns)
			die("compile");
		filters[count].insns = insns;
		filters[count].number = (uint32_t)count;
		count++;
	}
	if (st_ruleset_make(&ruleset, filters, count, false))
		die("st_ruleset_make");
	for (unsigned int i = 0; i < 20000; i++) {
		const unsigned char start[] = {8,         0, 0x45, [11] = 6,
					       [14] = 10, 2, 0,    (unsigned char)(i / 2000),
					       10,        3, 0,    (unsigned char)(i / 200 % 10)};

		memset(packet, 0, sizeof(packet));
		memcpy(packet + 12, start, sizeof(start));
		put16(packet + 36, i % 2 ? 80 + i / 2 % 10 : i * 331 & 0xffff);
		wrong += !same_packet(&ruleset, count, packet, 60, 60);
	}
	ok(wrong == 0, "conversations that share all parts but one with a filter's");
	st_ruleset_free(&ruleset);
	for (size_t i = 0; i < count; i++)
		free((void *)filters[i].insns);
}

int main(void)
{
	static const int linktypes[] = {DLT_EN10MB, DLT_EN10MB,    DLT_EN10MB,    DLT_RAW,
					DLT_NULL,   DLT_LINUX_SLL, DLT_LINUX_SLL2};
	unsigned long seed = from_environment("SEED", (unsigned long)time(NULL));
	unsigned long count = from_environment("COUNT", 400), wrong = 0;
	double start = seconds_now();

	printf("# SEED=%lu COUNT=%lu\n", seed, count);
	random_seed(seed);
	for (unsigned long i = 0; i < count && wrong < 5; i++)
		wrong += !check_ruleset(1 + random_below(random_percent(50) ? 5 : 60),
					PICK(linktypes), random_percent(60), random_percent(20));
	ok(wrong == 0, "%lu rule sets of up to 60 random filters", count);
	wrong = 0;
	for (int i = 0; i < 4; i++)
		wrong += !check_ruleset(1000, DLT_EN10MB, i & 1, i & 2);
	ok(wrong == 0, "1000 filters at once");
	printf("# %lu filters, %lu of them kept, %lu tables; %lu verdicts, %lu accept; %.1f s\n",
	       compiled, kept, lookups, verdicts, accepted, seconds_now() - start);
	ok(accepted > verdicts / 50, "the filters do accept");
	conversations();
	done_testing();
}
