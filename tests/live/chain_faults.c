// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * A change of the chain in which one write to a map fails: packets then meet the hooks that they met
 * before, the meter says so, and the same change can be made later.
 */
#include "tests/lib/hook_help.h"
#include <dlfcn.h>
#include <linux/bpf.h>
#include <sys/syscall.h>

#define PACKETS 20

static unsigned int updates, failing; /* failing: which write fails; 0: none */
static bool no_membarrier;

/* In the place of libc's. */
long syscall(long number, ...)
{
	static long (*real)(long, ...);
	va_list arguments;
	long more[6];

	va_start(arguments, number);
	for (unsigned int i = 0; i < 6; i++)
		more[i] = va_arg(arguments, long);
	va_end(arguments);
	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "syscall");
	if ((number == SYS_bpf && (int)more[0] == BPF_MAP_UPDATE_ELEM && ++updates == failing) ||
	    (number == SYS_membarrier && no_membarrier)) {
		errno = ENOMEM;
		return -1;
	}
	return real(number, more[0], more[1], more[2], more[3], more[4], more[5]);
}

static struct socktally *meter;
static struct flow flow;
static bool good;

static void require(bool is, const char *what)
{
	if (!is)
		printf("# write %u: %s; %s\n", failing, what, socktally_error(meter));
	good &= is;
}

static struct socktally_counts counted(void)
{
	struct socktally_totals totals;

	socktally_snapshot(meter, NULL, NULL, &totals);
	return totals.counts;
}

/* How many of the packets that are sent now the tool gets. */
static uint64_t accepted(void)
{
	/* so many tags that the parser goes on in a second run: it has a slot of its own */
	static const uint8_t frame[60] = {[12] = 0x81, [16] = 0x81, [20] = 0x81, [24] = 0x81,
					  [28] = 0x81, [32] = 0x81, [36] = 0x88, [37] = 0xb5};
	const struct socktally_counts before = counted();
	struct socktally_counts after;

	for (unsigned int i = 0; i < PACKETS; i++)
		flow_send(&flow, frame, sizeof(frame));
	if (!flow_wait(&flow, 0))
		bail("packets that were sent don't arrive");
	after = counted();
	require(after.packets - before.packets == 2 * PACKETS, "packets are not counted once");
	return after.accepted_packets - before.accepted_packets;
}

static int count_hook(void *ctx, const struct socktally_hook *hook)
{
	(void)hook;
	++*(unsigned int *)ctx;
	return 0;
}

static unsigned int hooks(void)
{
	unsigned int count = 0;

	socktally_hooks(meter, count_hook, &count);
	return count;
}

static int change(bool add)
{
	static const char *const variables[] = {"path=*"};
	struct socktally_hook_opts opts = {.sz = sizeof(opts),
					   .builtin = "drop",
					   .variables = variables,
					   .variable_count = 1};

	return add ? socktally_hook_add(meter, &opts) : socktally_hook_remove(meter, "drop", NULL);
}

/* Makes the change with one failure, then without. False: there was nothing to fail. */
static bool fail_once(bool add, unsigned int number)
{
	int result;

	updates = 0;
	failing = number;
	result = change(add);
	failing = updates < number ? 0 : failing;
	if (!failing)
		return false;
	if (result) {
		require(hooks() == !add, "a change that failed is in the list");
		require(accepted() == (add ? 2 * PACKETS : 0), "a failed change has its effect");
		failing = 0;
		require(!change(add), "the change can't be made later");
	}
	failing = 0;
	require(hooks() == add, "the change is not in the list");
	require(accepted() == (add ? 0 : 2 * PACKETS), "the change has no effect");
	return true;
}

static void meter_open(int fd)
{
	if (socktally_open(&meter, NULL))
		bail(socktally_error(NULL));
	if (socktally_attach(meter, fd, NULL))
		bail(socktally_error(meter));
}

static unsigned int all_writes(int fd)
{
	unsigned int count = 0;
	bool adding = true, removing = true;

	for (unsigned int i = 1; adding || removing; i++) {
		meter_open(fd);
		adding = fail_once(true, i);
		removing = fail_once(false, i);
		count += adding + removing;
		socktally_detach(meter, fd);
		socktally_close(meter);
	}
	return count;
}

int main(void)
{
	unsigned int count;
	int fd;

	own_network();
	fd = socket_on_lo(ETH_P_ALL);
	flow_open(&flow);
	good = true;
	count = all_writes(fd);
	ok(good && count > 5, "each of %u writes fails once", count);
	no_membarrier = true;
	good = true;
	count = all_writes(fd);
	ok(good && count > 5, "the same where nothing else waits for packets either");
	flow_end(&flow);
	return done();
}
