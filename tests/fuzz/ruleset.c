/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The rule set compiler: for each packet, the rule set of several filters has the same result as each
 * filter by itself. The input is the filters' instructions, and packets are made of it too.
 */
#include "plugin/classes/ruleset/ruleset.h"
#include "plugin/translate/internal.h"

#include <stdlib.h>
#include <string.h>

#define FILTERS 6
#define INSNS 64

#define REQUIRE(CONDITION)                                                                         \
	do {                                                                                       \
		if (!(CONDITION))                                                                  \
			abort();                                                                   \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool met[FILTERS];

static void meet(void *ctx, uint32_t list)
{
	const struct st_ruleset *ruleset = ctx;

	for (;; list++) {
		REQUIRE(list < ruleset->list_count);
		met[ruleset->lists[list] & ~ST_LIST_END] = true;
		if (ruleset->lists[list] & ST_LIST_END)
			return;
	}
}

static void compare(const struct st_ruleset *ruleset, const struct st_filter *filters, size_t count,
		    const uint8_t *data, size_t size)
{
	static const uint32_t sizes[] = {0, 1, 14, 34, 60, 130, 200};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		uint8_t *bytes =
			malloc(sizes[i] + 1); /* so that no byte behind it is read unseen */
		struct st_ruleset_packet packet = {.caplen = sizes[i], .len = sizes[i] + i % 3};

		REQUIRE(bytes);
		for (size_t at = 0; at < sizes[i]; at++)
			bytes[at + 1] = data[(at * 7 + i) % size];
		packet.data = bytes + 1;
		for (uint32_t at = 0; at < 64; at++)
			packet.ancillary[at] = data[(at + i) % size];
		memset(met, 0, sizeof(met));
		st_ruleset_run(ruleset, &packet, meet, (void *)ruleset);
		for (size_t at = 0; at < count; at++)
			REQUIRE(met[at] ==
				!!st_filter_run(filters[at].insns, filters[at].count, &packet));
		free(bytes);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct sock_filter insns[FILTERS][INSNS];
	struct st_filter filters[FILTERS];
	struct st_ruleset ruleset;
	size_t count = 0, at = 0;

	/* each filter: a byte with its length, then its instructions but for the last one */
	while (count < FILTERS && at < size) {
		size_t length = data[at++] % (INSNS - 1);

		if (length > (size - at) / 8)
			length = (size - at) / 8;
		memcpy(insns[count], data + at, 8 * length);
		at += 8 * length;
		insns[count][length] = (struct sock_filter){BPF_RET | BPF_K, 0, 0, 1};
		if (st_check_classic(insns[count], length + 1))
			continue;
		filters[count] = (struct st_filter){.insns = insns[count],
						    .count = length + 1,
						    .number = (uint32_t)count};
		count++;
	}
	if (!count || st_ruleset_make(&ruleset, filters, count, false))
		return 0;
	compare(&ruleset, filters, count, data, size);
	st_ruleset_free(&ruleset);
	return 0;
}
