// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * What a callback may do with its meter: each kind of callback tries every call. What would free the
 * list that is being gone through is refused with -EBUSY and changes nothing; closing the meter takes
 * effect at the end. To be run with sanitizers as well.
 */
#include "tests/lib/api_traffic.h"
#include <linux/filter.h>
#include <socktally/socktally.h>

enum { SOCKETS = 4 };

enum call {
	ATTACH = 1,
	SET_FILTER = 2,
	DETACH = 4,
	FORGET = 8,
	HOOK_ADD = 16,
	HOOK_REPLACE = 32,
	HOOK_SET_PRIORITY = 64,
	HOOK_REMOVE = 128,
	SET_CLASSES = 256,
	CLEAR_CLASSES = 512,
	POLL = 1024,
	CALLS = 11,
	CHANGE_SOCKETS = ATTACH | SET_FILTER | DETACH | FORGET | POLL,
	CHANGE_CHAIN = ATTACH | SET_FILTER | HOOK_ADD | HOOK_REPLACE | HOOK_REMOVE |
		       HOOK_SET_PRIORITY | SET_CLASSES | CLEAR_CLASSES | POLL,
	CHANGE_ALL = CHANGE_SOCKETS | CHANGE_CHAIN,
};

static const struct sock_filter accept_all[] = {BPF_STMT(BPF_RET | BPF_K, 0xffff)};
static const struct socktally_class two_classes[] = {{.name = "a", .expression = "udp"},
						     {.name = "b", .expression = "tcp"}};

/* A meter with all that there is, and what its callbacks are to do. */
static struct fixture {
	struct socktally *meter;
	int udp, fds[SOCKETS];
	uint64_t cookies[SOCKETS];
	unsigned int called;
	unsigned int refused, other; /* calls that gave -EBUSY, and that gave something else */
	unsigned int calls;          /* what to try when the first callback comes */
	bool close;                  /* or this */
	bool active;                 /* for those that come by themselves */
	int returns;
} now;

static int do_call(enum call call)
{
	struct socktally_hook_opts hook = {.sz = sizeof(hook),
					   .builtin = "sizes",
					   .name = "another"};

	switch (call) {
	case ATTACH:
		return socktally_attach(now.meter, now.fds[1], NULL);
	case SET_FILTER:
		return socktally_set_filter(now.meter, now.fds[1], accept_all, 1);
	case DETACH:
		return socktally_detach(now.meter, now.fds[2]);
	case FORGET:
		return socktally_forget(now.meter, now.cookies[3]);
	case HOOK_ADD:
		return socktally_hook_add(now.meter, &hook);
	case HOOK_REPLACE:
		hook.name = "rate";
		hook.builtin = "rate";
		return socktally_hook_replace(now.meter, "rate", &hook);
	case HOOK_REMOVE:
		return socktally_hook_remove(now.meter, "rate", NULL);
	case HOOK_SET_PRIORITY:
		return socktally_hook_set_priority(now.meter, "rate", 7);
	case SET_CLASSES:
		return socktally_set_classes(now.meter, two_classes, 2, NULL);
	case CLEAR_CLASSES:
		return socktally_set_classes(now.meter, NULL, 0, NULL);
	case POLL:
		return socktally_poll(now.meter, 0);
	default:
		abort();
	}
}

static int no_cell(void *ctx, const struct socktally_cell *cell)
{
	return ctx || !cell;
}

/* What all callbacks do. */
static int called(void)
{
	if (!now.active)
		return 0;
	if (now.called++)
		return now.returns;
	/* what changes nothing is always allowed */
	if (!now.close && socktally_snapshot(now.meter, no_cell, NULL, NULL))
		abort();
	for (unsigned int i = 0; i < CALLS; i++) {
		unsigned int call = 1u << i;
		int result;

		if (!(now.calls & call))
			continue;
		result = do_call(call);
		*(result == -EBUSY ? &now.refused : &now.other) |= call;
	}
	if (now.close)
		socktally_close(now.meter);
	return now.returns;
}

static int on_cell(void *ctx, const struct socktally_cell *cell)
{
	return ctx || !cell->path ? -1 : called();
}

static int on_totals(void *ctx, const struct socktally_totals *totals)
{
	return ctx || !totals->counts.packets ? -1 : called();
}

