// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * hostile_host: a host that does all that it mustn't, through the plugin table. It gets errors, and
 * what it does right in between goes on working. Run with sanitizers and under valgrind.
 */
#include "tests/lib/api_traffic.h"
#include <fcntl.h>
#include <linux/filter.h>
#include <socktally/socktally.h>

static const struct socktally_plugin *const plugin = &socktally_plugin;

static int no_cell(void *ctx, const struct socktally_cell *cell)
{
	(void)ctx;
	return !cell;
}

static int fail_cell(void *ctx, const struct socktally_cell *cell)
{
	(void)cell;
	++*(int *)ctx;
	return -77;
}

static void no_crossing(void *ctx, const struct socktally_crossing *crossing)
{
	(void)ctx;
	(void)crossing;
}

/* All functions with a meter that is none: each must refuse. */
static bool all_refuse(struct socktally *meter, int fd)
{
	const struct sock_filter all[] = {BPF_STMT(BPF_RET | BPF_K, 1)};
	const struct socktally_threshold_opts threshold = {.sz = sizeof(threshold), .above = 1};
	const struct socktally_hook_opts hook = {.sz = sizeof(hook), .builtin = "sizes"};
	const struct socktally_class class = {.name = "a", .expression = "arp"};
	const struct socktally_sink sink = {.sz = sizeof(sink), .cell = no_cell};
	struct socktally_hook last;
	size_t count = 0;

	errno = 4321;
	return plugin->attach(meter, fd, NULL) == -EINVAL &&
	       plugin->set_filter(meter, fd, all, 1) == -EINVAL &&
	       plugin->detach(meter, fd) == -EINVAL &&
	       plugin->snapshot(meter, &sink, NULL) == -EINVAL &&
	       plugin->set_interval(meter, 1, NULL, NULL) == -EINVAL &&
	       plugin->fd(meter) == -EINVAL && plugin->poll(meter, 0) == -EINVAL &&
	       plugin->threshold_add(meter, &threshold, no_crossing, NULL) == -EINVAL &&
	       plugin->threshold_remove(meter, 1) == -EINVAL &&
	       plugin->hook_add(meter, &hook) == -EINVAL &&
	       plugin->hook_replace(meter, "sizes", &hook) == -EINVAL &&
	       plugin->hook_remove(meter, "sizes", &last) == -EINVAL &&
	       plugin->hook_set_priority(meter, "sizes", 1) == -EINVAL &&
	       plugin->set_classes(meter, &class, 1, NULL) == -EINVAL &&
	       socktally_get_filter(meter, fd, NULL, &count) == -EINVAL &&
	       socktally_forget(meter, 1) == -EINVAL &&
	       socktally_count(meter, 1, NULL, 0, 0, SOCKTALLY_IN) == -EINVAL &&
	       plugin->error(meter) && errno == 4321;
}

static void sizes_of_options(struct socktally *meter, int fd)
{
	struct {
		struct socktally_open_opts opts;
		char more[64];
	} wide = {.opts.sz = sizeof(wide)};
	struct socktally_attach_opts attach = {.sz = sizeof(attach), .flags = 0xffffffff};
	struct socktally_sink sink = {.sz = 3};
	struct socktally *other;

	ok(plugin->create(NULL, NULL) == -EINVAL, "no place for a meter");
	ok(!plugin->create(&other, &wide.opts), "options of a newer release that are zero");
	plugin->destroy(other);
	wide.more[40] = 1;
	ok(plugin->create(&other, &wide.opts) == -E2BIG && strstr(plugin->error(NULL), "newer"),
	   "options that this release doesn't know");
	wide.opts.sz = 0;
	ok(plugin->create(&other, &wide.opts) == -EINVAL, "options without a size");
	wide.opts.sz = 7;
	ok(plugin->create(&other, &wide.opts) == -EINVAL, "options of half a size");
	wide = (__typeof__(wide)){.opts = {.sz = sizeof(size_t) + 4, .paths = 100, .flags = 0xff}};
	ok(!plugin->create(&other, &wide.opts), "options that end before the flags");
	plugin->destroy(other);
	wide.opts = (struct socktally_open_opts){.sz = sizeof(wide.opts), .paths = UINT32_MAX};
	ok(plugin->create(&other, &wide.opts) == -EINVAL, "too many paths");
	wide.opts = (struct socktally_open_opts){.sz = sizeof(wide.opts), .flags = 0x8000};
	ok(plugin->create(&other, &wide.opts) == -EINVAL, "unknown flags");
	ok(plugin->attach(meter, fd, &attach) == -EINVAL && strstr(plugin->error(meter), "options"),
	   "unknown flags to attach with");
	attach = (struct socktally_attach_opts){.sz = sizeof(attach), .ifindex = -1};
	ok(plugin->attach(meter, fd, &attach) == -EINVAL, "a negative interface");
	ok(plugin->snapshot(meter, &sink, NULL) == -EINVAL, "a sink of half a size");
	ok(plugin->snapshot(meter, NULL, NULL) == -EINVAL, "no sink");
}

