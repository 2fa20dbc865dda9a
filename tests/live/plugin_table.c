// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * All that the plugin table gives beside cells: totals, classes, hooks and their results, thresholds,
 * filters; each with exact figures. What the functions do in detail is tested under their own names.
 */
#include "tests/lib/api_traffic.h"
#include <linux/filter.h>
#include <socktally/socktally.h>

enum { PACKETS = 40 };

static const struct socktally_plugin *const plugin = &socktally_plugin;

struct seen {
	char order[16]; /* of the callbacks: c, t, k (classes), h, r */
	uint64_t cells, totals, udp, tcp, taken, rows;
	unsigned int crossings;
};

static void note(struct seen *seen, char what)
{
	size_t length = strlen(seen->order);

	if (length + 1 < sizeof(seen->order) && (!length || seen->order[length - 1] != what))
		seen->order[length] = what;
}

static int take_cell(void *ctx, const struct socktally_cell *cell)
{
	note(ctx, 'c');
	((struct seen *)ctx)->cells += cell->counts.packets;
	return 0;
}

static int take_totals(void *ctx, const struct socktally_totals *totals)
{
	note(ctx, 't');
	((struct seen *)ctx)->totals = totals->counts.packets;
	return 0;
}

static int take_class(void *ctx, const struct socktally_class_counts *counts)
{
	struct seen *seen = ctx;

	note(seen, 'k');
	*(strcmp(counts->name, "datagrams") ? &seen->tcp : &seen->udp) +=
		counts->in.packets + counts->out.packets;
	return 0;
}

static int take_hook(void *ctx, const struct socktally_hook *hook)
{
	struct seen *seen = ctx;

	note(seen, 'h');
	if (!strcmp(hook->name, "nothing"))
		seen->taken = hook->dropped_packets;
	return 0;
}

static int take_row(void *ctx, const struct socktally_row *row)
{
	struct seen *seen = ctx;

	note(seen, 'r');
	for (uint32_t i = 0; i < row->value_count; i++)
		seen->rows += row->value[i].number;
	return 0;
}

static int stop_at_hook(void *ctx, const struct socktally_hook *hook)
{
	(void)hook;
	++*(int *)ctx;
	return 5;
}

static void crossed(void *ctx, const struct socktally_crossing *crossing)
{
	((struct seen *)ctx)->crossings += crossing->upwards;
}

static struct seen look(struct socktally *meter)
{
	const struct socktally_sink sink = {.sz = sizeof(sink),
					    .cell = take_cell,
					    .totals = take_totals,
					    .class_counts = take_class,
					    .hook = take_hook,
					    .row = take_row};
	struct seen seen = {0};

	if (plugin->snapshot(meter, &sink, &seen))
		printf("# %s\n", plugin->error(meter));
	return seen;
}

static unsigned int readable(int fd)
{
	unsigned int count = 0;
	char data[64];

	while (recv(fd, data, sizeof(data), MSG_DONTWAIT) >= 0)
		count++;
	return count;
}

static void hooks(struct socktally *meter, int udp, int fd)
{
	const char *const path[] = {"path=eth:ip:udp"};
	const struct socktally_hook_opts sizes = {.sz = sizeof(sizes), .builtin = "sizes"};
	const struct socktally_hook_opts nothing = {.sz = sizeof(nothing),
						    .name = "nothing",
						    .builtin = "drop",
						    .variables = path,
						    .variable_count = 1};
	const struct socktally_sink until = {.sz = sizeof(until), .hook = stop_at_hook};
	struct socktally_hook last;
	struct seen seen;
	int calls = 0;

	ok(!plugin->hook_add(meter, &sizes) && !plugin->hook_add(meter, &nothing), "hooks");
	readable(fd);
	traffic_send(udp, PACKETS);
	seen = look(meter);
	ok(seen.taken == 2 * PACKETS && !readable(fd), "one drops what it should");
	ok(seen.rows >= 2 * PACKETS, "the other's rows are there");
	ok(strstr(seen.order, "ct") == seen.order && strchr(seen.order, 'h') &&
		   strchr(seen.order, 'r') > strchr(seen.order, 'h'),
	   "cells, totals, hooks, each followed by its rows");
	ok(plugin->snapshot(meter, &until, &calls) == 5 && calls == 1, "a callback ends the walk");
	ok(!plugin->hook_set_priority(meter, "sizes", 250) &&
		   !plugin->hook_replace(meter, "sizes", &sizes),
	   "moved and replaced");
	ok(!plugin->hook_remove(meter, "nothing", &last) && last.dropped_packets == 2 * PACKETS &&
		   !plugin->hook_remove(meter, "sizes", NULL),
	   "removed, with what it has taken");
	traffic_send(udp, PACKETS);
	seen = look(meter);
	ok(readable(fd) == 2 * PACKETS && !strchr(seen.order, 'h'), "and gone");
}

static void classes(struct socktally *meter, int udp)
{
	const struct sock_filter none[] = {BPF_STMT(BPF_RET | BPF_K, 0)};
	const struct sock_filter all[] = {BPF_STMT(BPF_RET | BPF_K, 1)};
	const struct socktally_class two[] = {
		{.name = "datagrams", .insns = all, .insn_count = 1, .linktype = 1},
		{.name = "nothing", .insns = none, .insn_count = 1, .linktype = 1},
	};
	struct seen seen;

	ok(!plugin->set_classes(meter, two, 2, NULL), "classes");
	traffic_send(udp, PACKETS);
	seen = look(meter);
	ok(seen.udp == 2 * PACKETS && !seen.tcp && strchr(seen.order, 'k'), "have counted");
	ok(!plugin->set_classes(meter, NULL, 0, NULL), "and none");
}