static int on_socket(void *ctx, const struct socktally_socket *socket)
{
	int result = ctx ? -1 : called();

	/* what was given must still be there */
	return result ? result : !*socket->interface || !socket->cookie;
}

static int on_class(void *ctx, const struct socktally_class_counts *class)
{
	int result = ctx ? -1 : called();

	return result ? result : !*class->name;
}

static int on_hook(void *ctx, const struct socktally_hook *hook)
{
	int result = ctx ? -1 : called();

	return result ? result : !*hook->name;
}

static int on_row(void *ctx, const struct socktally_row *row)
{
	int result = ctx ? -1 : called();

	return result ? result : !*row->map || !row->value_count;
}

static int on_interval(void *ctx, struct socktally *meter)
{
	return ctx || !meter ? -1 : called();
}

static void on_crossing(void *ctx, const struct socktally_crossing *crossing)
{
	if (!ctx && crossing->upwards)
		called();
}

static void on_gap(void *ctx, const struct socktally_gap *gap)
{
	if (!ctx && *gap->interface)
		called();
}

static void on_log(void *ctx, enum socktally_log_level level, const char *text)
{
	if (!ctx && *text && level <= SOCKTALLY_LOG_DEBUG)
		called();
}

/* --- what calls them */

static int snapshot(void)
{
	return socktally_snapshot(now.meter, on_cell, NULL, NULL);
}

static int sink(void)
{
	const struct socktally_sink sink = {.sz = sizeof(sink), .totals = on_totals};

	return socktally_plugin.snapshot(now.meter, &sink, NULL);
}

static int sink_rows(void)
{
	const struct socktally_sink sink = {.sz = sizeof(sink), .row = on_row};

	return socktally_plugin.snapshot(now.meter, &sink, NULL);
}

static int sockets(void)
{
	return socktally_sockets(now.meter, on_socket, NULL);
}

static int classes(void)
{
	return socktally_classes(now.meter, on_class, NULL);
}

static int hooks(void)
{
	return socktally_hooks(now.meter, on_hook, NULL);
}

static int rows(void)
{
	return socktally_hook_rows(now.meter, "talkers", NULL, on_row, NULL);
}

static int gap(void)
{
	const struct sock_fprog program = {.len = 1, .filter = (struct sock_filter *)accept_all};

	if (setsockopt(now.fds[0], SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)))
		bail_out("SO_ATTACH_FILTER");
	return socktally_poll(now.meter, 0);
}

/* To the end of the next interval; 1 becomes 0. */
static int poll_once(void)
{
	int result;

	while (!(result = socktally_poll(now.meter, -1)))
		;
	return result == 1 ? 0 : result;
}

static int interval(void)
{
	socktally_set_interval(now.meter, 10, on_interval, NULL);
	return poll_once();
}

static int crossing(void)
{
	const struct socktally_threshold_opts opts = {.sz = sizeof(opts), .above = 1};
	int result, number = socktally_threshold_add(now.meter, &opts, on_crossing, NULL);

	socktally_set_interval(now.meter, 10, NULL, NULL);
	result = poll_once();
	traffic_send(now.udp, 5);
	if (!result)
		result = poll_once();
	socktally_threshold_remove(now.meter, number);
	return result;
}

/* A failure, which is logged. */
static int log_line(void)
{
	return socktally_detach(now.meter, now.udp) == -EPROTOTYPE ? 0 : -1;
}

static const struct walk {
	const char *name;
	int (*run)(void);
	unsigned int refused; /* calls that it must refuse */
	unsigned int times;   /* that the callback comes */
	bool returns; /* what the callback returns, or -ECANCELED where it closes the meter */
} walks[] = {
	{"cells", snapshot, 0, 2, true},
	{"totals", sink, 0, 1, true},
	{"sockets", sockets, CHANGE_SOCKETS, SOCKETS, true},
	{"classes", classes, CHANGE_CHAIN, 2, true},
	{"hooks", hooks, CHANGE_CHAIN, 4, true},
	{"rows", rows, CHANGE_CHAIN, 2, true},
	{"rows of a sink", sink_rows, CHANGE_CHAIN, 3, true},
	{"gap", gap, CHANGE_SOCKETS, 1, false},
	{"interval", interval, 0, 1, true},
	{"crossing", crossing, 0, 1, false},
	{"log", log_line, CHANGE_ALL, 1, false},
};