static void null_pointers(struct socktally *meter, int fd)
{
	static const char *const no_text[] = {NULL};
	struct socktally_hook_opts hook = {.sz = sizeof(hook), .variable_count = 3};
	struct socktally_class classes[2] = {{0}, {.name = "a"}};

	ok(plugin->set_filter(meter, fd, NULL, 5) == -EINVAL, "no instructions");
	ok(plugin->threshold_add(meter, NULL, no_crossing, NULL) == -EINVAL, "no threshold");
	ok(plugin->hook_add(meter, NULL) == -EINVAL, "no hook");
	ok(plugin->hook_add(meter, &hook) == -EINVAL, "variables of a hook that aren't there");
	hook = (struct socktally_hook_opts){.sz = sizeof(hook),
					    .builtin = "drop",
					    .variables = no_text,
					    .variable_count = 1};
	ok(plugin->hook_add(meter, &hook) == -EINVAL, "a built-in hook's option that isn't there");
	hook = (struct socktally_hook_opts){.sz = sizeof(hook)};
	ok(plugin->hook_add(meter, &hook) < 0, "a hook with neither name nor file");
	ok(plugin->hook_replace(meter, NULL, &hook) == -EINVAL &&
		   plugin->hook_remove(meter, NULL, NULL) == -EINVAL &&
		   plugin->hook_set_priority(meter, NULL, 0) == -EINVAL,
	   "no name of a hook");
	ok(plugin->hook_remove(meter, "", NULL) == -ENOENT, "an empty one");
	ok(plugin->set_classes(meter, NULL, 3, NULL) == -EINVAL, "no classes");
	ok(plugin->set_classes(meter, classes, 1, NULL) == -EINVAL, "a class without a name");
	ok(plugin->set_classes(meter, classes + 1, 1, NULL) == -EINVAL, "a class without a filter");
	ok(plugin->set_classes(meter, classes, SIZE_MAX, NULL) == -EINVAL, "too many of them");
	ok(socktally_get_filter(meter, fd, NULL, NULL) == -EINVAL, "no place for a count");
	ok(socktally_sockets(meter, NULL, NULL) == -EINVAL, "no function");
}

static void descriptors(struct socktally *meter)
{
	const struct sock_filter endless[] = {BPF_JUMP(BPF_JMP | BPF_JA, 0xffffffff, 0, 0)};
	const struct sock_filter all[] = {BPF_STMT(BPF_RET | BPF_K, 1)};
	size_t room = 1;
	int closed = packet_socket(0), file = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int other = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), fd = packet_socket(0);

	ok(!plugin->attach(meter, closed, NULL), "a socket");
	close(closed);
	ok(plugin->attach(meter, closed, NULL) == -EBADF &&
		   plugin->detach(meter, closed) == -EBADF &&
		   plugin->set_filter(meter, closed, endless, 1) == -EBADF,
	   "is closed");
	ok(plugin->attach(meter, -1, NULL) == -EBADF &&
		   plugin->attach(meter, INT32_MAX, NULL) == -EBADF,
	   "numbers that are no descriptors");
	ok(plugin->attach(meter, file, NULL) == -ENOTSOCK, "a file");
	ok(plugin->attach(meter, other, NULL) == -EPROTOTYPE, "a socket of another kind");
	ok(plugin->detach(meter, fd) == -ENOENT, "detach before attach");
	ok(plugin->set_filter(meter, fd, endless, 1) == -EINVAL, "a filter that is none");
	ok(plugin->set_filter(meter, fd, endless, 100000) == -EINVAL, "one that is too long");
	ok(!plugin->attach(meter, fd, NULL) && !plugin->attach(meter, fd, NULL) &&
		   !plugin->detach(meter, fd) && plugin->detach(meter, fd) == -ENOENT,
	   "attach twice, detach twice");
	ok(!plugin->set_filter(meter, fd, all, 1) &&
		   socktally_get_filter(meter, fd, NULL, &room) == -EINVAL &&
		   !plugin->detach(meter, fd),
	   "no place for its filter");
	close(fd);
	close(other);
	close(file);
}

