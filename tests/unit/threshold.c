// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* Rates that cross bounds, with packets of our own counting; and what patterns for paths match. */
#include "tests/lib/api_traffic.h"
#include "plugin/hooks/pattern.h"
#include "plugin/meter/meter.h"
#include <linux/filter.h>
#include <socktally/socktally.h>
#include <time.h>

struct seen {
	struct socktally *meter;
	unsigned int up, down, intervals;
	struct socktally_crossing last;
	char path[32];
	int remove; /* a threshold, when one is crossed */
	bool poll;  /* to the end of the next interval, when one is crossed */
	int errors;
};

/* To the end of the next interval: as late as that is, each call ends one. */
static void to_the_end(struct socktally *meter)
{
	while (!socktally_poll(meter, -1))
		;
}

static void crossed(void *ctx, const struct socktally_crossing *crossing)
{
	struct seen *seen = ctx;

	*(crossing->upwards ? &seen->up : &seen->down) += 1;
	seen->last = *crossing;
	snprintf(seen->path, sizeof(seen->path), "%s", crossing->path);
	if (seen->remove)
		seen->errors += socktally_threshold_remove(seen->meter, seen->remove) != 0;
	seen->remove = 0;
	if (seen->poll)
		to_the_end(seen->meter);
	seen->poll = false;
}

static int interval(void *ctx, struct socktally *meter)
{
	struct seen *seen = ctx;

	seen->errors += meter != seen->meter;
	seen->intervals++;
	return 0;
}

static void count(struct socktally *meter, unsigned int packets, unsigned int type)
{
	unsigned char packet[100] = {[12] = (unsigned char)(type >> 8), [13] = (unsigned char)type};

	while (packets--)
		if (socktally_count(meter, 1, packet, sizeof(packet), sizeof(packet), SOCKTALLY_IN))
			abort();
}

/* Counters that run backwards are no rate at all: the table is hidden for one look. */
static void backwards(struct socktally *meter)
{
	struct socktally_threshold_opts opts = {.sz = sizeof(opts), .above = 1e6, .below = 1e6};
	struct seen seen = {.meter = meter};
	struct st_region *region = st_region_of(meter, 0);
	uint32_t used = region->used;
	int number = socktally_threshold_add(meter, &opts, crossed, &seen);

	to_the_end(meter);
	to_the_end(meter);
	region->used = 0;
	to_the_end(meter);
	ok(used && number > 0 && !seen.up, "counters that go backwards cross no bound");
	region->used = used;
	socktally_threshold_remove(meter, number);
}

/* A class instead of a path; a change of the classes is no rate. */
static void of_class(struct socktally *meter)
{
	const struct sock_filter arp[] = {BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 12),
					  BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x0806, 0, 1),
					  BPF_STMT(BPF_RET | BPF_K, 1),
					  BPF_STMT(BPF_RET | BPF_K, 0)};
	const struct socktally_class class = {.name = "asks",
					      .insns = arp,
					      .insn_count = 4,
					      .linktype = 1};
	struct socktally_threshold_opts opts = {.sz = sizeof(opts),
						.path = "eth",
						.class_name = "asks",
						.above = 1000,
						.below = 10};
	struct seen seen = {.meter = meter};
	int number;

	ok(socktally_threshold_add(meter, &opts, crossed, &seen) == -EINVAL, "a path and a class");
	opts.path = NULL;
	number = socktally_threshold_add(meter, &opts, crossed, &seen);
	to_the_end(meter);
	count(meter, 100000, 0x0806);
	to_the_end(meter);
	ok(number > 0 && !seen.up && !seen.down, "a class that isn't there has no rate");
	ok(!socktally_set_classes(meter, &class, 1, NULL), "a class");
	count(meter, 1, 0x0806);
	to_the_end(meter);
	count(meter, 100000, 0x9999);
	to_the_end(meter);
	ok(!seen.up, "packets that are not in it");
	count(meter, 100000, 0x0806);
	to_the_end(meter);
	ok(seen.up == 1 && !strcmp(seen.path, "asks"), "its own cross the bound, by its name");
	ok(!socktally_set_classes(meter, NULL, 0, NULL), "no classes any more");
	to_the_end(meter);
	ok(seen.up == 1 && seen.down == 1 && seen.last.value == 0, "it is 0 then, and not below");
	socktally_threshold_remove(meter, number);
}

static bool valid(const char *text)
{
	struct st_pattern pattern;
	const char *bad;
	size_t length;

	return !st_pattern_read(&pattern, text, &bad, &length);
}

static uint8_t number_of(const char *name, size_t length)
{
	char text[32];

	for (unsigned int i = 1; i < 256; i++) {
		const uint8_t layer = (uint8_t)i;

		if (socktally_path_text(&layer, 1, text, sizeof(text)) == length &&
		    !memcmp(text, name, length))
			return layer;
	}
	return 0;
}

static bool matches(const char *text, const char *path)
{
	uint8_t layers[SOCKTALLY_MAX_LAYERS];
	struct st_pattern pattern;
	size_t count = 0, length;
	const char *bad;

	if (st_pattern_read(&pattern, text, &bad, &length))
		return false;
	for (;; path += length + 1) {
		length = strcspn(path, ":");
		layers[count++] = number_of(path, length);
		if (!path[length])
			return st_pattern_fits(&pattern, layers, count);
	}
}