static void open_fixture(void)
{
	struct socktally_open_opts opts = {.sz = sizeof(opts), .gap = on_gap, .log = on_log};
	static const char *const builtin[] = {"talkers", "rate", "sizes"};
	socklen_t size = sizeof(uint64_t);

	now.active = false;
	if (socktally_open(&now.meter, &opts))
		bail_out("socktally_open");
	for (int i = 0; i < SOCKETS; i++) {
		now.fds[i] = i ? packet_socket(0) : lo_socket();
		if (socktally_attach(now.meter, now.fds[i], NULL) ||
		    getsockopt(now.fds[i], SOL_SOCKET, SO_COOKIE, &now.cookies[i], &size))
			bail_out("attach");
	}
	for (size_t i = 0; i < sizeof(builtin) / sizeof(*builtin); i++) {
		const struct socktally_hook_opts hook = {.sz = sizeof(hook), .builtin = builtin[i]};

		if (socktally_hook_add(now.meter, &hook))
			bail_out(socktally_error(now.meter));
	}
	if (socktally_set_classes(now.meter, two_classes, 2, NULL))
		bail_out(socktally_error(now.meter));
	traffic_send(now.udp, 20);
}

static void close_fixture(void)
{
	socktally_close(now.meter); /* perhaps for the second time */
	for (int i = 0; i < SOCKETS; i++)
		close(now.fds[i]);
}

/* A name for each test. */
static bool check(bool good, const struct walk *walk, const char *what)
{
	char name[100];

	snprintf(name, sizeof(name), "%s: %s", walk->name, what);
	return ok(good, name);
}

static int run(const struct walk *walk, unsigned int calls, bool close, int returns)
{
	int result;

	now.calls = calls;
	now.close = close;
	now.returns = returns;
	now.called = now.refused = now.other = 0;
	now.active = true;
	result = walk->run();
	now.active = false;
	return result;
}

static void changes(const struct walk *walk)
{
	unsigned int allowed = CHANGE_ALL & ~walk->refused;
	int result;

	/* all that it must refuse: the callback comes as often as without */
	result = run(walk, walk->refused, false, 0);
	if (!check(!result && now.called >= walk->times && now.refused == walk->refused &&
			   !now.other,
		   walk, "what frees is refused"))
		printf("# result %d, called %u times, refused 0x%x, not refused 0x%x\n", result,
		       now.called, now.refused, now.other);
	/* and what does not concern it works; without POLL, which would wait in itself */
	if (strcmp(walk->name, "gap") && strcmp(walk->name, "log")) {
		run(walk, allowed & (HOOK_SET_PRIORITY | SET_CLASSES | ATTACH | SET_FILTER), false,
		    0);
		check(!now.refused, walk, "what frees nothing of its list is not");
	}
	if (walk->returns) {
		result = run(walk, 0, false, -ENOENT);
		check(result == -ENOENT && now.called == 1, walk, "its own -ENOENT comes back");
	}
}

static void closes(const struct walk *walk)
{
	int result;

	open_fixture();
	result = run(walk, 0, true, 0);
	check(now.called == 1 && result == (walk->run == log_line ? 0 : -ECANCELED) &&
		      socktally_poll(now.meter, 0) == -EINVAL,
	      walk, "closing ends it, and the meter is gone");
	close_fixture();
}

int main(void)
{
	const size_t count = sizeof(walks) / sizeof(*walks);
	unsigned int bad = 0;

	now.udp = traffic_open();
	open_fixture();
	for (size_t i = 0; i < count; i++)
		changes(&walks[i]);
	/* outside of callbacks all of it works */
	for (unsigned int i = 0; i < CALLS; i++) {
		int result = do_call(1u << i);

		if (result >= 0)
			continue;
		printf("# call 0x%x: %s\n", 1u << i, socktally_error(now.meter));
		bad++;
	}
	ok(!bad, "and all of it works when the calls have returned");
	close_fixture();
	for (size_t i = 0; i < count; i++)
		closes(&walks[i]);
	return done();
}