static void callbacks(struct socktally *meter, int udp, int fd)
{
	const struct socktally_sink sink = {.sz = sizeof(sink), .cell = fail_cell};
	int calls = 0;

	ok(!plugin->attach(meter, fd, NULL), "attach");
	traffic_send(udp, 3);
	ok(plugin->snapshot(meter, &sink, &calls) == -77 && calls == 1, "a callback that fails");
	ok(!plugin->set_interval(meter, 1, NULL, NULL) && plugin->poll(meter, 1000) == 1 &&
		   !plugin->set_interval(meter, 0, NULL, NULL) && !plugin->poll(meter, 0),
	   "intervals without a function");
}

/* Calls whose arguments are wrong: each has a sentence of its own about it. */
static bool says(struct socktally *meter, int result)
{
	bool good = result < 0 && strcmp(plugin->error(meter), "there is no threshold 12345") &&
		    *plugin->error(meter);

	if (!good)
		printf("# result %d: %s\n", result, plugin->error(meter));
	return good && plugin->threshold_remove(meter, 12345) == -ENOENT;
}

static void sentences(struct socktally *meter, int fd)
{
	const struct socktally_sink half = {.sz = 3};
	const struct socktally_hook_opts hook = {.sz = sizeof(hook), .builtin = "sizes"};
	const struct socktally_threshold_opts threshold = {.sz = sizeof(threshold), .above = 1};
	struct {
		struct socktally_classes_opts opts;
		char more[8];
	} wide = {.opts.sz = sizeof(wide), .more = "x"};
	unsigned int bad = 0;

	plugin->threshold_remove(meter, 12345);
	bad += !says(meter, plugin->snapshot(meter, NULL, NULL));
	bad += !says(meter, plugin->snapshot(meter, &half, NULL));
	bad += !says(meter, plugin->threshold_add(meter, NULL, no_crossing, NULL));
	bad += !says(meter, plugin->threshold_add(meter, &threshold, NULL, NULL));
	bad += !says(meter, plugin->hook_add(meter, NULL));
	bad += !says(meter, plugin->hook_replace(meter, NULL, &hook));
	bad += !says(meter, plugin->hook_remove(meter, NULL, NULL));
	bad += !says(meter, plugin->hook_set_priority(meter, NULL, 0));
	bad += !says(meter, plugin->set_classes(meter, NULL, 3, NULL));
	bad += !says(meter, plugin->set_classes(meter, NULL, 0, &wide.opts));
	bad += !says(meter, socktally_get_filter(meter, fd, NULL, NULL));
	bad += !says(meter, socktally_sockets(meter, NULL, NULL));
	bad += !says(meter, socktally_classes(meter, NULL, NULL));
	bad += !says(meter, socktally_hooks(meter, NULL, NULL));
	bad += !says(meter, socktally_hook_rows(meter, "none", NULL, NULL, NULL));
	bad += !says(meter, socktally_hook_map(meter, "none", NULL));
	bad += !says(meter, socktally_count(meter, 1, NULL, 0, 0, SOCKTALLY_IN));
	ok(!bad, "no error keeps the sentence of an older one");
}

int main(void)
{
	int udp = traffic_open(), fd = packet_socket(htons(ETH_P_ALL));
	struct socktally_totals totals;
	struct socktally *meter, *second;

	if (!ok(!plugin->create(&meter, NULL), "create"))
		return done();
	ok(all_refuse(NULL, fd), "no meter");
	ok(all_refuse((struct socktally *)&totals, fd), "a pointer to something else");
	sizes_of_options(meter, fd);
	null_pointers(meter, fd);
	sentences(meter, fd);
	descriptors(meter);
	callbacks(meter, udp, fd);
	ok(!plugin->create(&second, NULL), "a second meter");
	ok(plugin->attach(second, fd, NULL) == -EACCES, "can't have the socket of the first");
	plugin->destroy(second);
	plugin->destroy(second);
	ok(all_refuse(second, fd), "destroyed twice, and used on");
	ok(!socktally_snapshot(meter, NULL, NULL, &totals) && totals.counts.packets == 6,
	   "the first one has counted what there was");
	close(fd);
	plugin->destroy(meter);
	plugin->destroy(NULL);
	ok(all_refuse(meter, fd), "destroyed");
	close(udp);
	return done();
}
