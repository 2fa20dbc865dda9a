// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * Counts since the last time: each packet is told once, also where a callback ends the walk, paths come
 * later, and the table overflows.
 */
#include <errno.h>
#include <socktally/socktally.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TABLE = 256, MORE = 300, LENGTH = 60 };

struct seen {
	unsigned int cells, most, inner; /* most: after so many the callback ends the walk */
	uint64_t packets, bytes, accepted, overflow;
	bool close;
	char path[SOCKTALLY_PATH_TEXT_MAX];
};

static struct socktally *meter;
static int test_number, failed;

static void ok(bool good, const char *what)
{
	printf("%sok %d - %s\n", good ? "" : "not ", ++test_number, what);
	failed |= !good;
}

static int see(void *ctx, const struct socktally_cell *cell)
{
	struct seen *seen = ctx;
	char text[SOCKTALLY_PATH_TEXT_MAX];

	seen->cells++;
	seen->packets += cell->counts.packets;
	seen->bytes += cell->counts.bytes;
	seen->accepted += cell->counts.accepted_packets;
	if (!cell->layer_count)
		seen->overflow += cell->counts.packets;
	socktally_path_text(cell->layers, cell->layer_count, text, sizeof(text));
	if (strcmp(cell->path, cell->layer_count ? text : "overflow"))
		failed = 1;
	snprintf(seen->path, sizeof(seen->path), "%s", cell->path);
	seen->inner += socktally_changes(meter, NULL, NULL, NULL) == -EBUSY;
	if (seen->close)
		socktally_close(meter);
	return seen->cells == seen->most ? 77 : 0;
}

/* `times` packets of each of the ethertypes first, first + 1, ... */
static void count(unsigned int first, unsigned int paths, unsigned int times)
{
	uint8_t packet[LENGTH] = {0};

	for (unsigned int i = 0; i < paths * times; i++) {
		unsigned int type = 0x9900 + first + i % paths;

		packet[12] = (uint8_t)(type >> 8);
		packet[13] = (uint8_t)type;
		if (socktally_count(meter, 1, packet, LENGTH, LENGTH, SOCKTALLY_IN))
			failed = 1;
	}
}

static struct seen changes(int expected)
{
	struct socktally_totals totals;
	struct seen seen = {0};

	if (socktally_changes(meter, see, &seen, &totals) != expected ||
	    totals.counts.packets != seen.packets || totals.counts.bytes != seen.bytes ||
	    totals.overflow_packets != seen.overflow || seen.inner != seen.cells ||
	    seen.bytes != LENGTH * seen.packets || seen.accepted != seen.packets)
		failed = 1,
		printf("# totals %llu, cells' sum %llu\n",
		       (unsigned long long)totals.counts.packets, (unsigned long long)seen.packets);
	return seen;
}

static void end_early(void)
{
	struct seen first = {.most = 3}, rest;

	count(0, 10, 2);
	ok(socktally_changes(meter, see, &first, NULL) == 77 && first.packets == 6,
	   "a callback ends the walk");
	count(0, 10, 1);
	rest = changes(0);
	ok(rest.cells == 10 && first.packets + rest.packets == 30,
	   "what it was not given comes the next time");
}

int main(void)
{
	const struct socktally_open_opts opts = {.sz = sizeof(opts),
						 .paths = TABLE,
						 .flags = SOCKTALLY_OPEN_USERSPACE};
	struct seen seen;

	if (socktally_open(&meter, &opts))
		return 1;
	ok(!changes(0).cells, "nothing yet");
	count(0, 5, 3);
	seen = changes(0);
	ok(seen.cells == 5 && seen.packets == 15, "at first all");
	ok(!changes(0).cells, "then nothing");
	count(3, 1, 7);
	seen = changes(0);
	ok(seen.cells == 1 && seen.packets == 7 && !strcmp(seen.path, "eth:0x9903"), "one path");
	count(2, 6, 1);
	seen = changes(0);
	ok(seen.cells == 6 && seen.packets == 6, "paths that come later");
	ok(!socktally_changes(meter, NULL, NULL, NULL), "without a callback");
	end_early();
	count(0, MORE, 1);
	seen = changes(0);
	ok(seen.packets == MORE && seen.overflow && seen.cells == TABLE + 1, "an overflow");
	count(MORE - 1, 1, 9);
	seen = changes(0);
	ok(seen.packets == 9 && seen.overflow == 9, "and its own changes");
	count(0, 5, 1);
	seen = (struct seen){.close = true};
	ok(socktally_changes(meter, see, &seen, NULL) == -ECANCELED && seen.cells == 1,
	   "closed in a callback");
	ok(socktally_changes(meter, see, &seen, NULL) == -EINVAL, "no meter");
	ok(!failed, "sums and calls inside");
	printf("1..%d\n", test_number);
	return failed;
}