static void patterns(void)
{
	ok(matches("eth", "eth") && matches("eth", "eth:ip:udp") && matches("eth:ip", "eth:ip:udp"),
	   "a path begins as the pattern says");
	ok(!matches("eth:ip", "eth:ipv6") && !matches("eth:ip", "eth:arp") &&
		   !matches("ip", "eth:ip") && !matches("eth:ip", "eth"),
	   "layer by layer");
	ok(matches("*:udp", "eth:ip:udp") && matches("*:udp", "udp") && matches("*", "eth") &&
		   matches("eth:*:udp:vxlan", "eth:vlan:ip:udp:vxlan") &&
		   matches("*:ip", "eth:ip:tcp"),
	   "* stands for any number of layers");
	ok(matches("*:gre:ip:tcp", "eth:ip:gre:ip:tcp") && matches("*:ip:*:ip", "eth:ip:gre:ip") &&
		   !matches("*:ip:*:ip", "eth:ip:udp") && !matches("*:tcp", "eth:ip:udp"),
	   "and is tried at each place");
	ok(valid("eth") && valid("*:udp") && valid("eth:*:ipv6"), "names that there are");
	ok(!valid("") && !valid("eth:") && !valid(":eth") && !valid("eth::ip") && !valid("upd") &&
		   !valid("eth*"),
	   "names that there are not");
}

static void bad_options(struct socktally *meter)
{
	struct socktally_threshold_opts opts = {.sz = sizeof(opts), .path = "eth:upd", .above = 1};
	struct seen seen = {0};

	ok(socktally_threshold_add(meter, &opts, crossed, &seen) == -EINVAL &&
		   strstr(socktally_error(meter), "'upd'"),
	   "a path with an unknown name: the name is told");
	opts.path = NULL;
	opts.below = 2;
	ok(socktally_threshold_add(meter, &opts, crossed, &seen) == -EINVAL,
	   "below is above above");
	opts.below = 0;
	opts.above = 0.0 / 0.0;
	ok(socktally_threshold_add(meter, &opts, crossed, &seen) == -EINVAL, "not a number");
	opts.above = 1;
	opts.rate = 77;
	ok(socktally_threshold_add(meter, &opts, crossed, &seen) == -EINVAL, "an unknown rate");
	ok(socktally_threshold_add(meter, &opts, NULL, &seen) == -EINVAL &&
		   socktally_threshold_add(meter, NULL, crossed, &seen) == -EINVAL &&
		   socktally_threshold_add(NULL, &opts, crossed, &seen) == -EINVAL,
	   "null pointers");
	ok(socktally_threshold_remove(meter, 0) == -ENOENT &&
		   socktally_threshold_remove(meter, 17) == -ENOENT,
	   "none with such a number");
}

int main(void)
{
	struct socktally_open_opts open = {.sz = sizeof(open), .flags = SOCKTALLY_OPEN_USERSPACE};
	struct socktally_threshold_opts opts = {.sz = sizeof(opts),
						.path = "eth:arp",
						.above = 100,
						.below = 50};
	struct seen arp = {0}, all = {0};
	struct socktally *meter;
	int one, two;

	setvbuf(stdout, NULL, _IOLBF, 0);
	patterns();
	if (!ok(!socktally_open(&meter, &open), "open"))
		return done();
	arp.meter = all.meter = meter;
	bad_options(meter);

	one = socktally_threshold_add(meter, &opts, crossed, &arp);
	opts.path = NULL;
	opts.rate = SOCKTALLY_BYTES_PER_SECOND;
	opts.above = opts.below = 1;
	two = socktally_threshold_add(meter, &opts, crossed, &all);
	ok(one > 0 && two > one, "two thresholds");
	count(meter, 1000000, 0x0806);
	ok(!socktally_set_interval(meter, 50, interval, &arp), "an interval");
	to_the_end(meter);
	ok(!arp.up && !all.up && arp.intervals == 1,
	   "what was before the first interval is no rate");

	count(meter, 1000000, 0x9999);
	to_the_end(meter);
	ok(!arp.up && all.up == 1, "packets of another path");
	ok(all.last.threshold == two && !*all.path && all.last.bound == 1 &&
		   all.last.upwards == 1 && all.last.value * all.last.seconds > 99999999 &&
		   all.last.value * all.last.seconds < 100000001,
	   "which one, and by how much: the rate times the time is what was counted");

	count(meter, 1000000, 0x0806);
	to_the_end(meter);
	ok(arp.up == 1 && arp.last.threshold == one && !strcmp(arp.path, "eth:arp"),
	   "its own path");
	ok(all.up == 1, "what stays above is told once");
	to_the_end(meter);
	ok(arp.down == 1 && all.down == 1 && arp.last.bound == 50 && !arp.last.upwards,
	   "and once when it is over");

	/* a callback may take thresholds away, its own or another's */
	count(meter, 1000000, 0x0806);
	arp.remove = two;
	to_the_end(meter);
	ok(arp.up == 2 && all.up == 1 && !arp.errors, "removed by the callback of another one");
	ok(socktally_threshold_remove(meter, two) == -ENOENT, "is gone");
	arp.remove = one;
	to_the_end(meter);
	ok(arp.down == 2 && socktally_threshold_remove(meter, one) == -ENOENT,
	   "removed by its own");

	/* or wait for the next interval itself: the others' rates are of their own one */
	opts.rate = SOCKTALLY_PACKETS_PER_SECOND;
	memset(&arp, 0, sizeof(arp));
	memset(&all, 0, sizeof(all));
	arp.meter = all.meter = meter;
	socktally_threshold_add(meter, &opts, crossed, &arp);
	socktally_threshold_add(meter, &opts, crossed, &all);
	to_the_end(meter);
	count(meter, 1000000, 0x0806);
	arp.poll = true;
	to_the_end(meter);
	ok(arp.up == 1 && all.up == 1 && !arp.down && !all.down, "a callback that polls");

	backwards(meter);
	of_class(meter);
	ok(!socktally_set_interval(meter, 50, NULL, NULL) && socktally_poll(meter, 2000) == 1,
	   "an interval without a function");
	socktally_close(meter);
	return done();
}
