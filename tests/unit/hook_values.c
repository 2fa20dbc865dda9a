// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * Values that each CPU has of its own are added up right: where the number of CPUs is known by an upper
 * bound only, as without /sys, and beside bit fields.
 */
#include "tests/lib/hook_help.h"
#include <malloc.h>
#include <net/ethernet.h>
#include <sys/mount.h>

#define PACKETS 50

static struct socktally *meter;

static void hook_add(const char *program)
{
	struct socktally_hook_opts opts = {.sz = sizeof(opts),
					   .object = st_object_steps,
					   .object_size = sizeof(st_object_steps),
					   .program = program};

	if (socktally_hook_add(meter, &opts)) {
		printf("# %s\n", socktally_error(meter));
		bail("hook");
	}
}

struct wanted {
	const char *name;
	uint64_t number;
	unsigned int found;
};

static int take_row(void *ctx, const struct socktally_row *row)
{
	struct wanted *wanted = ctx;

	for (uint32_t i = 0; i < row->value_count; i++)
		if (!strcmp(row->value[i].name, wanted->name)) {
			wanted->number = row->value[i].number;
			wanted->found++;
		}
	return 0;
}

static uint64_t number_of(const char *hook, const char *map, const char *name)
{
	struct wanted wanted = {.name = name};

	if (socktally_hook_rows(meter, hook, map, take_row, &wanted) || wanted.found != 1)
		printf("# %s: %u values, %s\n", name, wanted.found, socktally_error(meter));
	return wanted.number;
}

static void check(const char *when)
{
	static const uint8_t frame[60] = {[12] = 0x88, [13] = 0xb5};
	int in = socket_on_lo(ETH_P_ALL);
	struct flow flow;

	flow_open(&flow);
	if (socktally_open(&meter, NULL)) {
		printf("# %s\n", socktally_error(NULL));
		bail("meter");
	}
	hook_add("count");
	hook_add("flag");
	if (socktally_attach(meter, in, NULL))
		bail("attach");
	for (unsigned int i = 0; i < PACKETS; i++)
		flow_send(&flow, frame, sizeof(frame));
	flow_end(&flow);
	printf("# %s\n", when);
	is_number(number_of("count", "seen", "packets"), 2 * PACKETS, "an array's values");
	is_number(number_of("count", "seen", "bytes"), 2 * PACKETS * sizeof(frame), "all of them");
	is_number(number_of("flag", "flags", "packets"), 2 * PACKETS, "a table's, with bit fields");
	is_number(number_of("flag", "flags", "more"), 4 * PACKETS, "and those behind them");
	socktally_close(meter);
	flow_close(&flow);
	close(in);
}

int main(void)
{
	const long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	cpu_set_t last;

	own_network();
	/* not the first CPU, whose value would be there without any adding */
	CPU_ZERO(&last);
	CPU_SET((int)cpus - 1, &last);
	sched_setaffinity(0, sizeof(last), &last);
	mallopt(M_PERTURB, 0x5a); /* memory that nobody has written to is no zero */
	check("as it is");
	if (unshare(CLONE_NEWNS) || mount("", "/", "", MS_REC | MS_PRIVATE, NULL) ||
	    mount("none", "/sys", "tmpfs", 0, NULL)) {
		ok(true, "without /sys # SKIP it can't be hidden");
		return done();
	}
	check("without /sys");
	return done();
}