struct sockets {
	unsigned int count;
	uint64_t cookie;
};

static int take_socket(void *ctx, const struct socktally_socket *socket)
{
	struct sockets *sockets = ctx;

	sockets->count += !strcmp(socket->interface, "lo") && !strcmp(socket->linktype, "eth");
	sockets->cookie = socket->cookie;
	return 0;
}

/* What the table has got since 1.0.0. */
static int one_group(void *ctx, const struct socktally_group *group)
{
	return !ctx && group->field_count == 1 && !strcmp(group->fields[0], "eth.type");
}

static int one_row(void *ctx, const struct socktally_group_row *row)
{
	(void)ctx;
	return row->counts.packets == 1 ? (int)row->key->number : -1;
}

static int one_field(void *ctx, const char *name, const char *help)
{
	(void)ctx;
	return *name && *help ? 7 : -1;
}

static void later_members(struct socktally *meter, int fd)
{
	static const uint8_t packet[60] = {[12] = 0x08, [13] = 0x06};
	const struct socktally_open_opts own = {.sz = sizeof(own),
						.flags = SOCKTALLY_OPEN_USERSPACE};
	const struct sock_filter filter[] = {BPF_STMT(BPF_RET | BPF_K, 77)};
	const uint8_t number = SOCKTALLY_ARP;
	struct sock_filter insns[2];
	struct sockets sockets = {0};
	struct socktally_totals totals;
	struct socktally_path path;
	struct socktally *counter;
	size_t count = 2;
	char text[16];

	ok(SOCKTALLY_PLUGIN_HAS(plugin, group_fields), "the table has them all");
	ok(!plugin->set_filter(meter, fd, filter, 1) &&
		   !plugin->get_filter(meter, fd, insns, &count) && count == 1 && insns[0].k == 77,
	   "get_filter");
	ok(!plugin->sockets(meter, take_socket, &sockets) && sockets.count == 1, "sockets");
	ok(!plugin->forget(meter, sockets.cookie) &&
		   plugin->forget(meter, sockets.cookie) == -ENOENT &&
		   !plugin->set_filter(meter, fd, NULL, 0),
	   "forget");
	ok(!plugin->create(&counter, &own) &&
		   !plugin->count(counter, 1, packet, 60, 60, SOCKTALLY_OUT) &&
		   look(counter).totals == 1 &&
		   plugin->count(meter, 1, packet, 60, 60, SOCKTALLY_IN) == -EINVAL,
	   "count, where the meter has no kernel part");
	ok(!plugin->changes(counter, NULL, NULL, &totals) && totals.counts.packets == 1 &&
		   !plugin->changes(counter, NULL, NULL, &totals) && !totals.counts.packets,
	   "changes");
	ok(!plugin->group_add(counter,
			      &(struct socktally_group_opts){
				      .sz = sizeof(struct socktally_group_opts),
				      .fields = "eth.type",
			      }) &&
		   !plugin->count(counter, 1, packet, 60, 60, SOCKTALLY_IN) &&
		   plugin->groups(counter, one_group, NULL) == 1 &&
		   plugin->group_rows(counter, "eth.type", 0, one_row, NULL) == 0x806 &&
		   plugin->group_remove(counter, "eth.type", one_row, NULL) == 0x806 &&
		   !plugin->groups(counter, one_group, NULL) &&
		   plugin->group_fields(one_field, NULL) == 7,
	   "groups");
	plugin->destroy(counter);
	plugin->classify(NULL, 1, packet, 60, &path);
	ok(path.layer_count == 2 && path.layers[1] == SOCKTALLY_ARP, "classify");
	ok(plugin->path_text(&number, 1, text, sizeof(text)) == 3 && !strcmp(text, "arp"),
	   "a protocol's name by its number");
}

int main(void)
{
	const struct sock_filter cut[] = {BPF_STMT(BPF_RET | BPF_K, 20)};
	const struct socktally_threshold_opts many = {.sz = sizeof(many),
						      .path = "*:udp",
						      .above = 1};
	int udp = traffic_open(), fd = lo_socket(), threshold;
	struct seen seen, crossings = {0};
	struct socktally *meter;

	if (!ok(!plugin->create(&meter, NULL) && !plugin->attach(meter, fd, NULL),
		"create, attach"))
		return done();
	traffic_send(udp, PACKETS);
	seen = look(meter);
	ok(seen.cells == 2 * PACKETS && seen.totals == 2 * PACKETS && !strcmp(seen.order, "ct"),
	   "cells and their sum, and no more where there is no more");
	hooks(meter, udp, fd);
	classes(meter, udp);
	ok(!plugin->set_filter(meter, fd, cut, 1), "a filter");
	threshold = plugin->threshold_add(meter, &many, crossed, &crossings);
	ok(threshold > 0 && !plugin->set_interval(meter, 20, NULL, NULL) &&
		   plugin->fd(meter) >= 0 && plugin->poll(meter, 1000) == 1,
	   "a threshold, an interval");
	traffic_send(udp, PACKETS);
	ok(plugin->poll(meter, 1000) == 1 && crossings.crossings == 1, "is crossed");
	later_members(meter, fd);
	ok(!plugin->threshold_remove(meter, threshold) && !plugin->detach(meter, fd), "and ends");
	plugin->destroy(meter);
	close(fd);
	close(udp);
	return done();
}
