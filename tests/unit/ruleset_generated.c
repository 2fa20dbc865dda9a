/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Random classic filters, also such as no compiler makes: for each packet, the rule set of several
 * filters has the same result as each filter by itself. SEED, COUNT: which filters, how many rule
 * sets.
 */
#include "plugin/classes/ruleset/ruleset.h"
#include "tests/unit/translate/generate.h"

#define FILTERS 8
#define PACKETS 12

static struct st_filter filters[FILTERS];
static bool met[FILTERS];
static unsigned long verdicts, accepted, followed;

static void meet(void *ctx, uint32_t list)
{
	const struct st_ruleset *ruleset = ctx;

	for (;; list++) {
		met[ruleset->lists[list] & ~ST_LIST_END] = true;
		if (ruleset->lists[list] & ST_LIST_END)
			return;
	}
}

static size_t make_filters(size_t *longest)
{
	static struct filter f;
	size_t count = 1 + random_below(FILTERS);

	*longest = 0;
	for (size_t i = 0; i < count; i++) {
		struct sock_filter *insns;

		generate(&f, 4 + random_below(20), 28 + random_below(60), false);
		insns = malloc(f.count * sizeof(*insns));
		if (!insns)
			die("malloc");
		memcpy(insns, f.insns, f.count * sizeof(*insns));
		filters[i] =
			(struct st_filter){.insns = insns, .count = f.count, .number = (uint32_t)i};
		if (*longest < f.packet_len)
			*longest = f.packet_len;
	}
	return count;
}

static bool same(const struct st_ruleset *ruleset, size_t count, size_t longest)
{
	unsigned char bytes[200];
	struct st_ruleset_packet packet = {.data = bytes};

	packet.caplen = random_below((unsigned int)longest + 12);
	packet.len = packet.caplen + (random_percent(30) ? random_below(100) : 0);
	for (size_t at = 0; at < sizeof(bytes); at++)
		bytes[at] = (unsigned char)(random_u32() >> random_below(32));
	for (int i = 0; i < 64; i++)
		packet.ancillary[i] = random_below(random_percent(50) ? 4 : 0x10000);
	memset(met, 0, sizeof(met));
	st_ruleset_run(ruleset, &packet, meet, (void *)ruleset);
	for (size_t i = 0; i < count; i++) {
		bool wanted = st_filter_run(filters[i].insns, filters[i].count, &packet);

		verdicts++;
		accepted += wanted;
		if (wanted == met[i])
			continue;
		printf("# the filter %s a packet of %u, the rule set doesn't\n",
		       wanted ? "accepts" : "rejects", packet.caplen);
		print_filter(filters[i].insns, filters[i].count);
		return false;
	}
	return true;
}

int main(void)
{
	unsigned long seed = from_environment("SEED", (unsigned long)time(NULL));
	unsigned long count = from_environment("COUNT", 30000), wrong = 0, made = 0;

	printf("# SEED=%lu COUNT=%lu\n", seed, count);
	random_seed(seed);
	for (unsigned long i = 0; i < count && wrong < 5; i++) {
		struct st_ruleset ruleset;
		size_t longest, filter_count = make_filters(&longest);
		bool good = true;

		if (st_ruleset_make(&ruleset, filters, filter_count, false))
			die("st_ruleset_make");
		made += filter_count;
		followed += filter_count - ruleset.filter_count;
		for (int at = 0; at < PACKETS && good; at++)
			good = same(&ruleset, filter_count, longest);
		wrong += !good;
		st_ruleset_free(&ruleset);
		for (size_t at = 0; at < filter_count; at++)
			free((void *)filters[at].insns);
	}
	ok(wrong == 0, "%lu rule sets of random filters", count);
	printf("# %lu filters, %lu could be followed; %lu verdicts, %lu accept\n", made, followed,
	       verdicts, accepted);
	ok(followed > made / 20 && accepted > verdicts / 20, "some can be followed, and do accept");
	done_testing();
}
